"""Give a changed crop the grain of the picture around it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Standard deviation of the second differences over that of white noise, and of a Gaussian over its median size.
_GAIN, _FROM_MEDIAN = 6.0, 1.4826

#: Finer than this the picture's own rounding to 8 bits makes as much noise.
_FINEST = 0.5 / 255


def noise_level(picture: Tensor, where: Tensor) -> Tensor:
    """Standard deviation (3,) of the noise of (h, w, 3) where the mask (h, w) is set; 0 for fewer than 64 pixels.

    Concretely 1.4826 / 6 times the median of the size of Immerkaer's second difference, so that edges do not count.
    """
    if min(picture.shape[:2]) < 3:
        return picture.new_zeros(3)
    outer = ~where[1:-1, 1:-1]
    if outer.numel() - int(outer.sum()) < 64:
        return picture.new_zeros(3)
    # one colour after the other, because a face may cover much of a large picture
    fine = (_second_differences(plane).abs_() for plane in picture.unbind(-1))
    middle = [plane.masked_fill_(outer, math.nan).nanmedian() for plane in fine]
    return torch.stack(middle) * (_FROM_MEDIAN / _GAIN)


def _second_differences(plane: Tensor) -> Tensor:
    """In both directions, (h, w) → (h - 2, w - 2): blind to slopes and edges along them (Immerkaer 1996)."""
    down = (plane[:-2] + plane[2:]).sub_(plane[1:-1], alpha=2)
    return (down[:, :-2] + down[:, 2:]).sub_(down[:, 1:-1], alpha=2)


def match_grain(new: Tensor, before: Tensor, alpha: Tensor, strength: float, seed: int) -> Tensor:
    """The new face with the picture's grain.

    new, before: (h, w, 3) in [0, 1] on the picture's grid. alpha: (h, w), where the new face shows. strength: 0 leaves
    it, 1 matches. seed: of the grain, the same every time. A face with too little gets Gaussian grain of the missing
    variance per channel; one with too much gets its finest band reduced, details above three times its noise kept.
    The picture's noise is measured around the mask, or inside it where nothing is left around.
    """
    inside, around = alpha > 0.5, alpha <= 0
    if int(around.sum()) < 256:
        around = alpha >= 0
    have, want = noise_level(new, inside), noise_level(before, around)
    if float(want.max()) < _FINEST and float(have.max()) < _FINEST:
        return new
    generator = torch.Generator().manual_seed(seed)
    share = (want / have.clamp(min=1e-8)).clamp(max=1)
    missing = (want**2 - have**2).clamp(min=0).sqrt()
    matched = torch.empty_like(new)
    for colour, plane in enumerate(new.unbind(-1)):
        white = torch.randn(plane.shape, generator=generator).to(new)
        grained = white.mul_(missing[colour]).add_(_calmed(plane, have[colour], share[colour]))
        matched[..., colour] = torch.lerp(plane, grained, strength)
    return matched


def _calmed(plane: Tensor, have: Tensor, share: Tensor) -> Tensor:
    """The finest band of one colour (h, w) scaled down to a share of its noise, where it is less than 1."""
    if float(share) >= 1:
        return plane
    padded = F.pad(plane[None, None], (1, 1, 1, 1), mode="replicate")
    fine = plane - F.avg_pool2d(padded, 3, stride=1)[0, 0]
    detail = (fine.abs() / (3 * have.clamp(min=1e-8)) - 1).clamp_(0, 1)
    return plane - fine.mul_(1 - share).mul_(1 - detail)
