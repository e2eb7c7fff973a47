"""Where the mesh of a portrait goes for one frame of expression and pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray, as_float_array
from ..geometry.features import OVAL
from ..geometry.pose import rotation_from_angles
from .handles import closing_fields, jaw_angle, jaw_weights
from .portrait import FLIP, RINGS, Portrait, jaw_pivot

#: Beyond these the picture has no pixels to show: pitch, yaw, roll in radians are bent softly towards them.
TURN_LIMITS = (0.24, 0.30, 0.45)

#: Likewise the shift of the head, in distances between the eyes' middles.
SHIFT_LIMIT = 0.45

#: How far a full pucker brings open lips together.
_PUCKERED = 0.92

#: How far lips that a smile had parted come together when the smile is taken away.
_UNSMILED = 0.75

#: Channels that a smile cannot go with, and how much of the portrait's smile they take away at 1.
_NO_SMILE = {"mouthFrown": 1.0, "mouthPucker": 0.5, "mouthFunnel": 0.6}

#: Lips this far apart at rest (in outer eye corner distances) show the teeth; how much less a jaw then turns at first,
#: and the activation from which on it turns as any other.
_PARTED, _ALREADY_OPEN, _CATCHES_UP = 0.08, 0.55, 0.48

#: How much of a channel is left to add when the portrait shows it fully.
_LEFT_WHEN_FULL = 0.15


@dataclass(frozen=True, eq=False)
class Moved:
    """One frame's mesh: vertices (V, 3) px where they are drawn, skull (468, 3) px, where they would be without any
    expression, expression (468, 3) px, what of it is no head movement (before the head's turn), turn (3, 3),
    activations (52,) after taking account of what the portrait shows, closed: 0 to 1, how far lips were brought
    together, and inset (468, 2) px, how far from its own place in the portrait a point takes its pixels."""

    vertices: FloatArray
    skull: FloatArray
    expression: FloatArray
    turn: NDArray[np.float64]
    activations: FloatArray
    closed: float
    inset: FloatArray


def move(portrait: Portrait, blendshapes: FloatArray, rotation: FloatArray, translation: FloatArray) -> Moved:
    """The mesh of one frame.

    blendshapes: (52,) changes against the portrait, in [-1, 1], in the order of `portrait.names`. rotation: (3,) pitch,
    yaw, roll in radians against the portrait. translation: (3,) right, up and towards the camera, in distances between
    the eyes' middles; all as in `Motion`. Turns and shifts beyond `TURN_LIMITS` and `SHIFT_LIMIT` are softly limited.
    """
    amount = with_rest(np.asarray(blendshapes, dtype=np.float32), portrait.rest)
    smile = _relax_smile(portrait, amount)
    expression = np.tensordot(amount, portrait.fields, 1).astype(np.float64)
    jaw = _amount(portrait, amount, "jawOpen") * _jaw_room(portrait, _amount(portrait, amount, "jawOpen"))
    if jaw != 0:
        expression = expression + _jaw(portrait, jaw)
    closed = _amount(portrait, amount, "mouthClose") + _PUCKERED * _amount(portrait, amount, "mouthPucker")
    closed = float(np.clip(closed + _UNSMILED * smile, 0, 1))
    if closed > 0:
        expression = expression + _closing(portrait, expression, closed)
    turn = FLIP @ rotation_from_angles(*(soft(v, limit) for v, limit in zip(rotation, TURN_LIMITS, strict=True))) @ FLIP
    shift = np.array([soft(float(v), SHIFT_LIMIT) for v in translation]) * (1, -1, -1) * portrait.eye_distance
    scale = 1 - shift[2] / (6 * portrait.eye_distance)
    rest = portrait.landmarks[:468].astype(np.float64)
    skull = portrait.pivot + scale * (rest - portrait.pivot) @ turn.T + np.array([shift[0], shift[1], 0.0])
    change = skull + scale * expression @ turn.T - rest
    around = np.tile(change[list(OVAL)], (len(RINGS), 1)) * portrait.follow[468:, None]
    vertices = portrait.vertices + np.concatenate([change, around])
    return Moved(
        vertices=as_float_array(vertices),
        skull=as_float_array(skull),
        expression=as_float_array(expression),
        turn=scale * turn,
        activations=amount,
        closed=closed,
        inset=as_float_array(closed * portrait.lip_inset),
    )


def with_rest(blendshapes: FloatArray, rest: FloatArray) -> FloatArray:
    """Changes (52,) that a portrait with activations `rest` (52,) still has room for.

    Concretely an increase is multiplied by 1 - 0.85 rest, a decrease by 1.5 rest (what an expression leaves in a face
    is more than its mesh tells), but at least 0.25, so that taking away what is not there moves little.
    """
    more = blendshapes * (1 - (1 - _LEFT_WHEN_FULL) * rest)
    less = blendshapes * np.maximum(1.5 * rest, 0.25)
    return np.clip(np.where(blendshapes > 0, more, less), -1.5, 1).astype(np.float32)


def soft(value: float, limit: float) -> float:
    """`value` near zero, never beyond `limit`: limit * tanh(value / limit)."""
    return limit * float(np.tanh(value / limit))


def _relax_smile(portrait: Portrait, amounts: FloatArray) -> float:
    """Take the smile that a portrait shows away where another channel leaves it no room, in place.

    Returns how much of a smile that parts the lips has gone because the corners went down, 0 to 1.
    """
    index = {name: position for position, name in enumerate(portrait.names)}
    gone: list[float] = []
    for side in ("Left", "Right"):
        smile = index.get(f"mouthSmile{side}")
        if smile is None:
            continue
        taken = {name: share * _positive(amounts, index, name, side) for name, share in _NO_SMILE.items()}
        amounts[smile] -= min(sum(taken.values()), 1.0) * portrait.rest[smile]
        gone.append(min(taken["mouthFrown"], 1.0) * float(portrait.rest[smile]))
    return float(np.mean(gone)) if gone else 0.0


def _positive(amounts: FloatArray, index: dict[str, int], name: str, side: str) -> float:
    found = index.get(f"{name}{side}", index.get(name))
    return 0.0 if found is None else max(float(amounts[found]), 0.0)


def _amount(portrait: Portrait, amounts: FloatArray, name: str) -> float:
    return float(amounts[portrait.names.index(name)]) if name in portrait.names else 0.0


def _jaw_room(portrait: Portrait, amount: float) -> float:
    """What a jaw turns by against what it is told: lips that are parted at rest need less of it for the same opening.

    Concretely 1 - s (1 - amount / a)^1.5 below a = `_CATCHES_UP`; s grows to `_ALREADY_OPEN` with the gap at rest.
    """
    parted = float(np.clip(portrait.parted / _PARTED, 0, 1))
    return 1 - _ALREADY_OPEN * parted * float(np.clip(1 - max(amount, 0) / _CATCHES_UP, 0, 1)) ** 1.5


def _closing(portrait: Portrait, expression: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """(468, 3) px: the lips brought together by `share` of the gap between them, the lower one going further."""
    upper, lower, spread = closing_fields()
    points = portrait.landmarks[:468] + expression
    gap = points[lower] - points[upper]
    # lips that already cross are left alone
    gap *= (gap @ portrait.axes[:, 1] > 0)[:, None] * share
    return spread @ np.concatenate([0.35 * gap, -0.65 * gap])


def _jaw(portrait: Portrait, amount: float) -> NDArray[np.float64]:
    """(468, 3) px: the jaw turned about the axis through its joints."""
    pivot, share = jaw_pivot(portrait), jaw_weights().astype(np.float64)
    place = (portrait.landmarks[:468] - pivot) @ portrait.axes
    angle = jaw_angle(amount) * share
    y = place[:, 1] * np.cos(angle) - place[:, 2] * np.sin(angle)
    z = place[:, 1] * np.sin(angle) + place[:, 2] * np.cos(angle)
    moved = np.stack([place[:, 0], y, z], 1)
    return (moved - place) @ portrait.axes.T
