"""inswapper 128: the swapper of insightface, full and half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import MissingPackageError, WrongWeightsError
from ..face import FloatArray, as_float_array
from ..identity.identity import Identity
from ..onnx_network import path_of
from ..registry import Registry
from .onnx_swapper import OnnxSwapper, SourceForm

_ENCODER = "arcface_w600k_r50"
_LICENCE = "InsightFace weights: non-commercial research only"


def _source(weights_id: str, registry: Registry) -> SourceForm:
    emap = read_emap(path_of(registry, weights_id))
    return lambda identity: mapped(identity, emap)


def mapped(identity: Identity, emap: FloatArray) -> FloatArray:
    """(1, 512): the source's form; see `map_vector`. Raises EncoderMismatchError."""
    return map_vector(identity.unit(_ENCODER), emap)


def map_vector(vector: FloatArray, emap: FloatArray) -> FloatArray:
    """(1, 512) of length 1: concretely v E / |v E| with v the recogniser's vector and E the map in the file."""
    latent = vector.astype(np.float64)[None] @ emap.astype(np.float64)
    return as_float_array(latent / max(float(np.linalg.norm(latent)), 1e-12))


def read_emap(path: Path) -> FloatArray:
    """The (512, 512) map from the recogniser's space to the swapper's: the last initializer of the file's graph."""
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError(f"{path.name} needs the package onnx: `pip install onnx`, then restart.") from error
    constants = onnx.load(str(path)).graph.initializer
    shape = tuple(constants[-1].dims) if len(constants) else ()
    if shape != (512, 512):
        raise WrongWeightsError(
            f"{path}: the last constant has the shape {shape}, inswapper's map is (512, 512). It is another model "
            "under that name: fetch it anew."
        )
    return as_float_array(onnx.numpy_helper.to_array(constants[-1]))


INSWAPPER_FP16 = OnnxSwapper(
    "inswapper_128_fp16",
    "inswapper 128 px, half precision",
    _LICENCE,
    "inswapper_128_fp16",
    "arcface_128",
    128,
    lambda registry: _source("inswapper_128_fp16", registry),
    also=("insightface_w600k_r50",),
)

INSWAPPER = OnnxSwapper(
    "inswapper_128",
    "inswapper 128 px",
    _LICENCE,
    "inswapper_128",
    "arcface_128",
    128,
    lambda registry: _source("inswapper_128", registry),
    also=("insightface_w600k_r50",),
)
