"""Texts of a PNG are found by its chunks alone, and neither pixels nor packed texts can take more than the limit."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from likeness.pipelines.errors import UnsafeFileError
from likeness.pipelines.safety.png_text import png_text

LIMIT = 5000


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def png(*chunks: bytes, size: int = 2) -> bytes:
    head = size.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", head), *chunks, chunk(b"IEND", b"")])


def read(folder: Path, content: bytes) -> str | None:
    path = folder / "a.png"
    path.write_bytes(content)
    return png_text(path, "likeness", LIMIT)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["tEXt", "iTXt"])
def test_every_kind_of_text_that_pillow_writes_is_read_as_pillow_reads_it(
    tmp_path: Path, kind: str, packed: bool
) -> None:
    notes, text = PngImagePlugin.PngInfo(), "Grâce" + (" 福" if kind == "iTXt" else "") + "!" * 99
    (notes.add_itxt if kind == "iTXt" else notes.add_text)("other", "not this")
    (notes.add_itxt if kind == "iTXt" else notes.add_text)("likeness", text, zip=packed)
    file = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(file, "PNG", pnginfo=notes)
    assert read(tmp_path, file.getvalue()) == text
    with Image.open(file) as picture:
        assert picture.info["likeness"] == text


def test_a_text_behind_the_pixels_is_found_and_one_of_another_name_is_not(tmp_path: Path) -> None:
    pixels = chunk(b"IDAT", zlib.compress(bytes(14)))
    assert read(tmp_path, png(pixels, chunk(b"tEXt", b"likeness\0here"))) == "here"
    assert read(tmp_path, png(pixels, chunk(b"tEXt", b"likenesses\0here"))) is None


def test_a_picture_that_would_fill_the_memory_is_read_without_its_pixels(tmp_path: Path) -> None:
    pack = zlib.compressobj(9)
    rows = b"".join(pack.compress(bytes(36_001)) for _ in range(1200)) + pack.flush()
    content = png(chunk(b"IDAT", rows), chunk(b"tEXt", b"likeness\0here"), size=12_000)
    tracemalloc.start()
    assert read(tmp_path, content) == "here"
    assert read(tmp_path, png(chunk(b"tEXt", b"likeness\0here"), size=2**31 - 1)) == "here"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 < 12_000 * 1200 * 3


def bomb(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (png(chunk(b"zTXt", b"likeness\0\0" + bomb(LIMIT + 1))), "unpacks to more than the 5000"),
        (png(chunk(b"iTXt", b"likeness\0\1\0\0\0" + bomb(5_000_000))), "unpacks to more than the 5000"),
        (png(chunk(b"tEXt", b"likeness\0" + bytes(LIMIT + 2000))), "has 7009 bytes, at most 5000"),
        (png(chunk(b"zTXt", b"likeness\0\0" + bomb(400)[:-5])), "is cut off"),
        (png(chunk(b"zTXt", b"likeness\0\0nonsense")), "is damaged"),
        (png(chunk(b"zTXt", b"likeness\0\7" + bomb(4))), "method that is unknown"),
        (png(chunk(b"iTXt", b"likeness\0\0\0")), "no language"),
        (png(chunk(b"iTXt", b"likeness\0\0\0\0\0\xff")), "no UTF-8"),
        (png(chunk(b"tEXt", b"likeness\0here")).replace(b"here", b"hare"), "checksum"),
        (png(chunk(b"gAMA", b"\0\0\0\1")).replace(b"\0\0\0\1", b"\0\0\0\2", 1), "checksum"),
        (png(chunk(b"IHDR", bytes(13))), "header is missing or there twice"),
        (png()[:-3], "cut off in chunk 1"),
        (png()[:20], "cut off in chunk 0"),
        (png()[:8] + b"\xff\xff\xff\xffIDAT" + bytes(99), "cut off in chunk 0"),
        (b"GIF89a" + bytes(99), "does not begin as one"),
    ],
    ids=range(15),
)
def test_what_is_damaged_or_too_large_is_refused_with_the_numbers(tmp_path: Path, content: bytes, fault: str) -> None:
    with pytest.raises(UnsafeFileError, match=f"a.png cannot be read as a PNG: .*{fault}"):
        read(tmp_path, content)


def test_a_text_of_the_very_limit_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, png(chunk(b"zTXt", b"likeness\0\0" + zlib.compress(b"x" * LIMIT)))) == "x" * LIMIT
