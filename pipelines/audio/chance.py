"""Chance that can be repeated: smooth wandering and events, the same for a seed however long the speech goes on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..motion.timing import smooth_step

Times = NDArray[np.float64]


def dice(seed: int, stream: str) -> np.random.Generator:
    """A generator of its own for each use, so that one dial does not change what another one gets."""
    return np.random.default_rng([abs(seed), int.from_bytes(stream.encode()[:8], "little")])


def wandering(times: Times, every_s: float, seed: int, stream: str) -> Times:
    """(T,) smooth noise of mean 0 and a standard deviation of about 1: new values about every `every_s`, eased between.

    The values of the beginning do not depend on how many times follow.
    """
    random = dice(seed, stream)
    knots = int(np.ceil(times[-1] / every_s)) + 3
    heights = random.standard_normal(knots)
    place = times / every_s + 0.5
    before = place.astype(np.int64)
    share = smooth_step(place - before)
    return (heights[before] * (1 - share) + heights[before + 1] * share) * 1.25


def bumps(times: Times, at_s: Times, heights: Times, rise_s: float, fall_s: float) -> Times:
    """(T,) a sum of soft hills: each rises to its height by `at_s` and falls again.

    at_s: (N,), sorted. heights: (N,). Hills are squared sines; only times near a hill are touched.
    """
    out = np.zeros(len(times))
    first, last = np.searchsorted(times, at_s - rise_s), np.searchsorted(times, at_s + fall_s)
    for a, b, middle, height in zip(first, last, at_s, heights, strict=True):
        before = np.clip((times[a:b] - middle) / rise_s + 1, 0, 1)
        after = np.clip(1 - (times[a:b] - middle) / fall_s, 0, 1)
        out[a:b] += height * np.sin(np.minimum(before, after) * np.pi / 2) ** 2
    return out
