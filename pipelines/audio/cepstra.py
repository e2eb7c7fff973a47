"""What an acoustic model of Sphinx takes: cepstra of a mel spectrum with the noise taken out, and how they change.

Davis and Mermelstein 1980 for the cepstra; the noise is followed and taken out in the mel spectrum as in Kim and Stern,
Power-normalized cepstral coefficients, 2012. The constants are those that the model was trained with.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .products import product
from .speech import RATE_HZ

Spectra = NDArray[np.float64]

#: Samples from step to step and of a window, points of its spectrum, mel bands and their range, cepstra.
HOP, WINDOW, POINTS, BANDS, LOW_HZ, HIGH_HZ, CEPSTRA = 160, 410, 512, 25, 130.0, 6800.0, 13
#: A window begins so many samples before its step, so that both have the same middle. Sphinx lets both begin together,
#: which tells every phone 8 ms early.
AHEAD = (WINDOW - HOP) // 2
PRE_EMPHASIS = 0.97
#: Cepstra are weighted by 1 + LIFTER / 2 sin(pi i / LIFTER).
LIFTER = 22
#: Added to the power before its logarithm, with samples counted as 16-bit integers.
LEAST_POWER = 1e-4
#: A recording without any background, as synthetic voices have it, is unlike all that the model knows; so a quiet room
#: is added, this much below full scale with the peak at full scale: -70 dB, well below the background of a good studio.
ROOM = 10.0
PEAK = 32000.0

#: Of the noise filter: smoothing of power, slow rise and fast fall of the noise, decay and share of what a loud sound
#: masks behind it, largest change of power, bands to both sides over which the change is averaged.
SMOOTH, RISE, FALL, MASK_DECAY, MASK_SHARE, MOST_GAIN, NEAR_BANDS = 0.7, 0.995, 0.5, 0.85, 0.2, 20.0, 4


def cepstra_of(samples: FloatArray) -> FloatArray:
    """(T, 13) of one piece of sound (N,) at 16 kHz in [-1, 1], a step every 10 ms: step t begins at sample 160 t.

    The level does not matter. T = N / 160 rounded, at least 1.
    """
    steps = max(round(len(samples) / HOP), 1)
    room = np.random.default_rng(0).standard_normal(AHEAD + len(samples)) * ROOM
    sound = np.pad(samples.astype(np.float64), (AHEAD, 0)) * (PEAK / max(float(np.abs(samples).max()), 1e-9)) + room
    sound[1:] -= PRE_EMPHASIS * sound[:-1]
    sound = np.pad(sound, (0, max((steps - 1) * HOP + WINDOW - len(sound), 0)))
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP][:steps]
    spectra = np.abs(np.fft.rfft(windows * np.hamming(WINDOW), POINTS)) ** 2
    bands = without_noise(product(spectra, _mel_bands()))
    return product(np.log(bands + LEAST_POWER), _cosines()).astype(np.float32)


def with_changes(cepstra: FloatArray, mean: FloatArray) -> FloatArray:
    """(T, 39): the cepstra (T, 13) less their mean (13,), their change over 40 ms, and the change of that."""
    steps = len(cepstra)
    padded = np.pad(cepstra - mean, ((3, 3), (0, 0)), "edge")

    def shifted(by: int) -> FloatArray:
        return padded[3 + by : 3 + by + steps]

    change = shifted(2) - shifted(-2)
    bend = (shifted(3) - shifted(-1)) - (shifted(1) - shifted(-3))
    return np.concatenate([shifted(0), change, bend], 1, dtype=np.float32)


def without_noise(spectra: Spectra) -> Spectra:
    """Mel spectra (T, B) with what is always there taken out, step by step from the first."""
    power, noise, least = spectra[0], spectra[0] / MOST_GAIN, spectra[0] / MOST_GAIN
    peak = np.zeros(spectra.shape[1])
    near = _near(spectra.shape[1])
    clean = np.empty_like(spectra)
    for step, heard in enumerate(spectra):
        power = SMOOTH * power + (1 - SMOOTH) * heard
        noise = _lower_edge(noise, power)
        signal = np.maximum(power - noise, 1.0)
        least = _lower_edge(least, signal)
        peak = MASK_DECAY * peak
        masked = np.where(signal < MASK_DECAY * peak, MASK_SHARE * peak, signal)
        peak = np.maximum(peak, signal)
        gain = np.clip(np.maximum(masked, least) / power, 1 / MOST_GAIN, MOST_GAIN)
        clean[step] = heard * (gain @ near)
    return clean


def _lower_edge(edge: Spectra, power: Spectra) -> Spectra:
    """An estimate that rises slowly to the power above it and falls fast to the power below it."""
    keep = np.where(power >= edge, RISE, FALL)
    return keep * edge + (1 - keep) * power


@cache
def _near(bands: int) -> Spectra:
    """(B, B): column i averages the bands up to NEAR_BANDS from band i."""
    distance = np.abs(np.arange(bands)[:, None] - np.arange(bands))
    near = (distance <= NEAR_BANDS).astype(np.float64)
    return near / near.sum(0)


@cache
def _mel_bands() -> Spectra:
    """(257, 25): triangles of area 1 between points evenly spaced in mel = 2595 log10(1 + hz / 700), put on bins."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    bin_hz = RATE_HZ / POINTS
    corners_hz = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    corners = np.floor(corners_hz / bin_hz + 0.5) * bin_hz
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    hz = np.arange(POINTS // 2 + 1)[:, None] * bin_hz
    rising, falling = (hz - left) / (middle - left), (right - hz) / (right - middle)
    return np.clip(np.minimum(rising, falling), 0, None) * 2 / (right - left)


@cache
def _cosines() -> Spectra:
    """(25, 13): an orthonormal cosine transform with the weights of the lifter."""
    order = np.arange(CEPSTRA)
    table = np.cos(np.pi / BANDS * np.outer(np.arange(BANDS) + 0.5, order)) * np.sqrt(2 / BANDS)
    table[:, 0] = np.sqrt(1 / BANDS)
    return table * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))
