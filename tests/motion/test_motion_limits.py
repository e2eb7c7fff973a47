"""Motions as text are counted before they are parsed: what is read has a bound, and an hour is well within it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.errors import InputError, UnsafeFileError
from likeness.pipelines.motion import json_file, live_link, storage
from likeness.pipelines.motion.json_file import MAX_JSON_BYTES, MAX_JSON_LISTS, MAX_JSON_VALUES, motion_to_json
from likeness.pipelines.motion.live_link import MAX_CSV_BYTES, motion_to_csv
from likeness.pipelines.motion.motion import Motion
from likeness.pipelines.motion.storage import load_motion

HOUR = 3600 * 60


@pytest.fixture(scope="module")
def second() -> Motion:
    """A second at 60 frames per second in which every number has all its digits."""
    values = np.random.default_rng(1).uniform(0.1, 0.9, (60, 58)).astype(np.float32)
    return Motion(60.0, values[:, :52], values[:, 52:55], values[:, 55:])


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_an_hour_of_any_face_at_60_frames_per_second_is_within_every_limit(second: Motion) -> None:
    json, csv = motion_to_json(second), motion_to_csv(second)
    assert len(json) * 3600 < MAX_JSON_BYTES
    assert len(csv) * 3600 < MAX_CSV_BYTES
    assert 3 * HOUR + 100 < MAX_JSON_LISTS
    assert (json.count(",") + json.count("[")) * 3600 < MAX_JSON_VALUES


@pytest.mark.parametrize(("values", "lists"), [("[],", 1_048_577), ("0,", 1)])
def test_json_of_more_lists_or_numbers_than_are_read_is_refused_before_it_takes_memory(
    tmp_path: Path, values: str, lists: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file, "MAX_JSON_VALUES", 1_500_000)
    path = write(tmp_path, "a.json", '{"x":[' + values * (lists if lists > 1 else 1_500_000) + "0]}")
    tracemalloc.start()
    with pytest.raises(UnsafeFileError, match=r"a\.json: This JSON has \d+ lists and \d+ values; 1048576 and 1500000"):
        load_motion(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * path.stat().st_size


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_text_of_more_bytes_than_are_read_is_refused_with_both_numbers_and_a_way_out(
    tmp_path: Path, second: Motion, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, f"a.{form}", motion_to_json(second) if form == "json" else motion_to_csv(second))
    monkeypatch.setattr(storage, f"MAX_{form.upper()}_BYTES", 1000)
    size = path.stat().st_size
    with pytest.raises(UnsafeFileError, match=rf"has {size} bytes, at most 1000 are read\. Save .* as safetensors, or"):
        load_motion(path)


def test_csv_takes_little_more_memory_than_its_text_and_its_numbers(tmp_path: Path, second: Motion) -> None:
    header, *rows = [line.split(",", 1)[1] for line in motion_to_csv(second).splitlines()]
    path = write(tmp_path, "a.csv", "\n".join([header, *rows * 20]))
    tracemalloc.start()
    motion, _ = load_motion(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(motion) == 1200
    assert peak < 2 * path.stat().st_size + 8 * motion.values.nbytes


@pytest.mark.parametrize("row", ["1," * 40_000, '"' + "\n" + '","\n' * 40_000])
def test_a_row_without_an_end_is_refused(row: str) -> None:
    with (
        pytest.raises(InputError, match="fields|no number")
        if "\n" in row
        else pytest.raises(UnsafeFileError, match="A row has 80001 characters, at most 65536")
    ):
        live_link.motion_from_csv(f"JawOpen,HeadYaw\n{row}\n", live_link.CsvOptions())


def test_line_ends_of_every_system_are_rows() -> None:
    for end in ("\n", "\r\n", "\r"):
        motion, _ = live_link.motion_from_csv(end.join(["JawOpen,HeadYaw", "0.25,0", "0.5,0"]), live_link.CsvOptions())
        assert motion.channel("jawOpen").tolist() == [0.25, 0.5]
