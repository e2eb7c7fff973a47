"""A text of a PNG by its name, read from the file's chunks: no pixel is decoded, no size is believed.

Specification: https://www.w3.org/TR/png-3, sections 5 (chunks) and 11.3.3 (texts).
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from ..errors import UnsafeFileError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
#: Pixels are stepped over. Their checksums are the business of who looks at them.
_PIXELS = (b"IDAT", b"fdAT")
#: Chunks of a file; a picture of 8 GB in the smallest pieces that programs write has as many.
_MAX_CHUNKS = 2**20
#: The longest name of a text and its end; the language and the translated name that an iTXt has besides.
_NAME_BYTES, _LANGUAGE_BYTES = 80, 1000
_BLOCK = 2**16


class _BrokenError(Exception):
    pass


def png_text(path: Path, name: str, max_bytes: int) -> str | None:
    """The first text of that name; None when the picture has none.

    max_bytes: how large the text may be, in the file and inflated. Raises UnsafeFileError for a file that is no PNG, is
    cut off, has a wrong checksum outside its pixels, or a larger text.
    """
    try:
        with path.open("rb") as file:
            return _search(file, path.stat().st_size, name.encode("latin-1"), max_bytes)
    except (_BrokenError, OSError) as error:
        raise UnsafeFileError(f"{path.name} cannot be read as a PNG: {error}") from error


def _search(file: BinaryIO, size: int, name: bytes, max_bytes: int) -> str | None:
    if file.read(8) != _SIGNATURE:
        raise _BrokenError("it does not begin as one.")
    for number in range(_MAX_CHUNKS):
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or length + 4 > size - file.tell():
            raise _BrokenError(f"it is cut off in chunk {number}, after {size} bytes.")
        if (number == 0) != (kind == b"IHDR"):
            raise _BrokenError("its header is missing or there twice.")
        if kind == b"IEND":
            return None
        if kind in _PIXELS:
            file.seek(length + 4, 1)
            continue
        begin = file.read(min(length, _NAME_BYTES))
        if kind in _TEXTS and begin.partition(b"\0")[0] == name:
            if length > max_bytes + _LANGUAGE_BYTES:
                raise _BrokenError(f"the text {name.decode()!r} has {length} bytes, at most {max_bytes} are read.")
            begin += file.read(length - len(begin))
            _check_sum(file, kind, begin, 0)
            return _text(kind, begin[len(name) + 1 :], max_bytes)
        _check_sum(file, kind, begin, length - len(begin))
    raise _BrokenError(f"it has more than {_MAX_CHUNKS} chunks.")


def _check_sum(file: BinaryIO, kind: bytes, begin: bytes, rest: int) -> None:
    found = zlib.crc32(begin, zlib.crc32(kind))
    while rest:
        block = file.read(min(rest, _BLOCK))
        if not block:
            raise _BrokenError("it became shorter while it was read.")
        found, rest = zlib.crc32(block, found), rest - len(block)
    stated = int.from_bytes(file.read(4), "big")
    if stated != found:
        raise _BrokenError(f"a chunk {kind.decode('latin-1')!r} has the checksum {found:08x}, {stated:08x} is stated.")


def _text(kind: bytes, content: bytes, max_bytes: int) -> str:
    """The text behind a chunk's name: tEXt plain; zTXt method, deflated; iTXt flag, method, language, name, text."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed, parts = content[:1] == b"\1", content[2:].split(b"\0", 2)
        if len(parts) != 3:
            raise _BrokenError("a text has no language before it.")
        content = content[1:2] + parts[2]
    elif not packed:
        content = b"\0" + content
    if packed:
        if content[:1] != b"\0":
            raise _BrokenError("a text is packed by a method that is unknown.")
        data = _inflated(content[1:], max_bytes)
    else:
        data = content[1:]
    try:
        return data.decode("utf-8" if kind == b"iTXt" else "latin-1")
    except UnicodeDecodeError as error:
        raise _BrokenError(f"a text is no UTF-8 ({error.reason} at byte {error.start}).") from error


def _inflated(data: bytes, max_bytes: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise _BrokenError(f"a packed text is damaged: {error}.") from error
    if len(text) > max_bytes:
        raise _BrokenError(f"a packed text of {len(data)} bytes unpacks to more than the {max_bytes} that are read.")
    if not unpacking.eof:
        raise _BrokenError("a packed text is cut off.")
    return text
