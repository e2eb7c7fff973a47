"""ghost 1, 2 and 3: the swappers of sber-swap with one to three blocks."""

from __future__ import annotations

from .crossface import converted
from .onnx_swapper import ARCFACE, HALF, OnnxSwapper


def _blocks(weights_id: str, number: int) -> OnnxSwapper:
    return OnnxSwapper(
        weights_id,
        f"ghost {number}, 256 px",
        "Apache-2.0 (ai-forever/ghost)",
        weights_id,
        "arcface_112_wide",
        256,
        lambda registry: converted("crossface_ghost", False, registry),
        HALF,
        HALF,
        signed=True,
        also=("crossface_ghost",),
        encoder=ARCFACE,
    )


GHOSTS = (_blocks("ghost_1_256", 1), _blocks("ghost_2_256", 2), _blocks("ghost_3_256", 3))
