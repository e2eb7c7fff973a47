"""Videos that are made longer by playing back and forth, and shorter by ending earlier."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.back_and_forth import BackAndForth
from likeness.pipelines.video.processing import EachFrame
from likeness.pipelines.video.reader import FrameReader, VideoFrame, Window, probe
from likeness.pipelines.video.stream import VideoResult, process_video
from likeness.tests.video.drawn import shown, write_video
from likeness.tests.video.streaming import LOSSLESS, Interrupted, Stops, luma, moving, same


def played(source: Path, target: Path, seconds: float, window: Window | None = None, **more) -> VideoResult:
    options = {"progress": TorchRuntime().progress, "chunk_frames": 10} | more
    progress = options.pop("progress")
    return process_video(
        source, target, EachFrame(same), progress, "job", window, LOSSLESS, seconds=seconds, **options
    )  # fmt: skip


def order(result: Path, source: Path) -> list[int]:
    """Which frame of the source each frame of the result is."""
    known = [luma(frame).astype(int) for _, frame in shown(source)]
    return [
        int(np.argmin([np.abs(luma(frame).astype(int) - one).mean() for one in known])) for _, frame in shown(result)
    ]


def test_a_longer_video_goes_back_and_forth_without_showing_the_turning_frames_twice(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(20), options={"g": "7"})
    result = played(source, tmp_path / "out.mp4", 2.0)
    there, back = list(range(20)), list(range(18, 0, -1))
    assert order(result.path, source) == [*there, *back, *there][:50]
    times = [time for time, _ in shown(result.path)]
    assert np.abs(np.diff(times) - 0.04).max() < 1e-6 and times[0] == 0


def test_frames_show_as_long_as_they_do_in_the_file_in_both_directions(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(6), steps=(512, 1100, 300))
    times = [time for time, _ in shown(source)]
    result = played(source, tmp_path / "out.mp4", 2.5 * times[-1])
    found = order(result.path, source)
    assert found[:11] == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0]
    between = np.diff([time for time, _ in shown(result.path)])
    expected = [abs(times[b] - times[a]) for a, b in zip(found, found[1:], strict=False)]
    assert np.abs(between - expected).max() < 1e-4


def test_a_trimmed_part_goes_back_and_forth_in_itself(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(30), options={"g": "12"})
    result = played(source, tmp_path / "out.mp4", 1.0, Window(0.4, 0.32))
    assert order(result.path, source) == [*range(10, 18), *range(16, 10, -1), *range(10, 18), 16, 15, 14]


def test_a_video_of_one_frame_stands_still(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(1))
    assert order(played(source, tmp_path / "out.mp4", 0.2).path, source) == [0] * 5


def test_a_shorter_one_ends_earlier_and_the_same_length_changes_nothing(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(20))
    assert order(played(source, tmp_path / "a.mp4", 0.4).path, source) == list(range(10))
    assert order(played(source, tmp_path / "b.mp4", 0.81).path, source) == list(range(20))


def test_interrupted_work_goes_on_where_it_was_also_on_the_way_back(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(20), options={"g": "7"})
    whole = played(source, tmp_path / "whole.mp4", 2.0)
    with pytest.raises(Interrupted):
        played(source, tmp_path / "out.mp4", 2.0, progress=Stops(37))
    result = played(source, tmp_path / "out.mp4", 2.0)
    assert "The first 30 frame(s) were finished before" in result.report
    assert order(result.path, source) == order(whole.path, source)
    with pytest.raises(Interrupted):
        played(source, tmp_path / "out.mp4", 2.0, progress=Stops(37))
    assert "before an interrupt" not in played(source, tmp_path / "out.mp4", 1.8).report


class Watched(FrameReader):
    """A reader that knows which of the frames it has read are still held."""

    def read(self, skip: int = 0, from_ticks: int | None = None) -> Iterator[VideoFrame]:
        self.read_frames = getattr(self, "read_frames", [])
        for frame in super().read(skip, from_ticks):
            self.read_frames.append(weakref.ref(frame))
            yield frame

    def held(self) -> int:
        return sum(frame() is not None for frame in self.read_frames)


def test_few_frames_are_held_whatever_the_length(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(60), options={"g": "250"})
    reader = Watched(source, probe(source, Window()), Window())
    footage = BackAndForth(reader, 6.0)
    seen = [(frame.ticks, reader.held()) for frame in footage.read()]
    ticks, held = zip(*seen, strict=True)
    assert list(ticks) == sorted(set(ticks)) and footage.facts.frames == len(ticks) == 150
    assert 1 < max(held) <= 20
