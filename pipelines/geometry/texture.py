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


def grown_over(picture: Tensor, known: Tensor) -> Tensor:
    """Colours grown smoothly over the pixels that are not known.

    picture: (3, h, w). known: (h, w) in [0, 1]. Returns (3, h, w): the picture where known is 1, elsewhere colours of
    the known pixels around, nearly those of a membrane fixed at them; grey where nothing is known at all. Source: the
    pull-push of The Lumigraph (Gortler et al. 1996), with a few smoothing rounds on every level.
    """
    if min(picture.shape[1:]) <= 1 or bool((known > 0.999).all()):
        weight = known.clamp(1e-6)
        mean = (picture * known).sum((1, 2)) / weight.sum() if bool((known > 0).any()) else torch.full((3,), 0.5)
        return torch.lerp(mean[:, None, None].expand_as(picture), picture, known)
    sums = F.avg_pool2d(torch.cat([picture * known, known[None]])[None], 2, ceil_mode=True, count_include_pad=False)[0]
    coarse = grown_over(sums[:3] / sums[3].clamp(1e-6), (2 * sums[3]).clamp(0, 1))
    filled = F.interpolate(coarse[None], size=picture.shape[1:], mode="bilinear", align_corners=False)[0]
    out = torch.lerp(filled, picture, known)
    for _ in range(6):
        soft = F.avg_pool2d(F.pad(out[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
        out = torch.lerp(soft, picture, known)
    return out
