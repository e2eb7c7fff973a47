"""Reads picture files for the benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def read_picture(path: Path) -> Tensor:
    """(1, H, W, 3) float in [0, 1]."""
    from PIL import Image

    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).float()[None] / 255
