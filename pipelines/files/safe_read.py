"""Reading safetensors files that nobody vouches for: every size is checked before memory is taken for it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UnsafeFileError

#: The tensor types that are read, with their numpy names (little-endian, as the format says).
_TYPES = {"U8": "u1", "F32": "<f4"}

_MAX_TENSORS, _MAX_AXES = 256, 8


@dataclass(frozen=True)
class TensorInfo:
    """What a header says about a tensor. begin, end: its bytes, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file, checked: tensors tile the rest of the file exactly."""

    metadata: dict[str, str]
    tensors: dict[str, TensorInfo]


def read_safetensors(
    path: Path, max_bytes: int, max_header_bytes: int
) -> tuple[Header, Callable[[], dict[str, NDArray[Any]]]]:
    """The header of a file, and a function that reads its tensors once the header has been found acceptable.

    Only unsigned bytes and float32 are known. Raises InputError when the file is missing or not readable, and
    UnsafeFileError, naming file and fault, when it is larger than allowed, truncated or malformed.
    """
    try:
        if not path.is_file():
            raise InputError(f"There is no file {path}.")
        size = path.stat().st_size
        if size > max_bytes:
            raise UnsafeFileError(f"{path} is refused: it has {size} bytes, at most {max_bytes} are read.")
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(max_header_bytes, size - 8):
                raise UnsafeFileError(
                    f"{path} is refused: {size} bytes with a header said to have {length} are no safetensors file; "
                    "it may be truncated."
                )
            text = file.read(length)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    header = _parse(path, text, size - 8 - length)
    return header, lambda: _read(path, header, 8 + length, size)


def _read(path: Path, header: Header, offset: int, size: int) -> dict[str, NDArray[Any]]:
    data = path.read_bytes() if path.stat().st_size == size else b""
    if len(data) != size:
        raise UnsafeFileError(f"{path} is refused: it was changed while it was read.")
    return {
        # a copy: arrays that only look at the file's bytes could not be written to, and would keep all of them
        name: np.frombuffer(data, _TYPES[info.dtype], prod(info.shape), offset + info.begin).reshape(info.shape).copy()
        for name, info in header.tensors.items()
    }


def _parse(path: Path, text: bytes, body_bytes: int) -> Header:
    try:
        raw: Any = json.loads(text.decode("utf-8"), object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise UnsafeFileError(f"{path} is refused: its header is no JSON ({str(error)[:120]}).") from error
    if not isinstance(raw, dict):
        raise UnsafeFileError(f"{path} is refused: its header is no JSON object.")
    entries = cast(dict[str, Any], raw)
    metadata: Any = entries.pop("__metadata__", {})
    texts = isinstance(metadata, dict) and all(isinstance(v, str) for v in cast(dict[str, Any], metadata).values())
    if not texts or len(entries) > _MAX_TENSORS:
        raise UnsafeFileError(f"{path} is refused: its metadata are no texts, or it has over {_MAX_TENSORS} tensors.")
    tensors = {name: _tensor(path, name, entry) for name, entry in entries.items()}
    end = 0
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if info.begin != end:
            raise UnsafeFileError(f"{path} is refused: the tensor {name[:80]!r} overlaps another or leaves a gap.")
        end = info.end
    if end != body_bytes:
        raise UnsafeFileError(f"{path} is refused: it has {body_bytes} bytes of tensors, its header says {end}.")
    return Header(cast(dict[str, str], metadata), tensors)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name is given twice")
    return entries


def _tensor(path: Path, name: str, entry: Any) -> TensorInfo:
    fields = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
    dtype, shape, offsets = fields.get("dtype"), _sizes(fields.get("shape")), _sizes(fields.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise UnsafeFileError(f"{path} is refused: the tensor {name[:80]!r} has the type {str(dtype)[:40]!r}.")
    if shape is None or offsets is None or len(shape) > _MAX_AXES or len(offsets) != 2:
        raise UnsafeFileError(f"{path} is refused: the tensor {name[:80]!r} has no valid shape and place.")
    begin, end = offsets
    if end - begin != prod(shape) * np.dtype(_TYPES[dtype]).itemsize:
        raise UnsafeFileError(f"{path} is refused: the tensor {name[:80]!r} {shape} does not fit its place.")
    return TensorInfo(dtype, shape, begin, end)


def _sizes(values: Any) -> tuple[int, ...] | None:
    """Whole numbers from the header, each below 2^48; None for anything else."""
    if not isinstance(values, list):
        return None
    numbers = tuple(cast(list[Any], values))
    return numbers if all(type(number) is int and 0 <= number < 2**48 for number in numbers) else None
