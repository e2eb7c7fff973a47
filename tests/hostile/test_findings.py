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


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    return importlib.import_module("fuzz")


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: path.stem)
def test_a_file_that_broke_a_reader_is_now_read_or_refused(fuzz: Any, finding: Path, tmp_path: Path) -> None:
    assert fuzz.try_reader(finding.stem.rpartition("-")[0], finding.read_bytes(), tmp_path) is None


READ_WHOLE = (
    *("motion", "motion_csv", "motion_json", "weights", "torch_weights", "onnx", "zip", "png", "statement"),
    *("speech_head", "speaker_track", "captions", "video_frames", "video_sent"),
)


def accepted(reader: Any, data: bytes, folder: Path) -> bool:
    """Whether a reader reads a file to its end instead of refusing it."""
    path = folder / f"file{reader.suffix}"
    path.write_bytes(data)
    try:
        reader.read(path)
    except LikenessError:
        return False
    return True


@pytest.mark.parametrize("name", READ_WHOLE)
def test_the_search_starts_from_a_file_that_is_read_and_noise_is_refused(fuzz: Any, name: str, tmp_path: Path) -> None:
    reader = fuzz.READERS[name]
    assert accepted(reader, reader.seed(), tmp_path)
    assert not accepted(reader, b"\xff" * 64, tmp_path)


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
