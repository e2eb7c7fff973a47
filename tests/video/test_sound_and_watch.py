"""A new sound in place of the source's own, and videos that are only looked at."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from likeness.pipelines.errors import CancelledError, InputError, VideoError
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.face_tracks import FaceTracks
from likeness.pipelines.video.reader import Window
from likeness.pipelines.video.sound import Sound
from likeness.pipelines.video.stream import process_video
from likeness.pipelines.video.watch import watch_faces, watch_video
from likeness.tests.video.drawn import Colours, Discs, shown, write_video
from likeness.tests.video.streaming import FAST, Hold, Interrupted, Stops, moving, run


def tone(seconds: float, rate_hz: int, channels: int = 1, hz: float = 440.0) -> Sound:
    """A tone that begins with a quarter second of silence."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.4 * np.sin(2 * np.pi * hz * times) * (times >= 0.25)
    return Sound(np.repeat(wave[None].astype(np.float32), channels, axis=0), rate_hz)


def heard(path: Path) -> tuple[np.ndarray, int]:
    """(samples (channels, N), rate) of a file, its start at time 0."""
    with av.open(str(path)) as container:
        parts = [(frame.pts, frame.to_ndarray(), frame.sample_rate) for frame in container.decode(audio=0)]
    skipped = max(0, -parts[0][0])
    return np.concatenate([part for _, part, _ in parts], axis=1)[:, skipped:], parts[0][2]


@pytest.mark.parametrize(("rate_hz", "channels", "coded_hz"), [(16000, 1, 16000), (44100, 2, 44100), (11000, 1, 48000)])
def test_a_new_sound_takes_the_place_of_the_old_one_and_is_in_step(
    tmp_path: Path, rate_hz: int, channels: int, coded_hz: int
) -> None:
    source = write_video(tmp_path / "in.mkv", moving(30), sound="wavpack")
    result = run(source, tmp_path / "out.mp4", sound=tone(3.0, rate_hz, channels))
    samples, rate = heard(result.path)
    assert (rate, len(samples), result.path.suffix) == (coded_hz, channels, ".mp4")
    assert abs(samples.shape[1] / rate - 1.2) < 0.1  # cut off where the picture ends
    loud = np.abs(samples[0]) > 0.1
    assert abs(loud.argmax() / rate - 0.25) < 0.01
    crossings = (np.diff(np.signbit(samples[0, round(0.4 * rate) : round(1.0 * rate)])) != 0).sum()
    assert abs(crossings / 1.2 - 440) < 4
    assert "sound: the new one of 3.00 s" in result.report
    assert [time for time, _ in shown(result.path)] == [time for time, _ in shown(source)]


def test_a_new_sound_that_is_shorter_ends_earlier_and_silent_videos_get_one(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(30), sound=None)
    result = run(source, tmp_path / "out.mp4", sound=tone(0.6, 48000))
    samples, rate = heard(result.path)
    assert abs(samples.shape[1] / rate - 0.6) < 0.05
    assert len(shown(result.path)) == 30


def test_finished_chunks_stay_good_when_the_sound_changes(tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "in.mp4", moving(40)), tmp_path / "out.mp4"
    with pytest.raises(Interrupted):
        process_video(source, target, Hold(), Stops(27), "job", encoding=FAST, chunk_frames=10)
    result = run(source, target, Hold(), sound=tone(1.0, 24000))
    assert "The first 20 frame(s) were finished before" in result.report and heard(result.path)[1] == 24000


def test_a_sound_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(3, 100\).*1, 2, 6 or 8 channels"):
        Sound(np.zeros((3, 100), np.float32), 48000)
    with pytest.raises(InputError, match="0 samples per second"):
        Sound(np.zeros((1, 100), np.float32), 0)
    with pytest.raises(InputError, match="NaN"):
        Sound(np.full((1, 100), np.nan, np.float32), 48000)


def test_who_only_looks_gets_every_frame_with_its_time_and_writes_nothing(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(35), steps=(512, 1100, 300))
    frames = list(watch_video(source, TorchRuntime().progress))
    assert [frame.index for frame in frames] == list(range(35))
    assert np.abs(np.array([frame.time_s for frame in frames]) - [time for time, _ in shown(source)]).max() < 1e-6
    part = list(watch_video(source, TorchRuntime().progress, Window(0.5, 0.4)))
    assert 0 <= part[0].time_s < 0.1 and part[-1].time_s < 0.4
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_watched_faces_are_tracked_and_come_with_their_frames(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(30))
    tracks = FaceTracks(Discs(), Colours())
    frames = list(watch_faces(source, tracks, TorchRuntime().progress))
    assert [frame.index for frame in frames] == list(range(30))
    assert {face.track for frame in frames for face in frame.faces} == {0, 1} == set(tracks.seen)
    red = [face.center[0] for frame in frames for face in frame.faces if face.track == 0]
    assert np.abs(np.diff(red) - 2).max() < 0.6  # px per frame, as drawn
    assert [len(frame.people) for frame in frames] == [len(frame.faces) for frame in frames]


def test_watching_is_cancelled_at_any_frame_and_nothing_to_watch_is_said(tmp_path: Path) -> None:
    source, seen = write_video(tmp_path / "in.mp4", moving(20)), []
    with pytest.raises(CancelledError):
        for frame in watch_video(source, TorchRuntime(is_cancelled=lambda: len(seen) >= 5).progress):
            seen.append(frame.index)
    assert seen == [0, 1, 2, 3, 4]
    with pytest.raises(VideoError, match=r"in\.mp4 has no frame in what was asked for: everything from 9 s on"):
        list(watch_video(source, TorchRuntime().progress, Window(9.0)))
