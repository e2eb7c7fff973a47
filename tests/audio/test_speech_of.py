"""Whatever sound comes, the analysis gets one clean channel at 16 kHz, or a reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.resample import Resampler
from likeness.pipelines.audio.speech import BLOCK, RATE_HZ, Speech, channel_weights, speech_of
from likeness.pipelines.errors import InputError
from likeness.tests.audio.sounds import tone


@pytest.mark.parametrize("rate_hz", [4000, 8000, 11025, 16000, 22050, 44100, 44101, 48000, 96000, 384000])
def test_a_tone_is_the_same_tone_at_16_khz(rate_hz: int) -> None:
    speech = speech_of(tone(rate_hz, 0.7, 1000.0)[None], rate_hz)
    expected = tone(RATE_HZ, 0.7, 1000.0)
    assert abs(len(speech.samples) - len(expected)) <= 1
    middle = slice(1600, 9600)
    assert np.abs(speech.samples[middle] - expected[middle]).max() < 2e-4


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000, 96000, 384000])
def test_what_16_khz_cannot_hold_is_gone_and_does_not_fold_back(rate_hz: int) -> None:
    speech = speech_of(tone(rate_hz, 0.7, 9000.0)[None], rate_hz)
    assert np.abs(speech.samples[1600:9600]).max() < 1e-3 * 0.5


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 16000), (8000, 16000), (48000, 16000), (16001, 16000)])
def test_blocks_give_what_the_slow_sum_gives(from_hz: int, to_hz: int) -> None:
    sound = np.random.default_rng(3).uniform(-1, 1, 5000).astype(np.float32)
    resampler = Resampler(from_hz, to_hz)
    pieces = [resampler.push(piece) for piece in np.split(sound, [1, 700, 701, 3000])]
    found = np.concatenate([*pieces, resampler.finish()])
    cutoff = 0.92 * min(1.0, to_hz / from_hz)
    half = int(np.ceil(24 / cutoff))
    for n in (0, 1, 17, 400, 1200):
        t = n * from_hz / to_hz - np.arange(len(sound))
        window = np.i0(8.0 * np.sqrt(np.clip(1 - (t / (half + 1)) ** 2, 0, 1))) / np.i0(8.0)
        window[np.abs(t) > half + 1] = 0
        assert found[n] == pytest.approx(float(np.sum(sound * cutoff * np.sinc(cutoff * t) * window)), abs=1e-4)


def test_a_sound_longer_than_a_block_has_no_seams() -> None:
    rate_hz = 48000
    seconds = 2.5 * BLOCK / rate_hz
    speech = speech_of(tone(rate_hz, seconds, 300.0)[None], rate_hz)
    expected = tone(RATE_HZ, seconds, 300.0)
    assert np.abs(speech.samples[1600:-1600] - expected[1600:-1600]).max() < 2e-4


def test_of_surround_sound_the_centre_is_heard() -> None:
    voice, music = tone(48000, 0.5, 300.0), tone(48000, 0.5, 2000.0)
    rumble = tone(48000, 0.5, 40.0)
    for surround in ([music, music, voice, rumble, music, music], [music, music, voice, rumble, *[music] * 4]):
        samples = speech_of(np.stack(surround), 48000).samples[800:7200]
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        at = [spectrum[round(hz * len(samples) / RATE_HZ)] for hz in (300, 2000, 40)]
        assert at[0] > 1.9 * at[1] and at[0] > 1000 * at[2]


def test_surround_sound_with_an_empty_centre_is_heard_from_the_front() -> None:
    voice, nothing = torch.from_numpy(tone(48000, 0.2)), torch.zeros(9600)
    sound = torch.stack([voice, voice, nothing, nothing, nothing, nothing])
    assert channel_weights(sound, 48000).tolist() == [0.5, 0.5, 0, 0, 0, 0]


def test_stereo_turned_upside_down_on_one_side_does_not_cancel() -> None:
    voice = torch.from_numpy(tone(48000, 0.2))
    assert channel_weights(torch.stack([voice, -0.9 * voice]), 48000).tolist() == [1, 0]


def test_the_mean_is_taken_off_and_what_is_too_loud_turned_down_not_clipped() -> None:
    loud = tone(16000, 1.0, 440.0, 3.0)
    samples = speech_of((loud + 0.5)[None], 16000).samples
    assert abs(samples.mean()) < 1e-3
    assert np.abs(samples - loud / 3).max() < 2e-3


def test_a_tensor_of_half_precision_and_an_array_are_the_same_sound() -> None:
    sound = tone(16000, 0.3).astype(np.float16)
    same = [speech_of(one, 16000).samples for one in (sound[None], torch.from_numpy(sound)[None])]
    assert np.array_equal(*same)


@pytest.mark.parametrize("count", [1, 2, 23, 24, 25, 47])
@pytest.mark.parametrize("rate_hz", [4000, 44100, 384000])
def test_a_sound_of_a_few_samples_is_a_sound(count: int, rate_hz: int) -> None:
    speech = speech_of(np.full((2, count), 0.25, np.float32), rate_hz)
    assert len(speech.samples) == max(round(count * 16000 / rate_hz), 1)


@pytest.mark.parametrize(
    ("sound", "rate_hz", "message"),
    [
        (np.zeros((1, 0), np.float32), 16000, "no samples"),
        (np.zeros((0, 5), np.float32), 16000, "shape"),
        (np.zeros(5, np.float32), 16000, "shape"),
        (np.zeros((1, 1, 5), np.float32), 16000, "Of a batch"),
        (np.zeros((1, 5), np.int16), 16000, "floats"),
        (np.zeros((1, 5), np.float32), 3999, "3999"),
        (np.zeros((1, 5), np.float32), 400_000, "400000"),
    ],
)
def test_what_is_no_sound_is_refused_with_the_reason(sound: np.ndarray, rate_hz: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        speech_of(sound, rate_hz)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sound_with_a_hole_says_where_it_is(bad: float) -> None:
    sound = np.zeros((2, 400_000), np.float32)
    sound[1, 320_000] = bad
    with pytest.raises(InputError, match=r"channel 2 at 20\.000 s"):
        speech_of(sound, 16000)
    with pytest.raises(InputError, match="NaN or infinite"):
        Speech(sound[1])
