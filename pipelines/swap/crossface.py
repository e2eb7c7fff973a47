"""Swappers whose source vector a small network converts from ArcFace's space: ghost, SimSwap, HifiFace."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..face import FloatArray, as_float_array
from ..identity.identity import Identity
from ..onnx_network import OnnxNetwork
from ..registry import Registry
from .onnx_swapper import OnnxSwapper, SourceForm

_ENCODER = "arcface_w600k_r50"


def converted(converter: str, unit: bool, registry: Registry) -> SourceForm:
    """The converter's result for the raw vector, of length 1 when `unit`."""
    network = OnnxNetwork(registry, converter)
    network.shape("input")

    def form(identity: Identity) -> FloatArray:
        vector = network.run({"input": identity.raw(_ENCODER)[None]}).reshape(1, -1)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length < 1e-12:
            raise InputError(f"{converter} gave a vector of length {length:g} for identity {identity.name!r}.")
        return as_float_array(vector / length) if unit else vector

    return form


_HALF = (0.5, 0.5, 0.5)
_NO_COMMERCE = "Non-commercial (SimSwap)"


def _ghost(weights_id: str, number: int) -> OnnxSwapper:
    return OnnxSwapper(
        weights_id,
        f"ghost {number}, 256 px",
        "Apache-2.0 (ai-forever/ghost)",
        weights_id,
        "arcface_112_wide",
        256,
        lambda registry: converted("crossface_ghost", False, registry),
        _HALF,
        _HALF,
        signed=True,
        also=("crossface_ghost", "insightface_w600k_r50"),
    )


GHOSTS = (_ghost("ghost_1_256", 1), _ghost("ghost_2_256", 2), _ghost("ghost_3_256", 3))

SIMSWAP_256 = OnnxSwapper(
    "simswap_256",
    "SimSwap 256 px",
    _NO_COMMERCE,
    "simswap_256",
    "arcface_112_wide",
    256,
    lambda registry: converted("crossface_simswap", True, registry),
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
    also=("crossface_simswap", "insightface_w600k_r50"),
)

SIMSWAP_512 = OnnxSwapper(
    "simswap_unofficial_512",
    "SimSwap 512 px (unofficial)",
    _NO_COMMERCE,
    "simswap_unofficial_512",
    "arcface_112_wide",
    512,
    lambda registry: converted("crossface_simswap", True, registry),
    also=("crossface_simswap", "insightface_w600k_r50"),
)

HIFIFACE = OnnxSwapper(
    "hififace_unofficial_256",
    "HifiFace 256 px (unofficial)",
    "Unknown (GuijiAI)",
    "hififace_unofficial_256",
    "mtcnn_512",
    256,
    lambda registry: converted("crossface_hififace", True, registry),
    _HALF,
    _HALF,
    signed=True,
    also=("crossface_hififace", "insightface_w600k_r50"),
)
