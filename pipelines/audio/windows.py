"""Long sounds cut into pieces at pauses, so that time and memory of the analysis grow with the length only."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray
from .heard import STEPS_HZ

#: A piece is cut at the quietest moment between these lengths: long enough to learn the loudness and the channel of a
#: speaker from, short enough to be worked on at once.
LEAST_S, MOST_S = 8.0, 16.0
#: Loudness is averaged over so many steps before the quietest is looked for: a pause, not the closure of a p.
PAUSE_STEPS = 20


def windows(loudness: FloatArray) -> list[tuple[int, int]]:
    """(start, stop) in steps of `STEPS_HZ`, in order and without gaps.

    loudness: (T,) dB. What is left at the end is one piece when it is at most `MOST_S` long.
    """
    least, most = round(LEAST_S * STEPS_HZ), round(MOST_S * STEPS_HZ)
    kernel = np.full(PAUSE_STEPS, 1 / PAUSE_STEPS)
    found, start = list[tuple[int, int]](), 0
    while len(loudness) - start > most:
        quiet = np.convolve(loudness[start + least : start + most], kernel, "valid")
        stop = start + least + int(quiet.argmin()) + PAUSE_STEPS // 2
        found.append((start, stop))
        start = stop
    return [*found, (start, len(loudness))]
