"""Emotion priors: 256 numbers that say how somebody feels, as DICE-Talk publishes them or as plain arrays."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from ...errors import UnsafeFileError, WrongWeightsError
from ...face import FloatArray, as_float_array
from .emotion import PRIOR

#: Endings of prior files.
SUFFIXES = (".npy", ".safetensors")
#: The name of the prior inside the published files and in safetensors.
NAME = "mu"
_MAGIC = b"\x93NUMPY"
_MOST_BYTES = 1_000_000
#: In the header of a plain array.
_KIND = re.compile(rb"'descr':\s*'<(f[48])'")


def read_prior(path: Path) -> Tensor:
    """(256,) float32 of a file.

    The published `.npy` holds a Python object, whose instructions are only read here and never carried out. Raises
    WrongWeightsError for any other content, UnsafeFileError for a file that is too large to be a prior.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise UnsafeFileError(f"{path.name} has {path.stat().st_size} bytes: an emotion prior has about 1400.")
    values = _from_safetensors(path) if path.suffix == ".safetensors" else _from_npy(path)
    flat = as_float_array(values).reshape(-1)
    if flat.shape != (PRIOR,) or not np.isfinite(flat).all():
        raise WrongWeightsError(f"{path.name} holds {flat.size} numbers; an emotion prior has {PRIOR} finite ones.")
    return torch.from_numpy(flat.copy())


def _from_safetensors(path: Path) -> FloatArray:
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WrongWeightsError(f"{path.name} is no safetensors file ({error}).") from error
    if NAME not in tensors:
        raise WrongWeightsError(f"{path.name} has no tensor {NAME!r}; it has {', '.join(tensors) or 'none'}.")
    return as_float_array(tensors[NAME])


def _from_npy(path: Path) -> FloatArray:
    content = path.read_bytes()
    if not content.startswith(_MAGIC) or len(content) < 12:
        raise WrongWeightsError(f"{path.name} is no .npy file.")
    start = 10 + int.from_bytes(content[8:10], "little")
    header, body = content[10:start], content[start:]
    if b"'|O'" not in header:
        return _plain(header, body, path.name)
    try:
        found = next(_numbers_after_name(body), None)
    except ValueError as error:  # what the reader of instructions raises where there are none
        raise WrongWeightsError(f"{path.name} is no complete .npy file ({error}).") from error
    if found is None:
        raise WrongWeightsError(f"{path.name} has no array {NAME!r} of {PRIOR} numbers.")
    return found


def _plain(header: bytes, body: bytes, name: str) -> FloatArray:
    """The numbers of a plain array; its shape does not matter, what follows the header has to be all of it."""
    kind = _KIND.search(header)
    if kind is None or len(body) % int(kind[1][1:]):
        raise WrongWeightsError(f"{name} is no complete .npy file of little-endian floats (f4 or f8).")
    return as_float_array(np.frombuffer(body, f"<{kind[1].decode()}"))


def _numbers_after_name(instructions: bytes) -> Iterator[FloatArray]:
    """The arrays of 256 numbers that the instructions name `mu`."""
    named, kind = False, ""
    for _, value, _ in pickletools.genops(instructions):
        if isinstance(value, str) and value == NAME:
            named = True
        elif isinstance(value, str) and value in ("f4", "f8"):
            kind = value
        elif named and isinstance(value, bytes) and kind and len(value) == PRIOR * int(kind[1]):
            yield as_float_array(np.frombuffer(value, f"<{kind}"))
