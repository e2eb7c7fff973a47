"""UniFace at 256 px: takes a picture of the source."""

from __future__ import annotations

from .from_picture import source_picture
from .onnx_swapper import HALF, OnnxSwapper

UNIFACE = OnnxSwapper(
    "uniface_256",
    "UniFace 256 px",
    "Unknown (xc-csc101)",
    "uniface_256",
    "ffhq_512",
    256,
    lambda _: lambda identity: source_picture(identity, "ffhq_512", 256),
    HALF,
    HALF,
    signed=True,
    source_sizes=(3, 256, 256),
)
