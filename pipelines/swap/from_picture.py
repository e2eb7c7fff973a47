"""Swappers that take a picture of the source instead of a vector: UniFace and BlendSwap."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray, as_float_array
from ..geometry.templates import crop_from_image
from ..geometry.warp import crop_pictures
from ..identity.identity import Identity
from .onnx_swapper import OnnxSwapper

_HALF = (0.5, 0.5, 0.5)


def source_picture(identity: Identity, template: str, size: int) -> FloatArray:
    """(1, 3, size, size) RGB in [0, 1]: the best reference, aligned to a template."""
    best = identity.best
    face = identity.faces()[best][1]
    matrix = crop_from_image(face, template, size)
    crop = crop_pictures(identity.crops[best : best + 1].float() / 255, (0,), matrix[None], (size, size), "border")
    return as_float_array(np.ascontiguousarray(crop.permute(0, 3, 1, 2).numpy()))


UNIFACE = OnnxSwapper(
    "uniface_256",
    "UniFace 256 px",
    "Unknown (xc-csc101)",
    "uniface_256",
    "ffhq_512",
    256,
    lambda _: lambda identity: source_picture(identity, "ffhq_512", 256),
    _HALF,
    _HALF,
    signed=True,
)

BLENDSWAP = OnnxSwapper(
    "blendswap_256",
    "BlendSwap 256 px",
    "Non-commercial (mapooon)",
    "blendswap_256",
    "ffhq_512",
    256,
    lambda _: lambda identity: source_picture(identity, "arcface_112", 112),
)
