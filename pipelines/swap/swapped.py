"""What every swapper returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class SwappedFace:
    """One finished face: pixels (3, h, w) and mask (h, w) of the part of the picture that starts at (x0, y0)."""

    pixels: Tensor
    mask: Tensor
    x0: int
    y0: int
