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


def sample(picture: Tensor, x: Tensor, y: Tensor, scale: float = 1.0) -> Tensor:
    """A picture (3, h, w) at places x, y (h', w') in px: (3, h', w'), bilinear, the border repeated outside.

    scale: of the picture against the one the places are measured in, as `reduce_to` gives it.
    """
    height, width = picture.shape[1:]
    across, down = scale / width, scale / height
    grid = torch.stack([x * (2 * across) + (across - 1), y * (2 * down) + (down - 1)], -1).to(picture.device)
    return F.grid_sample(picture[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]


def sample_at(picture: Tensor, places: Tensor) -> Tensor:
    """`sample` at places (h', w', 2) in px: (3, h', w')."""
    return sample(picture, places[..., 0], places[..., 1])
