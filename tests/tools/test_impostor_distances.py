"""The table of distances names its photos, is what the tool writes, and is compared number by number."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from likeness.pipelines.weights import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import impostor_distances as tool


def test_the_file_is_what_the_tool_writes_of_its_numbers() -> None:
    text = tool.FILE.read_text("utf-8")
    table = json.loads(text)
    assert text == tool.as_text(table["look_alikes"], table["others"])


def test_the_numbers_of_pairs_follow_from_the_photos_that_are_named() -> None:
    table = json.loads(tool.FILE.read_text("utf-8"))
    group = {"t1.jpg": 6, "sample1.jpg": 3, "sample2.jpg": 2, "sample3.jpg": 3, "sample4.jpg": 4, "sample5.jpg": 5,
             "sample6.jpg": 4}  # fmt: skip
    photos = [photo for source in tool.SOURCES for photo in source.photos]
    portraits = [photo.person for photo in photos if photo.person]
    assert {photo.file for photo in photos if not photo.person} == set(group)
    assert len(table["look_alikes"]) == sum(n * (n - 1) // 2 for n in group.values()) == 44
    different = sum(a < b for a in portraits for b in portraits)
    assert len(table["others"]) == len(portraits) * sum(group.values()) + different == 174


def test_a_missing_photo_is_named_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "sample1.jpg").write_bytes(b"another picture of that name")
    with pytest.raises(SystemExit, match=r"sample1\.jpg of npm @vladmandic/face-api 1\.7\.15, demo; .*biden\.jpg"):
        tool.located(tmp_path)


def test_another_count_or_another_number_is_a_difference() -> None:
    kept = {"look_alikes": [0.5, 0.6], "others": [0.7]}
    assert tool.difference(kept, [0.5, 0.6], [0.7]) == 0
    assert tool.difference(kept, [0.5, 0.61], [0.7]) == pytest.approx(0.01)
    assert tool.difference(kept, [0.5], [0.7]) == float("inf")
