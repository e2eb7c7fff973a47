"""Closed eyes: the source's lids are painted over its open eyes, because a photo of open ones cannot be bent shut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..face import FloatArray
from ..geometry.features import EYES, Rows
from ..geometry.layout import KEYS, spread_matrix
from ..render.eyes import painted_eye

#: How far apart lids are, in eye widths: from the first on the source's open eye is bent no further, at the second an
#: eye is closed. The landmarks of closed eyes lie up to that far apart; of open ones about 0.33.
_BENT, _CLOSED = 0.20, 0.08

#: So far the source's eye stays open where the target's is closed, in eye widths: what it is bent to at most.
_HELD = 0.05

#: A source whose own lids are nearer to each other than this has nothing to be closed.
_SOURCE_OPEN = 0.12

#: Lids of both eyes that differ by less than this, in eye widths, move together; those that differ by twice as much
#: each for themselves. The landmarks of one eye that is closed beside an open one lie further apart than of two.
_WINK = 0.05

#: Points that tell what is down in a face.
_FOREHEAD, _CHIN = 10, 152

Blinks = tuple[float, float]


def blinks_of(source: FloatArray, target: FloatArray) -> Blinks:
    """How far lids have to be painted over each eye, 0 to 1, the one on the left of the picture first.

    source: (478, 3) px of its crop. target: (478, 3) px of the picture. Concretely by how much the target's lids are
    nearer to each other than the source's can be bent; 0 for a source with closed eyes. Eyes that are about as wide
    open blink together; one that is clearly further shut than the other winks.
    """
    open_ = np.array([_peak(target, eye.lids) for eye in EYES])
    wider = open_[::-1] - open_
    together = np.clip(2 - np.abs(wider) / _WINK, 0, 1)
    half_shut = np.clip((_BENT + 0.02 - open_) / 0.03, 0, 1)
    open_ += together * wider / 2 - (1 - together) * half_shut * np.maximum(wider, 0)
    blinks = np.clip((_BENT - open_) / (_BENT - _CLOSED), 0, 1)
    left, right = (
        float(blink) if _peak(source, eye.lids) > _SOURCE_OPEN else 0.0 for eye, blink in zip(EYES, blinks, strict=True)
    )
    return left, right


def held_open(moved: FloatArray, source: FloatArray, blinks: Blinks) -> FloatArray:
    """The points of the swapped face (478, 3) with upper lids where they were before they were painted shut.

    Only eyes with a blink change; the skin around follows.
    """
    offsets = np.zeros_like(moved)
    for eye, blink in zip(EYES, blinks, strict=True):
        if blink > 0:
            opening, down, width = _opening(moved, eye.lids)
            own, _, _ = _opening(source, eye.lids)
            wanted = own * min(1.0, _HELD / float(own.max()))
            offsets[list(eye.lids.upper), :2] = -np.maximum(wanted - opening, 0)[:, None] * width * down
    held = moved.copy()
    if offsets.any():
        held[:468] += spread_matrix() @ offsets[list(KEYS)]
    return held


def with_lids(photo: Tensor, source: FloatArray, blinks: Blinks) -> Tensor:
    """The source's photo (3, h, w) in [0, 1] with its lids as far down as the blinks say; source: (478, 3) px of it."""
    if max(blinks) == 0:
        return photo
    painted = photo.clone()
    for side, blink in enumerate(blinks):
        if blink > 0:
            painted_eye(photo, source, side).paint(painted, blink, (0.0, 0.0))
    return painted


def _peak(points: FloatArray, lids: Rows) -> float:
    return float(_opening(points, lids)[0].max())


def _opening(points: FloatArray, lids: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Per pair of lid points how far they are apart across the eye, in its widths; the unit vector down; the width."""
    first, last = points[list(lids.corners), :2].astype(np.float64)
    width = max(float(np.linalg.norm(last - first)), 1e-6)
    right = (last - first) / width
    down = np.array([-right[1], right[0]])
    if down @ (points[_CHIN, :2] - points[_FOREHEAD, :2]) < 0:
        down = -down
    between = (points[list(lids.lower), :2] - points[list(lids.upper), :2]).astype(np.float64)
    return between @ down / width, down, width
