"""The map from the recogniser's space to the swapper's that inswapper and its kin carry in their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import LikenessError, MissingPackageError, WrongWeightsError
from ..face import FloatArray, as_float_array
from ..files.onnx_data import check_external_data
from ..identity.identity import Identity
from ..onnx_network import path_of
from ..registry import Registry
from .onnx_swapper import ARCFACE, ARCFACE_WIDTH, SourceForm

_WAY_OUT = "It is another model under that name, or a damaged one: move it away and fetch it anew."


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
    """The (512, 512) map from the recogniser's space to the swapper's: the graph's constant "emap", else its last.

    Raises WrongWeightsError for a file that is no ONNX model or has no whole map of that size, UnsafeFileError for one
    whose values lie outside its folder, MissingPackageError.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingPackageError(f"{path.name} needs the package onnx: `pip install onnx`, then restart.") from error
    needed = (ARCFACE_WIDTH, ARCFACE_WIDTH)
    try:
        # values that lie in files beside it are read for the map alone, and from nowhere else
        constants = onnx.load(str(path), format="protobuf", load_external_data=False).graph.initializer
        check_external_data(path)
        chosen = [constant for constant in constants if constant.name == "emap"] or list(constants[-1:])
        shapes = [tuple(constant.dims) for constant in chosen]
        maps = [onnx.numpy_helper.to_array(one, str(path.parent)) for one in chosen if tuple(one.dims) == needed]
    except LikenessError:
        raise
    except KeyError as error:
        raise WrongWeightsError(f"{path}: its map has numbers of the unknown type {error}. {_WAY_OUT}") from error
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise WrongWeightsError(f"{path} cannot be read for its map: {error}. {_WAY_OUT}") from error
    if not maps:
        found = f"the shape {shapes[0]}" if shapes else "no constant at all"
        raise WrongWeightsError(f"{path}: its map has {found}, inswapper's is {needed}. {_WAY_OUT}")
    if not np.isfinite(maps[0]).all():
        count = int((~np.isfinite(maps[0])).sum())
        raise WrongWeightsError(f"{path}: {count} of its map's {maps[0].size} values are not finite. {_WAY_OUT}")
    return as_float_array(maps[0])
