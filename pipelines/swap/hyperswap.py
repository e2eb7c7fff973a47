"""hyperswap 256: FaceFusion's swapper in three versions."""

from __future__ import annotations

from .onnx_swapper import ARCFACE, HALF, OnnxSwapper


def _version(weights_id: str, letter: str) -> OnnxSwapper:
    return OnnxSwapper(
        weights_id,
        f"hyperswap 256 px, version {letter}",
        "ResearchRAIL (FaceFusion): research only",
        weights_id,
        "arcface_128",
        256,
        lambda _: lambda identity: identity.unit(ARCFACE)[None],
        HALF,
        HALF,
        signed=True,
        encoder=ARCFACE,
    )


HYPERSWAPS = (
    _version("hyperswap_1c_256", "1c"),
    _version("hyperswap_1b_256", "1b"),
    _version("hyperswap_1a_256", "1a"),
)
