"""SimSwap at 256 px, and the unofficial one at 512 px, which takes plain pixels."""

from __future__ import annotations

from .crossface import converted
from .onnx_swapper import ARCFACE, OnnxSwapper

_LICENCE = "Non-commercial (SimSwap)"

SIMSWAP_256 = OnnxSwapper(
    "simswap_256",
    "SimSwap 256 px",
    _LICENCE,
    "simswap_256",
    "arcface_112_wide",
    256,
    lambda registry: converted("crossface_simswap", True, registry),
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
    also=("crossface_simswap",),
    encoder=ARCFACE,
)

SIMSWAP_512 = OnnxSwapper(
    "simswap_unofficial_512",
    "SimSwap 512 px (unofficial)",
    _LICENCE,
    "simswap_unofficial_512",
    "arcface_112_wide",
    512,
    lambda registry: converted("crossface_simswap", True, registry),
    also=("crossface_simswap",),
    encoder=ARCFACE,
)
