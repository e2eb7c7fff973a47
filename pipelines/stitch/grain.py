"""Give a changed crop the grain of the picture around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Second differences in both directions: blind to slopes and edges along them (Immerkaer 1996).
_NOISE_KERNEL = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))

#: Standard deviation of the kernel's result over that of white noise, and of a Gaussian over its median size.
_KERNEL_GAIN, _FROM_MEDIAN = 6.0, 1.4826

#: Finer than this the picture's own rounding to 8 bits makes as much noise.
_FINEST = 0.5 / 255


def noise_level(picture: Tensor, where: Tensor) -> Tensor:
    """Standard deviation (3,) of the noise of (h, w, 3) where the mask (h, w) is set; 0 for fewer than 64 pixels.

    Concretely 1.4826 / 6 times the median of the size of Immerkaer's second difference, so that edges do not count.
    """
    if min(picture.shape[:2]) < 3:
        return picture.new_zeros(3)
    kernel = picture.new_tensor(_NOISE_KERNEL).view(1, 1, 3, 3)
    fine = F.conv2d(picture.permute(2, 0, 1)[:, None], kernel)[:, 0].abs()
    inner = where[1:-1, 1:-1]
    if int(inner.sum()) < 64:
        return picture.new_zeros(3)
    return fine[:, inner].median(1).values * (_FROM_MEDIAN / _KERNEL_GAIN)


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
    white = torch.randn(new.shape, generator=generator).to(new)
    missing = (want**2 - have**2).clamp(min=0).sqrt()
    calmer = _calmed(new, have, want)
    return torch.lerp(new, calmer + white * missing, strength)


def _calmed(new: Tensor, have: Tensor, want: Tensor) -> Tensor:
    """The finest band of (h, w, 3) scaled down to the wanted noise, where it is more."""
    share = (want / have.clamp(min=1e-8)).clamp(max=1)
    if float(share.min()) >= 1:
        return new
    padded = F.pad(new.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="replicate")
    fine = new - F.avg_pool2d(padded, 3, stride=1)[0].permute(1, 2, 0)
    detail = (fine.abs() / (3 * have.clamp(min=1e-8)) - 1).clamp(0, 1)
    return new - fine * (1 - share) * (1 - detail)
