"""BlendSwap at 256 px: takes a small picture of the source."""

from __future__ import annotations

from .from_picture import source_picture
from .onnx_swapper import OnnxSwapper

BLENDSWAP = OnnxSwapper(
    "blendswap_256",
    "BlendSwap 256 px",
    "Non-commercial (mapooon)",
    "blendswap_256",
    "ffhq_512",
    256,
    lambda _: lambda identity: source_picture(identity, "arcface_112", 112),
    source_sizes=(3, 112, 112),
)
