"""The small networks that convert a source vector from ArcFace's space to a swapper's own."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..face import FloatArray, as_float_array
from ..identity.identity import Identity
from ..onnx_network import OnnxNetwork
from ..registry import Registry
from .onnx_swapper import ARCFACE, SourceForm


def converted(converter: str, unit: bool, registry: Registry) -> SourceForm:
    """The converter's result for the raw vector, of length 1 when `unit`."""
    network = OnnxNetwork(registry, converter)
    network.shape("input")

    def form(identity: Identity) -> FloatArray:
        vector = network.run({"input": identity.raw(ARCFACE)[None]}).reshape(1, -1)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length < 1e-12:
            raise InputError(f"{converter} gave a vector of length {length:g} for identity {identity.name!r}.")
        return as_float_array(vector / length) if unit else vector

    return form
