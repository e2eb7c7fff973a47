"""`Resampler`: another sample rate for a sound of any length, block by block, without aliases."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

#: Zero crossings of the sinc on each side, and the shape of its Kaiser window: stop band below -80 dB. The pass band
#: ends at `ROLL_OFF` of the half rate, where the transition of such a filter begins.
CROSSINGS = 24
KAISER_BETA = 8.0
ROLL_OFF = 0.92
#: The kernel is a table with so many points per zero crossing, linear in between: errors below -100 dB.
TABLE_POINTS = 512
#: Weights that are kept from block to block, in floats: 16 MB.
MAX_KEPT = 1 << 22


class Resampler:
    """From one rate to another with a windowed sinc (Smith, Digital Audio Resampling, 2002).

    Concretely y[n] = sum_k x[k] h(n from_hz / to_hz - k), h(t) = c sinc(c t) kaiser(t), c the share of the lower one
    of both half rates times `ROLL_OFF`; samples before the first and behind the last are 0. Outputs whose times have
    the same fraction share their weights: they are found by one product of a matrix of windows.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        ratio = Fraction(from_hz, to_hz)
        #: After `phases` outputs and `period` inputs everything repeats.
        self._period, self._phases = ratio.numerator, ratio.denominator
        cutoff = ROLL_OFF * min(1.0, to_hz / from_hz)
        self._half = ceil(CROSSINGS / cutoff)
        self._held: Samples = np.zeros(self._half, np.float32)
        self._same = from_hz == to_hz
        points = np.linspace(-1, 1, 2 * CROSSINGS * TABLE_POINTS + 1)
        self._points = points * (self._half + 1)
        window = np.i0(KAISER_BETA * np.sqrt(1 - points**2)) / np.i0(KAISER_BETA)
        self._kernel = cutoff * np.sinc(cutoff * self._points) * window
        self._weights = lru_cache(MAX_KEPT // (2 * self._half + 1))(self._computed_weights)

    def push(self, block: Samples) -> Samples:
        """The outputs that can be told with one more block (N,) of the sound."""
        if self._same:
            return block
        self._held = np.concatenate([self._held, block])
        periods = (len(self._held) - 2 * self._half) // self._period
        return self._take(max(periods, 0))

    def finish(self) -> Samples:
        """The last outputs; the sound ends in zeros, so there are up to a period more than belong to it."""
        if self._same:
            return np.zeros(0, np.float32)
        self._held = np.concatenate([self._held, np.zeros(2 * self._half + self._period, np.float32)])
        return self._take((len(self._held) - 2 * self._half) // self._period)

    def _take(self, periods: int) -> Samples:
        """The outputs of so many periods; what they no longer need is let go."""
        out = np.empty((periods, self._phases), np.float32)
        if periods:
            windows = np.lib.stride_tricks.sliding_window_view(self._held, 2 * self._half + 1)
            for phase in range(self._phases):
                whole, part = divmod(phase * self._period, self._phases)
                chosen = windows[whole :: self._period][:periods]
                np.einsum("nk,k->n", chosen, self._weights(part), out=out[:, phase])
            self._held = self._held[periods * self._period :]
        return out.reshape(-1)

    def _computed_weights(self, part: int) -> Samples:
        """(taps,) of an output that lies `part` / phases of a sample behind an input."""
        times = np.arange(-self._half, self._half + 1) - part / self._phases
        return np.interp(times, self._points, self._kernel).astype(np.float32)
