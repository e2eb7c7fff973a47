"""How many pictures of a video are in memory at a time, and mattes on their way through it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness.pipelines.face import TrackedFrame
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.stitch.masked_parts import MaskedParts
from likeness.pipelines.stitch.matte import TrackedMatte
from likeness.pipelines.video import watch
from likeness.pipelines.video.face_frames import EachTracked, FaceFrames
from likeness.pipelines.video.face_tracks import FaceTracks
from likeness.pipelines.video.steady import SMOOTHINGS, Smoothing
from likeness.pipelines.video.stream import process_video
from likeness.tests.video.drawn import BLUE, RED, Colours, Discs, packets, picture, samples, shown, write_video
from likeness.tests.video.streaming import FAST, Interrupted, Stops

#: Two people; the blue one comes in late, so that it is followed back, and there is a cut.
FRAMES = [
    picture([(30 + k, 40, 12, RED), *([(110, 60, 10, BLUE)] if k % 30 > 16 else [])]) * (1.0 if k < 45 else 0.9)
    for k in range(90)
]


class Counted:
    """Counts the decoded pictures whose pixels are still in memory, each time another one is decoded."""

    def __init__(self) -> None:
        self.pixels: list[weakref.ref[NDArray[np.float32]]] = []
        self.alive: list[int] = []
        self._decode = watch.rgb_of

    def __call__(self, frame: Any) -> Tensor:
        self.alive.append(sum(one() is not None for one in self.pixels))
        # torch keeps the array for as long as any tensor, view or crop of it lives
        pixels = self._decode(frame).numpy().copy()
        self.pixels.append(weakref.ref(pixels))
        return torch.from_numpy(pixels)


def darkened(frames: Sequence[TrackedFrame]) -> list[Tensor]:
    return [frame.picture * 0.9 for frame in frames]


@pytest.mark.parametrize(("smoothing", "batch"), [*((one, 1) for one in SMOOTHINGS), ("zero_lag", 4)])
def test_the_pictures_of_a_tracked_video_that_are_in_memory_do_not_become_more_with_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoothing: Smoothing, batch: int
) -> None:
    source = write_video(tmp_path / "in.mp4", FRAMES)
    counted = Counted()
    monkeypatch.setattr(watch, "rgb_of", counted)
    processor = FaceFrames(FaceTracks(Discs(), Colours(), smoothing), EachTracked(darkened, batch))
    done = process_video(source, tmp_path / "out.mp4", processor, TorchRuntime().progress, "job", None, FAST, 20)
    assert done.frames == len(counted.alive) == 90
    # zero_lag waits for the next detection, eleven frames away, and for six frames more; the others for nothing
    held_back = {"zero_lag": 17, "one_euro": 0, "none": 0}[smoothing] + batch - 1
    most = max(counted.alive)
    assert held_back - 2 <= most <= held_back + 1, counted.alive
    assert max(counted.alive[60:]) <= max(counted.alive[:60])
    assert sum(one() is not None for one in counted.pixels) <= 1


def matte(tmp_path: Path, source: Path, name: str, at: int | None = None, mask: MaskedParts | None = None) -> Path:
    work = TrackedMatte(mask or MaskedParts(("face",)))
    processor = FaceFrames(FaceTracks(Discs(), Colours()), work, work.without)
    progress = TorchRuntime().progress if at is None else Stops(at)
    return process_video(source, tmp_path / name, processor, progress, "matte", None, FAST, 9).path


def test_a_video_of_mattes_has_every_frame_at_its_time_the_sound_and_black_where_nobody_is(tmp_path: Path) -> None:
    frames = [picture([(40 + 2 * k, 40, 14, RED)] if not 10 <= k < 20 else []) for k in range(30)]
    source = write_video(tmp_path / "in.mp4", frames, steps=(512, 300, 900))
    out = matte(tmp_path, source, "out.mp4")
    assert [time for time, _ in shown(out)] == [time for time, _ in shown(source)]
    assert packets(out, "audio") == packets(source, "audio")
    for k, (_, frame) in enumerate(shown(out)):
        colours = samples(frame)
        if 10 <= k < 20:
            assert colours.max() < 0.02, k
        else:
            # white in the middle of the face of this very frame: no lag
            assert colours[38:43, 38 + 2 * k : 43 + 2 * k].min() > 0.97, k
            assert colours[:, : 40 + 2 * k - 18].max(initial=0) < 0.03 and colours[:, 40 + 2 * k + 19 :].max() < 0.03, k


def test_an_interrupted_video_of_mattes_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", FRAMES[:40])
    whole = matte(tmp_path, source, "whole.mp4")
    for at in (12, 30):
        with pytest.raises(Interrupted):
            matte(tmp_path, source, "out.mp4", at)
        assert not (tmp_path / "out.mp4").exists()
    assert packets(matte(tmp_path, source, "out.mp4"), "video") == packets(whole, "video")
