"""Hours of sound take no more memory than a piece of it, besides what is kept of it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.backends import listen
from likeness.pipelines.audio.heard import STEPS_HZ
from likeness.pipelines.audio.speech import RATE_HZ, Speech, speech_of
from likeness.pipelines.audio.windows import LEAST_S, MOST_S, windows
from likeness.tests.audio.sounds import CLIPS, clip

MEGABYTE = 1 << 20


def test_twenty_minutes_of_stereo_is_taken_block_by_block() -> None:
    # one sample seen 19.2 million times: what is measured is what the analysis needs
    sound = torch.zeros(1, 1).expand(2, 1200 * RATE_HZ)
    tracemalloc.start()
    speech = speech_of(sound, RATE_HZ)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert speech.duration_s == 1200
    assert peak < speech.samples.nbytes + 30 * MEGABYTE


def test_the_resampler_keeps_no_more_than_a_block() -> None:
    sound = torch.zeros(1, 1).expand(6, 40 * 96000)
    tracemalloc.start()
    speech = speech_of(sound, 96000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < speech.samples.nbytes + 30 * MEGABYTE


@pytest.mark.parametrize("backend", ["phonemes", "envelope"])
def test_memory_of_listening_does_not_grow_with_the_length(backend: str) -> None:
    if backend == "phonemes":
        pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    samples = np.concatenate([clip(name).speech.samples for name in CLIPS])
    peaks = list[int]()
    for times in (4, 8):
        speech = Speech(np.tile(samples, times))
        tracemalloc.start()
        listen(speech, backend)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 3 * MEGABYTE
    assert peaks[1] < 140 * MEGABYTE


def test_three_hours_are_cut_into_pieces_at_the_pauses() -> None:
    steps = 3 * 3600 * STEPS_HZ
    loudness = np.full(steps, -20, np.float32)
    pauses = np.arange(1000, steps, 1000)
    for pause in pauses:
        loudness[pause : pause + 30] = -60
    found = windows(loudness)
    assert found[0][0] == 0 and found[-1][1] == steps
    assert all(before[1] == after[0] for before, after in zip(found[:-1], found[1:], strict=True))
    lengths = np.diff([start for start, _ in found]) / STEPS_HZ
    assert (lengths >= LEAST_S).all() and (lengths <= MOST_S).all()
    assert all(loudness[start] == -60 for start, _ in found[1:])
