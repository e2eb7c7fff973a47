"""Values in content credentials that are said to be larger than what holds them are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.pipelines.errors import UnsafeFileError
from likeness.pipelines.safety.credential_sizes import check_credential_sizes


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def write(folder: Path, values: bytes) -> Path:
    path = folder / "a.bin"
    inner = box(b"jumb", box(b"jumd", b"inner") + box(b"json", b"{}") + box(b"cbor", values))
    path.write_bytes(b"any file" + box(b"jumb", box(b"jumd", b"outer") + inner) + b"its end" * 100)
    return path


@pytest.mark.parametrize(
    "values",
    [
        b"\x64text",
        b"\xa1\x61a\x82\1\x18\xff",
        b"\xd2\x43abc",
        b"\x9f\1\2\xff",
        b"\x7f\x61a\x61b\xff",
        b"\xfb" + bytes(8),
        b"",
    ],
)
def test_values_that_fit_are_let_through(tmp_path: Path, values: bytes) -> None:
    check_credential_sizes(write(tmp_path, values))


@pytest.mark.parametrize(
    ("values", "parts", "left"),
    [
        (b"\x65text", 5, 4),
        (b"\x7a\xa7\x66\x61\x63tion", 0xA7666163, 4),
        (b"\x5b" + b"\xff" * 8 + b"x", 2**64 - 1, 1),
        (b"\x81\x9a\x10\0\0\0\1", 2**28, 1),
        (b"\xb9\0\2\1\2\3", 2, 3),
    ],
)
def test_values_that_do_not_fit_are_refused_with_both_numbers(
    tmp_path: Path, values: bytes, parts: int, left: int
) -> None:
    with pytest.raises(UnsafeFileError, match=rf"a\.bin is refused: .* {parts} parts where {left} bytes are left"):
        check_credential_sizes(write(tmp_path, values))


def test_a_file_without_credentials_or_content_is_let_through(tmp_path: Path) -> None:
    for content in (b"", b"jumb", b"jumb\0\0\0\0jumd", b"\0\0\1\0jumb\0\0\0\0j", b"cbor" * 9):
        (tmp_path / "a.bin").write_bytes(content)
        check_credential_sizes(tmp_path / "a.bin")


@pytest.mark.parametrize("head", [b"\0\0\0\1jumb" + bytes(7) + b"\x99", b"\0\0\0\0jumb", b"\0\0\0\7jumb"])
def test_lengths_that_hide_what_follows_are_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"any file" + head + box(b"jumd", b"outer") + box(b"cbor", b"\x65text"))
    with pytest.raises(UnsafeFileError, match=r"part of its content credentials has the length [017]\."):
        check_credential_sizes(path)
    path.write_bytes(b"any file" + box(b"jumb", box(b"jumd", b"outer") + b"\0\0\0\1cbor" + bytes(9)))
    with pytest.raises(UnsafeFileError, match=r"has the length 1\."):
        check_credential_sizes(path)
