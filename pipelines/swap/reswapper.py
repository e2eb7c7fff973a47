"""ReSwapper 128 and 256: inswapper trained anew, with the same interface and map."""

from __future__ import annotations

from .emap import mapped_source
from .onnx_swapper import ARCFACE, OnnxSwapper


def _size(weights_id: str, size: int) -> OnnxSwapper:
    return OnnxSwapper(
        weights_id,
        f"ReSwapper {size} px",
        "Unknown (somanchiu/ReSwapper, trained on inswapper's results)",
        weights_id,
        "arcface_128",
        size,
        lambda registry: mapped_source(weights_id, registry),
        encoder=ARCFACE,
    )


RESWAPPER_128 = _size("reswapper_128", 128)
RESWAPPER_256 = _size("reswapper_256", 256)
