"""Motions on disk and from other programs: what is written comes back, and nothing else is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_safetensors

from likeness.pipelines.errors import InputError, LikenessError, UnsafeFileError
from likeness.pipelines.motion.channels import ARKIT_NAMES, VALUE_NAMES
from likeness.pipelines.motion.gaps import fill_gaps
from likeness.pipelines.motion.json_file import motion_from_json, motion_to_json
from likeness.pipelines.motion.live_link import CsvOptions, motion_from_csv, motion_to_csv
from likeness.pipelines.motion.live_link_time import rate_of, timecode
from likeness.pipelines.motion.motion import Motion, motion_from_values, still
from likeness.pipelines.motion.storage import Format, load_motion, motion_hash, save_motion

AUTO = CsvOptions()


@pytest.mark.parametrize("form", ["safetensors", "csv", "json"])
def test_what_is_saved_comes_back(random_motion: Motion, tmp_path: Path, form: Format) -> None:
    motion = replace(random_motion, channels={"lips": np.ones((40, 7))} if form != "csv" else {})
    path = save_motion(motion, tmp_path / "new", "take", form)
    assert path == tmp_path / "new" / f"take.{form}"
    back, notes = load_motion(path)
    assert (back.fps, notes) == (25.0, "")
    assert np.abs(back.values - motion.values).max() < {"safetensors": 1e-9, "csv": 1e-6, "json": 1e-5}[form]
    assert {name: values.shape for name, values in back.channels.items()} == (
        {} if form == "csv" else {"lips": (40, 7)}
    )


def test_a_name_that_leaves_the_folder_and_an_unknown_ending_are_refused(random_motion: Motion, tmp_path: Path) -> None:
    with pytest.raises(UnsafeFileError, match="cannot be used for a file"):
        save_motion(random_motion, tmp_path, "../take", "csv")
    assert list(tmp_path.parent.glob("take*")) == []
    (tmp_path / "take.txt").write_text("x")
    with pytest.raises(InputError, match=r"\.csv \(Live Link Face\)"):
        load_motion(tmp_path / "take.txt")
    with pytest.raises(InputError, match="no file"):
        load_motion(tmp_path / "nothing.csv")


def test_csv_has_the_layout_of_the_app() -> None:
    text = motion_to_csv(still({"jawOpen": 0.5, "headYaw": 0.25, "eyeLookOutLeft": 1.0}, 30, 31))
    header, first, *_, last = text.splitlines()
    names = header.split(",")
    assert names[:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"] and len(names) == 63
    assert names[53:57] == ["TongueOut", "HeadYaw", "HeadPitch", "HeadRoll"] and names[-1] == "RightEyeRoll"
    row = dict(zip(names, first.split(","), strict=True))
    assert (row["Timecode"], row["BlendShapeCount"]) == ("00:00:00:00.000", "61")
    assert (float(row["JawOpen"]), float(row["HeadYaw"])) == (0.5, 0.25)
    assert float(row["LeftEyeYaw"]) == pytest.approx(np.deg2rad(30), abs=1e-4)
    assert last.startswith("00:00:01:00.000,61,")


def test_csv_refuses_what_it_cannot_hold(random_motion: Motion) -> None:
    with pytest.raises(InputError, match="lips"):
        motion_to_csv(replace(random_motion, channels={"lips": np.ones((40, 7))}))


def test_columns_may_be_missing_in_another_order_and_spelling() -> None:
    text = "JawOpen,mood,eyeBlink_L\n0.5,3,0.1\n0.6,4,0.2\n"
    motion, notes = motion_from_csv(text, CsvOptions(fps=30))
    assert motion.fps == 30 and motion.channel("jawOpen").tolist() == pytest.approx([0.5, 0.6])
    assert motion.channel("eyeBlinkLeft").tolist() == pytest.approx([0.1, 0.2])
    assert "53 channel(s) have no column and are 0" in notes and "1 column(s) were left out: mood" in notes


@pytest.mark.parametrize(
    "text",
    [
        "Timecode;BlendShapeCount;JawOpen;HeadYaw\n00:00:00:00.000;61;0,5;0,25\n00:00:00:01.000;61;0,5;0,25\n",
        'Timecode,BlendShapeCount,JawOpen,HeadYaw\n00:00:00:00.000,61,"0,5","0,25"\n00:00:00:01.000,61,"0,5","0,25"\n',
        "Timecode,BlendShapeCount,JawOpen,HeadYaw\n00:00:00:00.000,61,0,5,0,25\n00:00:00:01.000,61,0,5,0,25\n",
        "Timecode\tBlendShapeCount\tJawOpen\tHeadYaw\r\n00:00:00:00.000\t61\t0.5\t0.25\r\n00:00:00:01.000\t61\t.5\t2.5e-1\r\n",
    ],
    ids=["semicolons", "quoted", "unquoted", "tabs"],
)
def test_locale_commas_and_separators_are_understood(text: str) -> None:
    motion, _ = motion_from_csv(text, AUTO)
    assert motion.channel("jawOpen").tolist() == [0.5, 0.5] and motion.channel("headYaw").tolist() == [0.25, 0.25]


def test_rows_without_numbers_are_filled_from_their_neighbours_and_counted() -> None:
    rows = ["0.1", "NaN", "", "0.4", "nan"]
    lines = [f"00:00:00:{i:02d}.000,61,{value},0.5" for i, value in enumerate(rows)]
    motion, notes = motion_from_csv("Timecode,BlendShapeCount,JawOpen,MouthClose\n" + "\n".join(lines), AUTO)
    assert motion.channel("jawOpen").tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert notes.startswith("3 of 5 row(s) without numbers were filled")
    with pytest.raises(InputError, match="None of the 2 row"):
        motion_from_csv("JawOpen\nnan\nnan\n", AUTO)


def test_values_out_of_range_are_clamped_and_counted() -> None:
    motion, notes = motion_from_csv("JawOpen,HeadYaw\n1.5,9\n0.5,0\n", AUTO)
    assert motion.channel("jawOpen").tolist() == [1.0, 0.5]
    assert motion.channel("headYaw")[0] == pytest.approx(np.pi / 2)
    assert "2 value(s) were out of range and were clamped: jawOpen (1), headYaw (1)" in notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 row"),
        ("JawOpen\n", "0 row"),
        ("a,b\n1,2\n", "No column is a channel"),
        ("JawOpen,jaw_open\n1,2\n", "two columns"),
        ("JawOpen,HeadYaw\n1,2\n0.3,wide\n", "Row 3, column 'HeadYaw' has 'wide'"),
        ("JawOpen,HeadYaw\n1,2,3,4,5\n", "Row 2 has 5 fields, the header 2"),
        ("JawOpen\n1\x00\n", "no number|no CSV"),
    ],
)
def test_text_that_is_no_recording_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        motion_from_csv(text, AUTO)


def test_time_codes_give_the_rate_and_uneven_rows_are_laid_on_even_frames() -> None:
    assert rate_of([timecode(frame, 60) for frame in range(90)]) == 60
    assert rate_of([timecode(frame, 24) for frame in range(30)]) == 24
    assert rate_of(["23:59:59:59.000", "00:00:00:00.000"]) == 60
    assert rate_of(["noon", "one"]) is None and rate_of([timecode(1, 30)] * 2) is None
    lines = [f"{timecode(frame, 60)},{frame / 100}" for frame in (0, 1, 2, 50, 54, 59)]
    motion, notes = motion_from_csv("Timecode,JawOpen\n" + "\n".join(lines), AUTO)
    assert len(motion) == 60 and "6 row(s) at uneven times were laid on 60 even frames" in notes
    assert np.allclose(motion.channel("jawOpen"), np.arange(60) / 100, atol=1e-6)


def test_lips_that_touch_over_an_open_jaw_do_so_here_and_in_apples_files() -> None:
    text = "JawOpen,MouthClose\n0.3,0.3\n0.3,0.15\n0.3,0\n0.1,0.4\n0.01,0.01\n0,0\n"
    motion, notes = motion_from_csv(text, CsvOptions(fps=60))
    assert motion.channel("mouthClose").tolist() == pytest.approx([1, 0.5, 0, 1, 0.2, 0])
    assert motion.channel("jawOpen").tolist() == pytest.approx([0.3, 0.3, 0.3, 0.1, 0.01, 0]) and "clamped" not in notes
    header, *rows = motion_to_csv(motion).splitlines()
    column = header.split(",").index("MouthClose")
    written = [float(row.split(",")[column]) for row in rows]
    assert written == pytest.approx([0.3, 0.15, 0, 0.1, 0.01, 0], abs=1e-6)


def test_a_flipped_head_turns_the_other_way() -> None:
    text = "JawOpen,HeadYaw,HeadPitch,HeadRoll\n0,0.1,0.2,0.3\n"
    motion, _ = motion_from_csv(text, CsvOptions(flip_head=True))
    assert motion.rotation[0].tolist() == pytest.approx([0.2, -0.1, -0.3])


def test_a_recording_of_100000_rows_is_read() -> None:
    row = ",".join(["0.25"] * 52)
    text = ",".join(ARKIT_NAMES) + "\n" + f"{row}\n" * 100_000
    motion, _ = motion_from_csv(text, CsvOptions(fps=60))
    assert len(motion) == 100_000 and float(motion.blendshapes.min()) == 0.25


def test_json_of_other_programs_is_read() -> None:
    audio2face = {"exportFps": 30.0, "facsNames": ["JawOpen", "EyeBlinkLeft"], "weightMat": [[0.5, 0.1], [0.6, 0.2]]}
    motion, _ = motion_from_json(json.dumps(audio2face))
    assert motion.fps == 30 and motion.channel("jawOpen").tolist() == pytest.approx([0.5, 0.6])
    holes, notes = motion_from_json(
        '{"fps": 5, "names": ["jawOpen", "smurf"], "blendshapes": [[0.2, 0], [null, 0], [0.4, 0]]}'
    )
    assert holes.channel("jawOpen").tolist() == pytest.approx([0.2, 0.3, 0.4])
    assert "smurf" in notes and "1 frame(s) without numbers" in notes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        "{}",
        '{"fps": true, "names": ["jawOpen"], "blendshapes": [[1]]}',
        '{"fps": 25, "names": ["jawOpen"], "blendshapes": [1]}',
        '{"fps": 25, "names": ["jawOpen"], "blendshapes": [[1, 2]]}',
        '{"fps": 25, "names": ["x"], "blendshapes": [[1]]}',
        '{"fps": 25, "names": ["jawOpen"], "blendshapes": [["a"]]}',
        '{"fps": 25, "names": ["jawOpen"], "blendshapes": [[1]], "rotation": [[1, 2]]}',
        '{"fps": 25, "names": ["jawOpen"], "blendshapes": [[1]], "rotation": [[1, 2, 3], [1, 2, 3]]}',
        '{"fps": 25, "names": ["jawOpen"], "blendshapes": [[1]], "channels": 3}',
        '{"fps": 1e400, "names": ["jawOpen"], "blendshapes": [[1]]}',
    ],
)
def test_json_that_is_no_motion_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        motion_from_json(text)


def test_json_says_what_it_holds(random_motion: Motion) -> None:
    content = json.loads(motion_to_json(random_motion))
    assert content["names"] == list(ARKIT_NAMES) and content["fps"] == 25
    assert len(content["blendshapes"]) == 40 and len(content["rotation"][0]) == 3


def tensors(count: int = 3) -> dict[str, np.ndarray]:
    return {
        "blendshapes": np.zeros((count, 52), np.float32),
        "rotation": np.zeros((count, 3), np.float32),
        "translation": np.zeros((count, 3), np.float32),
    }


def stored(tmp_path: Path, arrays: dict[str, np.ndarray], **changes: object) -> Path:
    meta = {"fps": 25.0, "names": list(ARKIT_NAMES), "channels": []} | changes
    path = tmp_path / "odd.safetensors"
    metadata = {"format": "likeness.motion", "format_version": "1", "motion": json.dumps(meta)}
    path.write_bytes(to_safetensors(arrays, metadata=metadata))
    return path


@pytest.mark.parametrize(
    ("arrays", "changes"),
    [
        ({**tensors(), "rotation": np.zeros((2, 3), np.float32)}, {}),
        ({**tensors(), "stranger": np.zeros(3, np.float32)}, {}),
        ({**tensors(), "blendshapes": np.zeros((3, 51), np.float32)}, {}),
        ({**tensors(), "blendshapes": np.zeros((3, 52), np.uint8)}, {}),
        ({**tensors(), "blendshapes": np.full((3, 52), np.nan, np.float32)}, {}),
        (tensors(0), {}),
        (tensors(), {"channels": ["lips"]}),
        (tensors(), {"channels": [3]}),
        (tensors(), {"channels": ["a", "a"]}),
        (tensors(), {"fps": 0}),
        (tensors(), {"fps": True}),
        (tensors(), {"fps": "25"}),
        (tensors(), {"names": list(reversed(ARKIT_NAMES))}),
    ],
)
def test_a_file_that_is_no_motion_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], changes: dict[str, object]
) -> None:
    with pytest.raises(UnsafeFileError, match="is refused"):
        load_motion(stored(tmp_path, arrays, **changes))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_never_anything_else(
    tmp_path: Path, random_motion: Motion, data: st.DataObject
) -> None:
    whole = save_motion(random_motion, tmp_path, "whole", if_exists="overwrite").read_bytes()
    cut = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if cut:
            cut[data.draw(st.integers(0, min(len(cut), 2500) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(bytes(cut))
    try:
        motion, _ = load_motion(path)
    except LikenessError as error:
        assert "damaged.safetensors" in str(error)
    else:
        assert len(motion) == 40


def test_gaps_are_bridged_inside_a_scene_only() -> None:
    values = np.array([[0.0], [9], [2], [9], [9], [5], [9]], np.float32)
    known = np.array([True, False, True, False, False, True, False])
    assert fill_gaps(values, known)[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 5]
    assert fill_gaps(values, known, cuts=(4,))[:, 0].tolist() == [0, 1, 2, 2, 5, 5, 5]
    assert fill_gaps(values, known, cuts=(3, 5))[:, 0].tolist() == [0, 1, 2, 2, 2, 5, 5]
    assert fill_gaps(values, np.zeros(7, bool))[:, 0].tolist() == [0] * 7


def test_the_hash_of_a_motion_is_the_same_every_time_and_another_for_any_change() -> None:
    rows = np.linspace(0, 1, 3 * len(VALUE_NAMES), dtype=np.float32).reshape(3, -1)
    extra = {"a": np.ones((3, 2), np.float32), "b": np.zeros((3, 1), np.float32)}
    motion = motion_from_values(25.0, rows, extra)
    again = motion_from_values(25.0, rows.copy(), dict(reversed(extra.items())))
    assert len({motion_hash(motion) for _ in range(8)} | {motion_hash(again)}) == 1
    nudged = rows.copy()
    nudged[1, 3] += 1e-6
    others = [
        motion_from_values(24.0, rows, extra),
        motion_from_values(25.0, nudged, extra),
        motion_from_values(25.0, rows, {"a": extra["a"], "c": extra["b"]}),
        motion_from_values(25.0, rows, {"a": extra["a"] * 2, "b": extra["b"]}),
        motion_from_values(25.0, rows),
    ]
    assert len({motion_hash(one) for one in (motion, *others)}) == 6
