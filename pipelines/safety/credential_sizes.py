"""The sizes in content credentials, held against the file: c2pa takes the memory that a CBOR text says it has.

Boxes: ISO 19566-5 (JUMBF). Values: RFC 8949 (CBOR).
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from ..errors import UnsafeFileError

#: A superbox begins with its description; both have their lengths before their names. A length of 1 says that the real
#: one follows in eight bytes, which no credentials need.
_SUPERBOX = re.compile(rb"(?s)jumb(?=(?:.{8})?....jumd)")
_HEAD_BYTES = 8
_BYTES, _TEXT, _LIST, _TABLE = 2, 3, 4, 5


def check_credential_sizes(path: Path) -> None:
    """Refuse a file in whose content credentials a value is said to be larger than what holds it.

    Raises UnsafeFileError with both numbers.
    """
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for found in _SUPERBOX.finditer(data, _HEAD_BYTES // 2):
            at = found.start() - 4
            end = min(len(data), at + _length(path, data, at))
            at += _HEAD_BYTES
            while at + _HEAD_BYTES <= end:
                length = _length(path, data, at)
                if data[at + 4 : at + _HEAD_BYTES] == b"cbor":
                    _check_values(path, data[at + _HEAD_BYTES : min(at + length, end)])
                at += length


def _length(path: Path, data: mmap.mmap, at: int) -> int:
    length = int.from_bytes(data[at : at + 4], "big")
    if length < _HEAD_BYTES:
        raise UnsafeFileError(f"{path.name} is refused: a part of its content credentials has the length {length}.")
    return length


def _check_values(path: Path, data: bytes) -> None:
    """Walk over the heads of all values, however they lie in each other."""
    at = 0
    while at < len(data):
        kind, short = data[at] >> 5, data[at] & 31
        at += 1
        extra = 1 << (short - 24) if 24 <= short <= 27 else 0
        size = int.from_bytes(data[at : at + extra], "big") if extra else short % 31
        at += extra
        left = len(data) - at
        needed = {_BYTES: size, _TEXT: size, _LIST: size, _TABLE: 2 * size}.get(kind, 0)
        if needed > left:
            raise UnsafeFileError(
                f"{path.name} is refused: a value in its content credentials is said to have {size} parts where "
                f"{left} bytes are left. They were changed or damaged; get the file from its maker again."
            )
        at += needed if kind in (_BYTES, _TEXT) else 0
