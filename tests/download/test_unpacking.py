"""A zip is unpacked inside its folder, whole or not at all, and never larger than it promised."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from likeness.pipelines.download.fetch import fetch
from likeness.pipelines.download.terms import present, terms, with_needs
from likeness.pipelines.download.transfer import Patience
from likeness.pipelines.download.unpack import unpack
from likeness.pipelines.errors import InputError, UnsafeFileError, WrongWeightsError
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Archive, Manifest
from likeness.tests.download.file_server import FileServer, Served, sha256
from likeness.tests.download.wanted import entry_of, files_below


def zipped(members: dict[str, bytes] | list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    pairs = members.items() if isinstance(members, dict) else members
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return file.getvalue()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "pack.zip"
    path.write_bytes(content)
    return path


def test_folders_that_everything_lies_in_are_left_away(tmp_path: Path) -> None:
    path = write(tmp_path, zipped({"antelopev2/": b"", "antelopev2/a.onnx": b"a", "antelopev2/b.onnx": b"bb"}))
    assert unpack(path, tmp_path / "out") == (tmp_path / "out" / "a.onnx", tmp_path / "out" / "b.onnx")
    assert files_below(tmp_path / "out") == ["a.onnx", "b.onnx"]


def test_files_beside_each_other_keep_their_folders(tmp_path: Path) -> None:
    unpack(write(tmp_path, zipped({"x/a.onnx": b"a", "y/a.onnx": b"b", "c.onnx": b"c"})), tmp_path / "out")
    assert files_below(tmp_path / "out") == ["c.onnx", "x/a.onnx", "y/a.onnx"]


def link(name: str, to: str) -> list[tuple[zipfile.ZipInfo, bytes]]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return [(info, to.encode()), (zipfile.ZipInfo("b.onnx"), b"b")]


def lying_about_its_size() -> bytes:
    """A member whose header and directory promise 10 bytes but whose compressed data holds 100 000."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.onnx", bytes(100_000))
    return file.getvalue().replace(struct.pack("<L", 100_000), struct.pack("<L", 10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"../evil.onnx": b"x", "a.onnx": b"x"}), "would lie outside its folder"),
        (zipped({"a/../../evil.onnx": b"x"}), "would lie outside its folder"),
        (zipped({"/etc/evil.onnx": b"x"}), "would lie outside its folder"),
        (zipped({"..\\evil.onnx": b"x"}), "would lie outside its folder"),
        (zipped({"C:\\evil.onnx": b"x"}), "would lie outside its folder"),
        (zipped({"C:evil.onnx": b"x"}), "contains :"),
        (zipped({"a.onnx:stream": b"x"}), "contains :"),
        (zipped({"nul.onnx": b"x"}), "device name"),
        (zipped({"a.onnx.": b"x"}), "begins or ends with a dot"),
        (zipped({"a.onnx": b"x", "A.ONNX": b"y"}), "two of its members have the same name"),
        (zipped(link("a.onnx", "/etc/passwd")), "is a link or a special file"),
        (zipped({f"{number}.onnx": b"x" for number in range(100)}), "it has 100 members, at most 64"),
        (lying_about_its_size(), "cannot be unpacked|larger than"),
        (zipped({"a.onnx": b"x" * 1000})[:-30], "cannot be unpacked"),
        (b"<html>", "cannot be unpacked"),
    ],
    ids=lambda value: value if isinstance(value, str) else "zip",
)
def test_what_is_not_safe_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UnsafeFileError, match=message):
        unpack(path, tmp_path / "models" / "out")
    assert files_below(tmp_path) == ["pack.zip"]


def test_a_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.onnx", bytes(10_000_000))
    with pytest.raises(UnsafeFileError, match="are said to unpack to 10000000"):
        unpack(write(tmp_path, file.getvalue()), tmp_path / "out")
    assert files_below(tmp_path) == ["pack.zip"]


def test_a_broken_checksum_is_refused(tmp_path: Path) -> None:
    content = zipped({"a.onnx": b"weights" * 100})
    with pytest.raises(UnsafeFileError, match="Bad CRC-32"):
        unpack(write(tmp_path, content.replace(b"weights", b"veights", 1)), tmp_path / "out")
    assert files_below(tmp_path) == ["pack.zip"]


def test_a_file_that_is_there_is_kept_and_another_content_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, zipped({"a.onnx": b"aa", "b.onnx": b"bb"}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.onnx").write_bytes(b"bb")
    unpack(path, tmp_path / "out")
    (tmp_path / "out" / "a.onnx").unlink()
    (tmp_path / "out" / "b.onnx").write_bytes(b"xx")
    with pytest.raises(InputError, match=r"b\.onnx is there with another content"):
        unpack(path, tmp_path / "out")
    assert files_below(tmp_path / "out") == ["b.onnx"]


def archive_of(content: bytes, contains: tuple[str, ...]) -> Archive:
    return Archive(
        id="pack", file="pack.zip", folder="insightface/models/pack", urls=(), size_bytes=len(content),
        sha256=sha256(content), licence="research only", commercial_use="no", contains=contains, source="the test",
    )  # fmt: skip


@pytest.mark.parametrize("right", [True, False])
def test_an_archive_is_fetched_unpacked_and_its_files_are_the_listed_ones(
    server: FileServer, runtime: TorchRuntime, tmp_path: Path, right: bool
) -> None:
    content = zipped({"pack/det.onnx": b"detector", "pack/other.onnx": b"not ours"})
    listed = b"detector" if right else b"Detector"
    entry = entry_of(listed, file="main.onnx", folder="insightface/x", aliases=("insightface/models/pack/det.onnx",))
    archive = archive_of(content, ("a",))
    manifest = Manifest((entry,), (archive,))
    server.files["/insightface/models/pack/pack.zip"] = Served(content, drops=[50])
    assert with_needs(manifest, ["a", "pack"]) == (archive,)

    def bring() -> Path:
        return fetch(archive, manifest, runtime, terms(archive), lambda done, total: None, Patience(pause_s=0.01))

    folder = tmp_path / "models" / "insightface" / "models" / "pack"
    assert present(archive, manifest, runtime) is None
    if not right:
        with pytest.raises(WrongWeightsError, match=sha256(b"Detector")):
            bring()
        return
    assert bring() == folder
    assert files_below(tmp_path) == [f"models/insightface/models/pack/{name}.onnx" for name in ("det", "other")]
    assert present(archive, manifest, runtime) == folder
    assert present(entry, manifest, runtime) == folder / "det.onnx"
