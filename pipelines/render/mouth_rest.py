"""How a person's mouth is at rest, learnt while a video goes by, and where that is in a frame."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray, as_float_array
from ..geometry.features import LIP_RINGS, LIPS, RIGID
from ..geometry.layout import KEYS, spread_matrix
from ..geometry.transforms import similarity_3d
from .handles import closing_fields, jaw_weights

#: Lips further apart than this, in distances between the outer eye corners, hardly count as a mouth at rest.
_CLOSED = 0.025
_LEAST = 1e-3
#: How far towards the middle of the lips the inner edge of lips that are apart is drawn back.
_DRAWN_BACK = 0.7
#: Frames at rest that count together; older ones fade, so that light and lens may change.
_REMEMBERED = 100.0
#: How much of the gap that is left between lips the lower one takes.
_LOWER_SHARE = 0.65


class MouthAtRest:
    """The shape of one person's face with a calm mouth, as the mean of the frames in which the lips touch most.

    Concretely rest += w / (sum of w) (x - rest) with x the landmarks of a frame brought onto the first one by its
    points that do not move with the expression, and w = exp(-(gap / 0.025)²), gap in outer eye corner distances.
    """

    def __init__(self, shape: FloatArray | None = None, counted: float = 0.0) -> None:
        self.shape, self.counted = shape, counted

    def learn(self, landmarks: FloatArray) -> None:
        """Look at a frame. landmarks: (478, 3) px."""
        points = landmarks[:468].astype(np.float64)
        count = float(np.exp(-((lip_gap(landmarks) / _CLOSED) ** 2))) + _LEAST
        if self.shape is None:
            self.shape, self.counted = as_float_array(points), count
            return
        linear, shift = similarity_3d(self.shape[list(RIGID)], points[list(RIGID)])
        self.counted = min(self.counted, _REMEMBERED) + count
        self.shape = as_float_array(self.shape + (points @ linear.T + shift - self.shape) * (count / self.counted))

    def placed(self, landmarks: FloatArray, share: float = 1.0) -> FloatArray:
        """(478, 3) px: the face of a frame with its mouth at rest, lips closed.

        landmarks: (478, 3) px of the frame. share: how far from what it does to rest, 0 to 1. What does not belong to
        the mouth stays where it is. Learn from the frame first.
        """
        assert self.shape is not None
        linear, shift = similarity_3d(landmarks[list(RIGID)], self.shape[list(RIGID)])
        rest = _closed(self.shape.astype(np.float64)) @ linear.T + shift
        placed = landmarks.astype(np.float64).copy()
        placed[:468] += share * mouth_weights()[:, None] * (rest - placed[:468])
        return as_float_array(placed)


def lip_gap(landmarks: FloatArray) -> float:
    """How far the inner edges of the lips are apart on average, in distances between the outer eye corners."""
    inner = LIP_RINGS[-1]
    middle = slice(2, -2)
    upper, lower = landmarks[list(inner.upper[middle])], landmarks[list(inner.lower[middle])]
    unit = float(np.linalg.norm(landmarks[263] - landmarks[33]))
    return float(np.linalg.norm(upper - lower, axis=1).mean()) / max(unit, 1e-6)


def without_teeth(landmarks: FloatArray) -> FloatArray:
    """(478, 3) px: the inner edges of lips that are apart, drawn back onto the lips.

    landmarks: (478, 3) px. A network sees the edge of open lips a little into the mouth: what is closed along it shows
    a line of teeth. Concretely each point of the inner ring goes towards the ring around it, by up to `_DRAWN_BACK`.
    """
    outer, inner = (list(ring.upper + ring.lower) for ring in LIP_RINGS[-2:])
    share = _DRAWN_BACK * min(lip_gap(landmarks) / _CLOSED, 1.0)
    drawn = landmarks.copy()
    drawn[inner] += np.float32(share) * (landmarks[outer] - landmarks[inner])
    return drawn


@cache
def mouth_weights() -> NDArray[np.float64]:
    """(468,): 1 on the lips and the chin, falling to 0 towards nose, cheekbones and ears."""
    jaw = jaw_weights().astype(np.float64)
    keys = jaw[list(KEYS)]
    keys[[row for row, index in enumerate(KEYS) if index in LIPS]] = 1.0
    return np.clip(spread_matrix().astype(np.float64) @ keys, 0, 1)


def _closed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(468, 3): the lips brought together by what is left of the gap between them."""
    upper, lower, spread = closing_fields()
    gap = points[lower] - points[upper]
    return points + spread @ np.concatenate([(1 - _LOWER_SHARE) * gap, -_LOWER_SHARE * gap])
