"""HifiFace at 256 px (unofficial)."""

from __future__ import annotations

from .crossface import converted
from .onnx_swapper import ARCFACE, HALF, OnnxSwapper

HIFIFACE = OnnxSwapper(
    "hififace_unofficial_256",
    "HifiFace 256 px (unofficial)",
    "Unknown (GuijiAI)",
    "hififace_unofficial_256",
    "mtcnn_512",
    256,
    lambda registry: converted("crossface_hififace", True, registry),
    HALF,
    HALF,
    signed=True,
    also=("crossface_hififace",),
    encoder=ARCFACE,
)
