"""The small networks that convert a source vector from ArcFace's space to a swapper's own."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..face import FloatArray, as_float_array
from ..identity.identity import Identity
from ..onnx_network import Interface, OnnxNetwork
from ..registry import Registry
from .onnx_swapper import ARCFACE, ARCFACE_WIDTH, SourceForm


def converted(converter: str, unit: bool, registry: Registry) -> SourceForm:
    """The converter's result for the raw vector, of length 1 when `unit`. Raises as `OnnxNetwork`."""
    width = (ARCFACE_WIDTH,)
    network = OnnxNetwork(registry, converter, Interface({"input": width}, width))

    def form(identity: Identity) -> FloatArray:
        vector = network.run_in_parts({"input": identity.raw(ARCFACE)[None]}, 1)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length < 1e-12:
            raise InputError(f"{converter} gave a vector of length {length:g} for identity {identity.name!r}.")
        return as_float_array(vector / length) if unit else vector

    return form
