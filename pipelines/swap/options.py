"""What the user decides about a swap."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..errors import InputError
from ..stitch.occlusion import Occluder

#: Parts of the face that can be swapped on their own.
REGIONS = ("skin", "eyes", "brows", "nose", "mouth", "jaw", "forehead")


@dataclass(frozen=True, eq=False)
class SwapOptions:
    """Dials of a swap.

    strength: 0 leaves the picture as it is, 1 swaps fully. shape: how far the target's face takes the source's
    shape, 0 keeps the target's, 1 takes all that its pose and expression allow. keep_mouth, keep_eyes: leave the
    target's own. regions: which parts to swap. mask: (B, H, W) in [0, 1], where the picture may change, or None.
    boost: for swappers of a fixed size, how many of their pixels side by side make one of the crop; 0 decides by the
    face's size. occluder: sees what lies in front of the faces and stays there, or None.
    """

    strength: float = 1.0
    shape: float = 1.0
    keep_mouth: bool = False
    keep_eyes: bool = False
    regions: tuple[str, ...] = REGIONS
    mask: Tensor | None = None
    boost: int = 0
    occluder: Occluder | None = None

    def __post_init__(self) -> None:
        for name, value in (("strength", self.strength), ("shape", self.shape)):
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; it must lie between 0 and 1.")
        if self.boost not in (0, 1, 2, 4, 8):
            raise InputError(f"boost is {self.boost}; it must be 0 (automatic), 1, 2, 4 or 8.")
        unknown = [name for name in self.regions if name not in REGIONS]
        if unknown:
            raise InputError(f"Unknown region(s) {', '.join(unknown)}; the regions are {', '.join(REGIONS)}.")

    def parts(self) -> frozenset[str]:
        """The regions to swap after keep_mouth and keep_eyes."""
        kept = ({"mouth"} if self.keep_mouth else set()) | ({"eyes"} if self.keep_eyes else set())
        return frozenset(self.regions) - kept
