"""Put an identity onto the faces of a picture: one file per swapper, one ordered tuple."""

from __future__ import annotations

from .options import REGIONS, SwapOptions
from .swappers import SWAPPERS, Swapper, swap_faces, swapper_named

__all__ = ["REGIONS", "SWAPPERS", "SwapOptions", "Swapper", "swap_faces", "swapper_named"]
