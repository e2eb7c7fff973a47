"""A picture that is shown for a while goes through the same mechanism as a video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from likeness.pipelines.errors import CancelledError, InputError
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.footage import Still
from likeness.pipelines.video.processing import AtEachTime
from likeness.pipelines.video.stream import process_video
from likeness.tests.video.drawn import RED, picture, samples, shown
from likeness.tests.video.streaming import LOSSLESS, Interrupted, Stops
from likeness.tests.video.test_sound_and_watch import heard, tone

PORTRAIT = picture([(60, 40, 20, RED)])


def lit(time_s: float) -> torch.Tensor:
    """The portrait with a bar as bright as the time."""
    drawn = PORTRAIT.clone()
    drawn[70:90] = time_s / 5
    return drawn


def made(target: Path, frames: int = 30, rate: Fraction = Fraction(25), portrait: torch.Tensor = PORTRAIT, **more):
    options = {"encoding": LOSSLESS, "chunk_frames": 10} | more
    progress = options.pop("progress", TorchRuntime().progress)
    return process_video(Still(portrait, frames, rate), target, AtEachTime(lit), progress, "job", **options)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(12), Fraction(15, 2)])
def test_every_frame_is_drawn_at_its_own_time_and_the_rest_stays_as_it_is(tmp_path: Path, rate: Fraction) -> None:
    result = made(tmp_path / "out.mp4", rate=rate)
    frames = shown(result.path)
    assert result.frames == len(frames) == 30
    assert np.abs([time - k / rate for k, (time, _) in enumerate(frames)]).max() < 1e-4
    for k, (_, frame) in enumerate(frames):
        assert abs(samples(frame)[75:85].mean() - k / rate / 5) < 0.006
    first, last = samples(frames[0][1])[:68], samples(frames[-1][1])[:68]
    assert np.array_equal(first, last)
    # chroma is halved: next to the disc's edge colours mix
    assert np.abs(first - PORTRAIT.numpy()[:68]).mean() < 0.006


def test_it_lasts_as_long_as_its_frames_and_players_know_its_colours(tmp_path: Path) -> None:
    result = made(tmp_path / "out.mp4", frames=31)
    with av.open(str(result.path)) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(31 / 25)
        assert (stream.codec_context.pix_fmt, stream.average_rate) == ("yuv420p", 25)
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)


def test_a_sound_begins_with_the_first_frame_and_ends_with_the_last(tmp_path: Path) -> None:
    result = made(tmp_path / "out.mp4", sound=tone(3.0, 16000))
    heard_samples, rate = heard(result.path)
    assert abs(heard_samples.shape[1] / rate - 1.2) < 0.07
    assert abs((np.abs(heard_samples[0]) > 0.1).argmax() / rate - 0.25) < 0.01
    assert "30 frame(s), 160 × 96 px" in result.report and "sound: the new one of 3.00 s" in result.report
    assert "sound: none" in made(tmp_path / "silent.mp4").report


def test_interrupted_work_goes_on_and_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole.mp4")
    with pytest.raises(Interrupted):
        made(tmp_path / "out.mp4", progress=Stops(17))
    assert not (tmp_path / "out.mp4").exists()
    result = made(tmp_path / "out.mp4")
    assert "The first 10 frame(s) were finished before an interrupt." in result.report
    for (before, a), (after, b) in zip(shown(whole.path), shown(result.path), strict=True):
        assert before == after and np.array_equal(a.to_ndarray(), b.to_ndarray())
    assert not list(tmp_path.glob("*.parts"))


def test_unfinished_work_of_another_picture_length_or_rate_is_not_taken(tmp_path: Path) -> None:
    for change in ({"frames": 29}, {"rate": Fraction(24)}, {"portrait": PORTRAIT * 0.9}):
        with pytest.raises(Interrupted):
            made(tmp_path / "out.mp4", progress=Stops(17))
        assert "before an interrupt" not in made(tmp_path / "out.mp4", **change).report


def test_a_cancel_leaves_nothing_behind_before_the_first_chunk(tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        made(tmp_path / "out.mp4", progress=TorchRuntime(is_cancelled=lambda: True).progress)
    assert not list(tmp_path.iterdir())


def test_odd_sizes_get_one_more_line(tmp_path: Path) -> None:
    portrait = PORTRAIT[:95, :159]
    result = process_video(
        Still(portrait, 3, Fraction(25)), tmp_path / "o.mp4", AtEachTime(lambda _: portrait * 0.5),
        TorchRuntime().progress, "job",
    )  # fmt: skip
    frame = shown(result.path)[1][1]
    assert (frame.width, frame.height) == (160, 96) and "Written as 160 × 96 px" in result.report
    assert np.abs(samples(frame)[:94, :158] - portrait[:94, :158].numpy() * 0.5).mean() < 0.02


def test_what_is_no_picture_or_no_video_is_refused_with_its_numbers() -> None:
    with pytest.raises(InputError, match=r"\(96, 160, 4\)"):
        Still(torch.zeros(96, 160, 4), 3, Fraction(25))
    with pytest.raises(InputError, match=r"\(1, 160, 3\).*2 to 16384 px"):
        Still(torch.zeros(1, 160, 3), 3, Fraction(25))
    with pytest.raises(InputError, match="0 frames at 25"):
        Still(PORTRAIT, 0, Fraction(25))


def test_a_picture_of_half_precision_is_encoded_like_any_other(tmp_path: Path) -> None:
    half = (PORTRAIT * 255).round().div(255).half()
    result = process_video(
        Still(half, 2, Fraction(25)), tmp_path / "half.mp4", AtEachTime(lambda _: half), TorchRuntime().progress, "job",
        encoding=LOSSLESS,
    )  # fmt: skip
    assert np.abs(samples(shown(result.path)[1][1]) - half.float().numpy()).mean() < 0.006
