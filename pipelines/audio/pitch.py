"""How loud a speech is and how high its voice, every 10 ms."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray, as_float_array
from .envelope import steps_of
from .heard import STEPS_HZ
from .speech import RATE_HZ, Speech

#: The lowest and the highest voice that is looked for.
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0

#: Pitch is found on fewer samples; what is above its half is filtered out first.
_PITCH_RATE_HZ = 4_000
_EVERY = RATE_HZ // _PITCH_RATE_HZ
_STEP = RATE_HZ // STEPS_HZ

#: Seconds over which loudness is averaged, and over which a period is compared with the next.
_LOUD_S, _WINDOW_S = 0.025, 0.040

#: Steps worked out at once: memory does not grow with the sound.
_BLOCK = 2_000

#: A period that fits nearly as well as the best but is shorter is the true one: the best is then a multiple of it.
_NEARLY = 0.88

#: How well neighbouring periods have to agree for a voice, and how far above the quietest sound that is measured.
_VOICED = 0.55
QUIETEST_DB = -80.0


def power_db(speech: Speech) -> FloatArray:
    """(T,) dB against a full-scale square wave, at least `QUIETEST_DB`: the mean power of 25 ms around each step."""
    width = round(_LOUD_S * RATE_HZ)
    out = [np.mean(windows**2, 1) for _, windows in _windows(speech.samples, RATE_HZ, width, steps_of(speech))]
    return as_float_array(np.maximum(10 * np.log10(np.maximum(np.concatenate(out), 1e-12)), QUIETEST_DB))


def pitch_hz(speech: Speech) -> tuple[FloatArray, FloatArray]:
    """The voice's pitch, and how sure it is that there is one.

    Returns (T,) Hz, 0 where no voice sounds, and (T,) how well one period equals the next, 0 to 1. Concretely the
    shortest lag of the normalised cross-correlation (Talkin 1995) within `_NEARLY` of its maximum over lags of 1/500 to
    1/60 s, refined by a parabola, then the median of five steps.
    """
    shortest, longest = int(_PITCH_RATE_HZ / HIGHEST_HZ), int(np.ceil(_PITCH_RATE_HZ / LOWEST_HZ)) + 1
    window = round(_WINDOW_S * _PITCH_RATE_HZ)
    low = _decimated(speech.samples)
    hz: list[NDArray[np.float64]] = []
    fits: list[NDArray[np.float64]] = []
    for _, parts in _windows(low, _PITCH_RATE_HZ, window + longest + 1, steps_of(speech)):
        likeness = _likeness(parts, window, shortest - 1, longest + 1)
        lag, fit = _best_lag(likeness)
        hz.append(_PITCH_RATE_HZ / (lag + shortest - 1))
        fits.append(fit)
    pitch, fit = np.concatenate(hz), np.concatenate(fits)
    voiced = (fit > _VOICED) & (power_db(speech) > QUIETEST_DB + 20)
    return as_float_array(_median_of_five(np.where(voiced, pitch, 0.0))), as_float_array(np.clip(fit, 0, 1))


def _windows(
    samples: NDArray[np.float32], rate: int, width: int, steps: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The first step of each block, and the samples around each step's middle, (N, width), zeros beyond the ends."""
    hop = rate // STEPS_HZ
    lead = width // 2 - hop // 2
    for first in range(0, steps, _BLOCK):
        count = min(_BLOCK, steps - first)
        start, stop = first * hop - lead, (first + count - 1) * hop - lead + width
        inside = samples[max(start, 0) : max(min(stop, len(samples)), 0)]
        before = max(-start, 0)
        part = np.pad(inside, (before, max(stop - start - before - len(inside), 0)))[: stop - start]
        yield first, np.lib.stride_tricks.sliding_window_view(part, width)[::hop]


@cache
def _low_pass() -> NDArray[np.float32]:
    taps = np.arange(-32, 33)
    kernel = np.sinc(taps * (0.45 / _EVERY * 2)) * np.hanning(67)[1:-1]
    return (kernel / kernel.sum()).astype(np.float32)


def _decimated(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    kernel = _low_pass()
    half, block = len(kernel) // 2, _BLOCK * _STEP
    out: list[NDArray[np.float32]] = []
    for start in range(0, len(samples), block):
        part = samples[max(start - half, 0) : start + block + half]
        part = np.pad(part, (max(half - start, 0), max(start + block + half - len(samples), 0)))
        out.append(np.lib.stride_tricks.sliding_window_view(part, len(kernel))[:block:_EVERY] @ kernel)
    return np.concatenate(out)[: -(-len(samples) // _EVERY)]


def _likeness(parts: NDArray[np.float32], window: int, shortest: int, longest: int) -> NDArray[np.float64]:
    """(N, lags): how far the first `window` samples equal those a lag later, 1 fully."""
    parts = parts - parts.mean(1, keepdims=True)
    size = 1 << int(np.ceil(np.log2(parts.shape[1] + window)))
    first = np.fft.rfft(parts[:, :window], size)
    products = np.fft.irfft(np.fft.rfft(parts, size) * first.conj(), size)[:, shortest:longest]
    power = np.concatenate([np.zeros((len(parts), 1)), np.cumsum(parts.astype(np.float64) ** 2, 1)], 1)
    lags = np.arange(shortest, longest)
    later = power[:, lags + window] - power[:, lags]
    # a little noise added to both keeps silence from looking like a voice
    scale = np.sqrt((power[:, window : window + 1] + 1e-6 * window) * (later + 1e-6 * window))
    return products / scale


def _best_lag(likeness: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional index of the first high peak of each row, and its height."""
    inner = likeness[:, 1:-1]
    peak = (inner >= likeness[:, :-2]) & (inner >= likeness[:, 2:])
    heights = np.where(peak, inner, -1.0)
    best = heights.max(1, keepdims=True)
    at = np.argmax(peak & (heights >= _NEARLY * best) & (best > 0), 1) + 1
    rows = np.arange(len(likeness))
    left, middle, right = likeness[rows, at - 1], likeness[rows, at], likeness[rows, at + 1]
    bend = np.maximum(2 * middle - left - right, 1e-9)
    return at + np.clip((right - left) / (2 * bend), -0.5, 0.5), np.where(best[:, 0] > 0, middle, 0.0)


def _median_of_five(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of what is voiced around each step; a step stays voiced when most of its neighbours are."""
    padded = np.pad(pitch, 2)
    five = np.lib.stride_tricks.sliding_window_view(padded, 5)
    voiced = (five > 0).sum(1)
    ordered = np.sort(five, 1)
    middle = np.clip(5 - voiced + voiced // 2, 0, 4)
    return np.where(voiced >= 3, ordered[np.arange(len(pitch)), middle], 0.0)
