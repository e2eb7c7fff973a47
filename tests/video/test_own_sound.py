"""A video's own sound under a new one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.errors import InputError
from likeness.pipelines.video.own_sound import with_own_sound
from likeness.pipelines.video.reader import Window
from likeness.pipelines.video.sound import Sound
from likeness.tests.video.drawn import write_video
from likeness.tests.video.streaming import moving, run
from likeness.tests.video.test_sound_and_watch import tone


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a tone of 440 Hz from 0.25 s on."""
    folder = tmp_path_factory.mktemp("filmed")
    source = write_video(folder / "in.mp4", moving(50), sound=None)
    return run(source, folder / "toned.mp4", sound=tone(2.0, 48000)).path


def power(sound: Sound, start_s: float, end_s: float, hz: float = 440.0) -> float:
    """Amplitude of a tone in a stretch of the first channel."""
    part = sound.waveform[0, round(start_s * sound.rate_hz) : round(end_s * sound.rate_hz)]
    times = np.arange(len(part)) / sound.rate_hz
    return float(2 * np.abs((part * np.exp(-2j * np.pi * hz * times)).mean()))


@pytest.mark.parametrize(("rate_hz", "channels"), [(48000, 1), (16000, 2), (44100, 1)])
def test_the_own_sound_is_added_at_its_time_whatever_rate_and_channels_are(
    filmed: Path, rate_hz: int, channels: int
) -> None:
    quiet = Sound(np.zeros((channels, 2 * rate_hz), np.float32), rate_hz)
    mixed = with_own_sound(quiet, filmed, Window(), 0.5)
    assert (mixed.waveform.shape, mixed.rate_hz) == (quiet.waveform.shape, rate_hz)
    assert power(mixed, 0.0, 0.22) < 0.01
    alone = 0.2 if channels == 1 else 0.2 * 0.5**0.5  # one channel on two sides is as loud as before together
    assert abs(power(mixed, 0.4, 1.8) - alone) < 0.01
    loud = np.abs(mixed.waveform[0]) > 0.05
    assert abs(loud.argmax() / rate_hz - 0.25) < 0.01


def test_in_a_trimmed_video_it_begins_where_the_window_does(filmed: Path) -> None:
    quiet = Sound(np.zeros((1, 8000), np.float32), 16000)
    mixed = with_own_sound(quiet, filmed, Window(0.1, 0.5), 1.0)
    loud = np.abs(mixed.waveform[0]) > 0.1
    assert abs(loud.argmax() / 16000 - 0.15) < 0.01


def test_volume_zero_gives_the_new_sound_itself_and_a_loud_sum_is_turned_down(filmed: Path) -> None:
    loud = Sound(np.full((1, 96000), 0.9, np.float32), 48000)
    assert with_own_sound(loud, filmed, Window(), 0.0) is loud
    mixed = with_own_sound(loud, filmed, Window(), 1.0)
    assert 0.99 < np.abs(mixed.waveform).max() <= 1.0
    assert 0.65 < mixed.waveform[0, 1000] < 0.75  # 0.9 of 1.3


def test_a_silent_video_or_another_volume_are_refused(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "silent.mp4", moving(5), sound=None)
    sound = Sound(np.zeros((1, 100), np.float32), 16000)
    with pytest.raises(InputError, match="no sound of its own: set own_sound to 0"):
        with_own_sound(sound, silent, Window(), 0.5)
    with pytest.raises(InputError, match=r"is 1.5; it must be within 0 and 1"):
        with_own_sound(sound, silent, Window(), 1.5)
