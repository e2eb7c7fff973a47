"""The inner edges of the lips as curves, whatever way the head is tilted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from ..geometry.features import LIP_RINGS
from .portrait import Portrait

INNER = LIP_RINGS[-1]
_UPPER = (INNER.corners[0], *INNER.upper, INNER.corners[1])
_LOWER = (INNER.corners[0], *INNER.lower, INNER.corners[1])

Row = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Lines:
    """Upper and lower lip's inner edge as v (down the face, px) over u (to its right), and u of the corners."""

    upper: Row
    lower: Row
    start: float
    end: float

    def top(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """v of the upper lip's edge at u."""
        return np.interp(u, *self.upper)

    def bottom(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """v of the lower lip's edge at u."""
        return np.interp(u, *self.lower)

    def gap(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """px between the lips at u; below 0 where they cross."""
        return self.bottom(u) - self.top(u)

    def corners_px(self, portrait: Portrait) -> NDArray[np.float64]:
        """(N, 2) px x, y of the points of both edges."""
        right, down = axes_of(portrait)
        u, v = (np.concatenate(pair) for pair in zip(self.upper, self.lower, strict=True))
        return u[:, None] * right + v[:, None] * down


def axes_of(portrait: Portrait) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (2,) in the picture: to the right of the face and down it."""
    right = portrait.axes[:2, 0] / max(float(np.linalg.norm(portrait.axes[:2, 0])), 1e-6)
    return right, np.array([-right[1], right[0]])


def lines_of(portrait: Portrait, points: FloatArray) -> Lines:
    """The inner lip edges of mesh points (N, 2 or more) px."""
    right, down = axes_of(portrait)
    rows: list[Row] = []
    for row in (_UPPER, _LOWER):
        line = points[list(row), :2].astype(np.float64)
        rows.append((np.maximum.accumulate(line @ right), line @ down))
    upper, lower = rows
    return Lines(upper, lower, float(max(upper[0][0], lower[0][0])), float(min(upper[0][-1], lower[0][-1])))
