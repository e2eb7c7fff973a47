"""Frames in which nothing was seen, filled from those around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray

Flags = NDArray[np.bool_]


def fill_gaps(values: FloatArray, known: Flags, cuts: Sequence[int] = ()) -> FloatArray:
    """(T, D) with the rows that are not known filled in.

    known: (T,). cuts: frames at which a new scene begins: nothing is interpolated across them. Inside a scene a gap is
    bridged linearly and the ends are held; a scene in which nothing is known holds the nearest known row. Rows that are
    known come back untouched; with none known, everything is 0.
    """
    filled = np.where(known[:, None], values, 0).astype(np.float32)
    if known.all() or not known.any():
        return filled
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(values)}), len(values)]
    everywhere = np.flatnonzero(known)
    for start, end in zip(bounds, bounds[1:], strict=False):
        seen = everywhere[(everywhere >= start) & (everywhere < end)]
        missing = start + np.flatnonzero(~known[start:end])
        if len(seen) == 0:
            nearest = everywhere[np.abs(everywhere - (start + end - 1) / 2).argmin()]
            filled[missing] = values[nearest]
        elif len(missing):
            _bridge(filled, values, seen, missing)
    return filled


def _bridge(filled: FloatArray, values: FloatArray, seen: NDArray[np.int64], missing: NDArray[np.int64]) -> None:
    after = np.clip(np.searchsorted(seen, missing), 0, len(seen) - 1)
    before = np.clip(np.searchsorted(seen, missing) - 1, 0, len(seen) - 1)
    low, high = seen[before], seen[after]
    share = np.clip((missing - low) / np.maximum(high - low, 1), 0, 1).astype(np.float32)[:, None]
    filled[missing] = values[low] * (1 - share) + values[high] * share
