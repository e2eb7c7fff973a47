"""What an ONNX file refers to outside itself, read from its protobuf without loading it.

Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto and https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import UnsafeFileError, WrongWeightsError

#: Message -> number of the field that leads on -> message it holds. Only ways to a tensor are followed.
_WAYS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function", 20: "training"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH, _MAX_LOCATION_BYTES = 64, 4096


def check_external_data(path: Path) -> None:
    """Refuse an ONNX file whose tensors lie in files outside its own folder.

    Raises UnsafeFileError, naming the place, for an absolute one, one with a drive, one that climbs out or one that is
    a link out of the folder; WrongWeightsError for a file that is no complete protobuf.
    """
    folder = path.resolve().parent
    for location in external_locations(path):
        absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor != ""
        if absolute or not (folder / location.replace("\\", "/")).resolve().is_relative_to(folder):
            raise UnsafeFileError(
                f"{path} keeps weights in {location[:200]!r}, outside its own folder, and is not opened. Get the model "
                "from its publisher again, with its data files beside it."
            )


def external_locations(path: Path) -> tuple[str, ...]:
    """Where the tensors of an ONNX file say that their values lie, each place once, in order of appearance."""
    if path.stat().st_size == 0:
        raise WrongWeightsError(f"{path} is empty: download it again.")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return tuple(dict.fromkeys(_locations(data, 0, len(data), "model", 0)))
        except _BrokenError as error:
            raise WrongWeightsError(
                f"{path} is no ONNX model, or a truncated one ({len(data)} bytes; {error}): download it again."
            ) from error


class _BrokenError(Exception):
    pass


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise _BrokenError(f"nested more than {_MAX_DEPTH} deep")
    ways = _WAYS[message]
    for number, begin, stop in _fields(data, start, end):
        if ways.get(number) == "entry":
            yield from _location(data, begin, stop)
        elif number in ways:
            yield from _locations(data, begin, stop, ways[number], depth + 1)


def _location(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    """The value of an entry (key, value) whose key is "location"."""
    parts = {number: (begin, stop) for number, begin, stop in _fields(data, start, end)}
    key, value = parts.get(_KEY), parts.get(_VALUE)
    if key is None or value is None or data[slice(*key)] != b"location":
        return
    if value[1] - value[0] > _MAX_LOCATION_BYTES:
        raise _BrokenError(f"a file name of {value[1] - value[0]} bytes")
    location = data[slice(*value)]
    if b"\0" in location:
        raise _BrokenError("a file name with a zero in it")
    yield location.decode("utf-8", "surrogateescape")


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, begin, end) of every length-delimited field of a message; the others are stepped over."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        kind = tag & 7
        if kind == _BYTES:
            length, at = _varint(data, at, end)
            if length > end - at:
                raise _BrokenError(f"it ends {length - (end - at)} bytes early")
            yield tag >> 3, at, at + length
            at += length
        elif kind == _VARINT:
            _, at = _varint(data, at, end)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise _BrokenError(f"wire type {kind} at byte {at}")
    if at != end:
        raise _BrokenError(f"a field runs {at - end} bytes over its end")


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _BrokenError(f"a number at byte {at} has no end")
