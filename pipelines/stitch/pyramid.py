"""Multiband blending: each octave of detail is mixed over a border as wide as its own grain (Burt and Adelson 1983)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blend_bands(difference: Tensor, mask: Tensor, levels: int) -> Tensor:
    """What to add to the background so that the foreground shows through the mask.

    difference: (C, h, w), foreground minus background. mask: (h, w) in [0, 1]. levels: octaves, 0 gives plain alpha
    blending. Returns (C, h, w): concretely the sum over the levels of the mask's Gaussian pyramid times the
    difference's Laplacian pyramid, which is linear and so needs one pyramid instead of two.
    """
    if levels <= 0 or min(difference.shape[1:]) < 4:
        return difference * mask
    small = _down(difference)
    inner = blend_bands(small, _down(mask[None])[0], levels - 1)
    # what is mixed on the coarser levels comes up once, and the fine part is mixed here
    size = difference.shape[1:]
    both = _up(torch.cat([small, inner]), size)
    channels = len(difference)
    return (difference - both[:channels]) * mask + both[channels:]


def _down(picture: Tensor) -> Tensor:
    return F.avg_pool2d(picture[None], 2, ceil_mode=True, count_include_pad=False)[0]


def _up(picture: Tensor, size_hw: torch.Size) -> Tensor:
    height, width = picture.shape[1] * 2, picture.shape[2] * 2
    larger = F.interpolate(picture[None], size=(height, width), mode="bilinear", align_corners=False)[0]
    return larger[:, : size_hw[0], : size_hw[1]]
