"""The map from the recogniser's space to the swapper's that inswapper and its kin carry in their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import MissingPackageError, WrongWeightsError
from ..face import FloatArray, as_float_array
from ..identity.identity import Identity
from ..onnx_network import path_of
from ..registry import Registry
from .onnx_swapper import ARCFACE, SourceForm


def mapped_source(weights_id: str, registry: Registry) -> SourceForm:
    """The source's form by the map in a loaded file."""
    emap = read_emap(path_of(registry, weights_id))
    return lambda identity: mapped(identity, emap)


def mapped(identity: Identity, emap: FloatArray) -> FloatArray:
    """(1, 512): the source's form; see `map_vector`. Raises EncoderMismatchError."""
    return map_vector(identity.unit(ARCFACE), emap)


def map_vector(vector: FloatArray, emap: FloatArray) -> FloatArray:
    """(1, 512) of length 1: concretely v E / |v E| with v the recogniser's vector and E the map in the file."""
    latent = vector.astype(np.float64)[None] @ emap.astype(np.float64)
    return as_float_array(latent / max(float(np.linalg.norm(latent)), 1e-12))


def read_emap(path: Path) -> FloatArray:
    """The (512, 512) map from the recogniser's space to the swapper's: the graph's constant "emap", else its last."""
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError(f"{path.name} needs the package onnx: `pip install onnx`, then restart.") from error
    constants = onnx.load(str(path)).graph.initializer
    emap = next((constant for constant in constants if constant.name == "emap"), constants[-1] if constants else None)
    shape = tuple(emap.dims) if emap is not None else ()
    if emap is None or shape != (512, 512):
        raise WrongWeightsError(
            f"{path}: the map has the shape {shape}, inswapper's is (512, 512). It is another model "
            "under that name: fetch it anew."
        )
    return as_float_array(onnx.numpy_helper.to_array(emap))
