"""What each expression channel does to the mesh: a few points are pulled, the rest of the face follows smoothly.

Moves are in a frontal head's own axes (x to the right of the picture, y down, z away from the camera), in units of the
distance between the outer eye corners, at activation 1. `Left` and `Right` in channel names are the person's, so the
left side of the picture is the person's right. Sizes were chosen with the blendshape network on rendered pictures.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from ..geometry.features import BROWS, EYES, LIP_RINGS, OVAL
from ..geometry.layout import KEYS, spread_matrix
from ..geometry.mesh import canonical_mesh

Field = NDArray[np.float64]
Move = tuple[float, float, float]

#: Radians that the jaw turns at jawOpen 1, and the power of the activation it grows with: a jaw that is half open looks
#: more than half open.
_JAW_RAD, _JAW_POWER = 0.50, 0.75

#: Where the jaw's axis lies behind and below the points before the ears, in the head's axes and outer eye corner
#: distances.
JAW_AXIS = (0.0, 0.05, 0.05)

#: How far an iris goes at activation 1, sideways and up or down, in widths of the eye.
LOOK_SIDEWAYS, LOOK_UPRIGHT = 0.22, 0.13

#: Side of the picture -> how the channels of that side end.
SIDES = ("Right", "Left")

_NOSE_WINGS = (
    (48, 64, 98, 129, 49, 102, 115, 219, 59, 235, 240),
    (278, 294, 327, 358, 279, 331, 344, 439, 289, 455, 460),
)


@cache
def channel_fields() -> dict[str, FloatArray]:
    """Channel name -> (468, 3) moves of the mesh at activation 1; channels not listed move nothing here.

    The jaw's turn is in `jaw_weights`, eyelids and gaze are painted.
    """
    fields: dict[str, Field] = {}
    for side, name in enumerate(SIDES):
        sign = -1.0 if side == 0 else 1.0
        fields.update({f"{key}{name}": field for key, field in _brow_fields(side).items()})
        fields.update({f"{key}{name}": field for key, field in _eye_fields(side).items()})
        fields.update({f"{key}{name}": field for key, field in _corner_fields(side, sign).items()})
        fields.update({f"{key}{name}": field for key, field in _lip_fields(side).items()})
        fields[f"noseSneer{name}"] = _sneer(side, sign)
        fields[f"cheekSquint{name}"] = _bump((50, 280)[side], (0.0, -0.05, -0.02), 0.18)
    # the lower edge goes further than the upper one: a brow whose rim alone rises reads as a thinner brow
    inner: dict[int, Move] = {}
    for side in (0, 1):
        inner.update({i: (0.0, -0.10 * w, 0.0) for i, w in _brow(side, (0.0, 0.15, 0.5, 0.9, 1.0), 1.45)})
        inner.update(dict.fromkeys(EYES[side].lids.upper, (0.0, -0.01, 0.0)))
    fields["browInnerUp"] = _spread(inner)
    fields.update(_mouth_fields())
    return {name: field.astype(np.float32) for name, field in fields.items()}


def jaw_angle(amount: float) -> float:
    """Radians that the jaw turns at an activation of jawOpen; below 0 it closes a little further than it is."""
    return _JAW_RAD * (amount**_JAW_POWER if amount > 0 else max(amount, -0.1))


@cache
def jaw_weights() -> FloatArray:
    """(468,) how far each point follows the jaw: lower lip and chin fully, upper lip and skull not."""
    keys: dict[int, float] = {}
    for ring in LIP_RINGS:
        keys.update(dict.fromkeys(ring.lower, 1.0))
        keys.update(dict.fromkeys(ring.corners, 0.42))
        for index, weight in zip(ring.lower, _arch(len(ring.lower)), strict=True):
            keys[index] = 0.42 + 0.58 * weight
        for index, weight in zip(ring.upper, _arch(len(ring.upper)), strict=True):
            keys[index] = 0.30 * (1 - weight)
    points = canonical_mesh().points
    top, bottom = points[234, 1], points[152, 1]
    for index in OVAL:
        share = (top - points[index, 1]) / (top - bottom)
        keys[index] = float(np.clip(share * 1.15, 0, 1) ** 1.3) if share > 0 else 0.0
    values = np.zeros(len(KEYS))
    for row, index in enumerate(KEYS):
        values[row] = keys.get(index, 0.0)
    return np.clip(spread_matrix() @ values, 0, 1).astype(np.float32)


@cache
def closing_fields() -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Pairs of points that lips meet with: (N,) of the upper and of the lower inner edge, and how the mesh follows.

    The last is (468, 2 N): moves of all points from those of the upper and then the lower points.
    """
    inner = LIP_RINGS[-1]
    follow = np.zeros((len(KEYS), 2 * len(inner.upper)))
    rows = {index: row for row, index in enumerate(KEYS)}
    for ring, share in zip(LIP_RINGS, (0.55, 0.75, 0.9, 1.0), strict=True):
        for column in range(len(inner.upper)):
            follow[rows[ring.upper[column]], column] = share
            follow[rows[ring.lower[column]], len(inner.upper) + column] = share
    spread = (spread_matrix() @ follow).astype(np.float32)
    return np.array(inner.upper), np.array(inner.lower), spread


def _arch(count: int) -> NDArray[np.float64]:
    """Weights of a lip's row between two corners, as an opening mouth takes them: nearly an ellipse."""
    half = np.interp(np.linspace(0, 1, count // 2 + 1), np.linspace(0, 1, 5), [0.46, 0.64, 0.84, 0.96, 1.0])
    return np.concatenate([half, half[: count // 2][::-1]])


def _spread(moves: dict[int, Move]) -> Field:
    field = np.zeros((468, 3))
    for index, move in moves.items():
        field[index] = move
    return spread_matrix().astype(np.float64) @ field[list(KEYS)]


def _bump(centre: int, move: Move, width: float) -> Field:
    """A soft push around one point; width in outer eye corner distances."""
    points = canonical_mesh().points.astype(np.float64)
    unit = np.linalg.norm(points[263] - points[33])
    distance = np.linalg.norm(points - points[centre], axis=1) / unit
    return np.exp(-((distance / width) ** 2))[:, None] * np.array(move)


def _brow(side: int, shares: tuple[float, ...], below: float = 1.0) -> list[tuple[int, float]]:
    """Points of a brow with their share, given from the outer end to the inner; its lower edge takes `below` of it."""
    return list(zip(BROWS[side], (*shares, *(below * share for share in shares)), strict=True))


def _brow_fields(side: int) -> dict[str, Field]:
    sign = 1.0 if side == 0 else -1.0  # towards the middle of the face
    down = {i: (0.03 * sign * w, 0.095 * w, 0.0) for i, w in _brow(side, (0.55, 0.75, 0.9, 1.0, 1.0))}
    lids = EYES[side].lids.upper
    down.update({i: (0.0, 0.012, 0.0) for i in lids})
    return {
        "browDown": _spread(down),
        "browOuterUp": _spread({i: (0.0, -0.11 * w, 0.0) for i, w in _brow(side, (0.9, 1.0, 0.8, 0.4, 0.15))}),
    }


def _eye_fields(side: int) -> dict[str, Field]:
    lids = EYES[side].lids
    bow = np.sin(np.linspace(0, np.pi, len(lids.upper) + 2))[1:-1]
    upper = {i: w for i, w in zip(lids.upper, bow, strict=True)}
    lower = {i: w for i, w in zip(lids.lower, bow, strict=True)}
    squint = {i: (0.0, -0.028 * w, 0.0) for i, w in lower.items()} | {
        i: (0.0, 0.008 * w, 0.0) for i, w in upper.items()
    }
    wide = {i: (0.0, -0.04 * w, 0.0) for i, w in upper.items()} | {i: (0.0, 0.008 * w, 0.0) for i, w in lower.items()}
    return {
        "eyeSquint": _spread(squint),
        "eyeWide": _spread(wide),
        "eyeBlink": _spread({i: (0.0, 0.012 * w, 0.0) for i, w in lower.items()}),
        # the upper lid follows the gaze
        "eyeLookDown": _spread({i: (0.0, 0.012 * w, 0.0) for i, w in upper.items()}),
        "eyeLookUp": _spread({i: (0.0, -0.03 * w, 0.0) for i, w in upper.items()}),
    }


def _mouth_side(side: int, power: float = 1.5) -> list[tuple[int, float]]:
    """Points of one half of the mouth with a weight that grows from the middle to the corner."""
    out: list[tuple[int, float]] = []
    for ring in LIP_RINGS:
        out.append((ring.corners[side], 1.0))
        for row in (ring.upper, ring.lower):
            half = row[:4][::-1] if side == 0 else row[5:]
            out += [(index, (step / 5) ** power) for step, index in zip((1, 2, 3, 4), half, strict=True)]
    return out


def _corner_fields(side: int, sign: float) -> dict[str, Field]:
    """What moves a corner of the mouth; sign: -1 on the left of the picture."""

    def pull(x: float, y: float, z: float = 0.0, power: float = 1.5) -> Field:
        return _spread({i: (sign * x * w, y * w, z * w) for i, w in _mouth_side(side, power)})

    cheek = _bump((205, 425)[side], (sign * 0.015, -0.03, -0.015), 0.16)
    return {
        "mouthSmile": pull(0.075, -0.085, 0.02) + cheek,
        "mouthFrown": pull(0.015, 0.10),
        "mouthStretch": pull(0.07, 0.035, 0.01),
        "mouthDimple": pull(0.05, -0.01, 0.03, 2.5),
        "mouthPress": _press(side),
    }


def _lip_half(side: int, half: str, middle: float) -> dict[int, float]:
    """Weights of one lip, full on its side of the picture, `middle` at the middle, fading on the other side."""
    steps = np.array([0.45, 0.8, 1.0, 0.9, middle, 0.2, 0.05, 0.0, 0.0])
    if side == 1:
        steps = steps[::-1]
    weights: dict[int, float] = {}
    for ring, share in zip(LIP_RINGS, (1.0, 0.95, 0.9, 0.85), strict=True):
        row = ring.upper if half == "upper" else ring.lower
        weights.update({i: share * float(w) for i, w in zip(row, steps, strict=True)})
    return weights


def _lip_fields(side: int) -> dict[str, Field]:
    upper, lower = _lip_half(side, "upper", 0.5), _lip_half(side, "lower", 0.5)
    wing = (0.0, -0.02, 0.0)
    up: dict[int, Move] = {i: (0.0, -0.065 * w, 0.0) for i, w in upper.items()}
    up.update(dict.fromkeys(_NOSE_WINGS[side][:4], wing))
    return {
        "mouthUpperUp": _spread(up),
        "mouthLowerDown": _spread({i: (0.0, 0.065 * w, 0.0) for i, w in lower.items()}),
    }


def _press(side: int) -> Field:
    """Lips drawn together, the red narrower."""
    upper, lower = _lip_half(side, "upper", 0.5), _lip_half(side, "lower", 0.5)
    moves: dict[int, Move] = {}
    for ring, share in zip(LIP_RINGS, (1.0, 0.7, 0.35, 0.1), strict=True):
        moves.update({i: (0.0, 0.028 * share * upper[i], 0.0) for i in ring.upper})
        moves.update({i: (0.0, -0.028 * share * lower[i], 0.0) for i in ring.lower})
    return _spread(moves)


def _sneer(side: int, sign: float) -> Field:
    moves: dict[int, Move] = dict.fromkeys(_NOSE_WINGS[side], (sign * 0.012, -0.05, 0.0))
    upper = _lip_half(side, "upper", 0.3)
    moves.update({i: (0.0, -0.03 * w, 0.0) for i, w in upper.items()})
    moves.update({i: (0.0, 0.02 * w, 0.0) for i, w in _brow(side, (0.2, 0.4, 0.6, 0.8, 1.0))})
    return _spread(moves)


def _lips(upper: tuple[float, float], lower: tuple[float, float], narrow: float, forward: float) -> Field:
    """Both lips together: vertical moves of the outer and inner edge of each, corners drawn in by a share."""
    points = canonical_mesh().points.astype(np.float64)
    unit = np.linalg.norm(points[263] - points[33])
    moves: dict[int, Move] = {}
    for level, ring in enumerate(LIP_RINGS):
        inwards = level / (len(LIP_RINGS) - 1)
        rows = ((ring.upper, upper), (ring.lower, lower))
        for row, (outer, inner) in rows:
            for index, weight in zip(row, np.sin(np.linspace(0, np.pi, len(row) + 2))[1:-1] ** 0.7, strict=True):
                x = -narrow * points[index, 0] / unit
                moves[index] = (x, weight * (outer + (inner - outer) * inwards), -forward)
        for index in ring.corners:
            moves[index] = (-narrow * points[index, 0] / unit, 0.0, -forward / 2)
    return _spread(moves)


def _puffed() -> Field:
    """Both cheeks out to the sides and to the camera, the mouth between them held."""
    shares = ((132, 361, 0.4), (58, 288, 0.9), (172, 397, 1.0), (136, 365, 0.7), (150, 379, 0.3))
    moves: dict[int, Move] = {}
    for left, right, share in shares:
        moves[left], moves[right] = (-0.05 * share, 0.0, -0.02 * share), (0.05 * share, 0.0, -0.02 * share)
    return _spread(moves) + _bump(213, (-0.035, 0.0, -0.05), 0.13) + _bump(433, (0.035, 0.0, -0.05), 0.13)


def _mouth_fields() -> dict[str, Field]:
    everything = {i: 1.0 for ring in LIP_RINGS for i in ring.loop}
    fields = {
        "mouthPucker": _lips((-0.02, 0.0), (0.02, 0.0), 0.42, 0.12),
        "mouthFunnel": _lips((-0.05, -0.045), (0.05, 0.045), 0.25, 0.10),
        "mouthRollUpper": _lips((0.03, 0.01), (0.0, 0.0), 0.0, -0.03),
        "mouthRollLower": _lips((0.0, 0.0), (-0.035, -0.01), 0.0, -0.03),
        "mouthShrugUpper": _lips((-0.03, -0.02), (0.0, 0.0), 0.0, 0.02),
        "mouthShrugLower": _lips((-0.01, -0.02), (-0.05, -0.035), 0.0, 0.02) + _bump(200, (0.0, -0.03, -0.02), 0.2),
        "jawOpen": 0.2 * _lips((0.0, 0.0), (0.0, 0.0), 0.38, 0.06),
        "cheekPuff": _puffed(),
    }
    for name, sign in (("Left", 1.0), ("Right", -1.0)):
        fields[f"mouth{name}"] = _spread({i: (0.10 * sign * w, 0.0, 0.0) for i, w in everything.items()})
        sideways = jaw_weights().astype(np.float64)[:, None]
        fields[f"jaw{name}"] = sideways * np.array([0.09 * sign, 0.0, 0.0])
    fields["jawForward"] = jaw_weights().astype(np.float64)[:, None] * np.array([0.0, 0.012, -0.08])
    return fields
