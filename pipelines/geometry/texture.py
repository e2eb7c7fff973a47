"""Sampling pictures at arbitrary places."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def reduce_to(picture: Tensor, scale: float) -> tuple[Tensor, float]:
    """A picture (3, h, w) averaged down by powers of two, never below `scale` times its size; and the scale it got."""
    got = 1.0
    while scale <= got / 2 and min(picture.shape[1:]) >= 4:
        picture = F.avg_pool2d(picture[None], 2)[0]
        got /= 2
    return picture, got


def sample(picture: Tensor, places: Tensor, scale: float = 1.0) -> Tensor:
    """A picture (3, h, w) at places (h', w', 2) in px: (3, h', w'), bilinear, the border repeated outside.

    scale: of the picture against the one the places are measured in, as `reduce_to` gives it.
    """
    height, width = picture.shape[1:]
    size = torch.tensor([width / scale, height / scale], dtype=torch.float32)
    grid = (places * (2 / size) + (1 / size - 1)).to(picture.device)
    return F.grid_sample(picture[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
