"""inswapper 128: the swapper of insightface, full and half precision."""

from __future__ import annotations

from .emap import mapped_source
from .onnx_swapper import ARCFACE, OnnxSwapper


def _precision(weights_id: str, title: str) -> OnnxSwapper:
    return OnnxSwapper(
        weights_id,
        title,
        "InsightFace weights: non-commercial research only",
        weights_id,
        "arcface_128",
        128,
        lambda registry: mapped_source(weights_id, registry),
        encoder=ARCFACE,
    )


INSWAPPER_FP16 = _precision("inswapper_128_fp16", "inswapper 128 px, half precision")
INSWAPPER = _precision("inswapper_128", "inswapper 128 px")
