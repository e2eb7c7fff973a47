"""Files that once broke a reader, and the search that found them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from likeness.pipelines.errors import LikenessError

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = sorted((ROOT / "tests" / "hostile" / "findings").iterdir())
#: Whoever types a transcript may type anything; a file that is no picture carries no credentials.
READS_ANYTHING = ("transcript", "credentials")
#: These give None where a file says nothing.
FINDS = ("png", "video", "video_mkv", "credentials")


def reader_names() -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
        return list(importlib.import_module("untrusted").READERS)


NAMES = reader_names()


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    return importlib.import_module("fuzz")


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: path.stem)
def test_a_file_that_broke_a_reader_is_now_read_or_refused(fuzz: Any, finding: Path, tmp_path: Path) -> None:
    assert fuzz.try_reader(finding.stem.rpartition("-")[0], finding.read_bytes(), tmp_path) is None


def accepted(reader: Any, data: bytes, folder: Path) -> bool:
    """Whether a reader reads a file to its end instead of refusing it."""
    path = folder / f"file{reader.suffix}"
    path.write_bytes(data)
    try:
        reader.read(path)
    except LikenessError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_the_search_starts_from_a_file_that_is_read_and_noise_is_refused(fuzz: Any, name: str, tmp_path: Path) -> None:
    reader = fuzz.READERS[name]
    for package in reader.needs:
        pytest.importorskip(package, reason=f"the reader {name} needs it")
    assert accepted(reader, reader.seed(), tmp_path)
    assert not accepted(reader, b"\xff" * 64, tmp_path) or name in READS_ANYTHING


@pytest.mark.parametrize("name", FINDS)
def test_the_search_for_statements_starts_from_a_file_that_carries_one(fuzz: Any, name: str, tmp_path: Path) -> None:
    reader = fuzz.READERS[name]
    for package in reader.needs:
        pytest.importorskip(package, reason=f"the reader {name} needs it")
    path = tmp_path / f"file{reader.suffix}"
    path.write_bytes(reader.seed())
    assert reader.read(path) is not None


def test_a_reader_without_its_packages_is_left_out_and_says_so(
    fuzz: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = importlib.import_module("untrusted").Reader(".txt", Path.read_bytes, lambda: b"", ("no_such_package",))
    monkeypatch.setitem(fuzz.READERS, "needy", reader)
    assert fuzz.main(["hypothesis", "--minutes", "0.01", "--reader", "needy"]) == 0
    assert "needy: left out, it needs no_such_package (pip)\n" == capsys.readouterr().out


def test_a_reader_with_a_mistake_is_found_and_its_file_kept(
    fuzz: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = importlib.import_module("untrusted").Reader(
        ".txt", lambda path: path.read_bytes().index(b"seed"), lambda: b"a seed"
    )
    monkeypatch.setitem(fuzz.READERS, "broken", broken)
    monkeypatch.setattr(fuzz, "ROOT", tmp_path)
    monkeypatch.setattr(fuzz, "FINDINGS", tmp_path / "findings")
    assert fuzz.with_hypothesis("broken", 20) == 1
    (kept,) = (tmp_path / "findings").iterdir()
    assert b"seed" not in kept.read_bytes()
