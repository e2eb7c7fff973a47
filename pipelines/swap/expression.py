"""Keeps the target's expression: small moves of lips, lids, brows and irises until the blendshape network agrees."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import FloatArray, as_float_array
from ..geometry.features import BROWS, EYES, LIP_RINGS
from ..geometry.layout import KEYS, spread_matrix
from ..geometry.mesh import canonical_mesh

#: (N, 478, 3) px to (N, 52) activations.
Blendshapes = Callable[[Tensor], Tensor]

_STEPS = 3
_PROBE = 0.5  # of a handle's usual move, for the numerical derivative
_LIMIT = 2.5  # usual moves a handle may be pulled at most
_CERTAIN = 1e-4  # activations nearer to 0 or 1 count as this near
_IRIS_RADIUS = 0.21  # of the eye's width, in the neutral face

#: What pulling a handle by its usual move costs: brows and lips belong to the person, irises follow freely.
_CORNERS, _LIDS, _BROWS, _LIPS, _GAZE = 0.03, 0.005, 0.06, 0.06, 0.003
#: Where the mouth lies is the person's, and moving it would nod the head.
_WHOLE_MOUTH = 0.1


class ExpressionKeeper:
    """Reads expressions with the blendshape network and pulls landmarks back to one."""

    def __init__(self, blendshapes: Blendshapes) -> None:
        self._blendshapes = blendshapes
        self._slopes: NDArray[np.float64] | None = None

    def keep(self, moved: FloatArray, target: FloatArray) -> FloatArray:
        """The moved landmarks with the target's blendshapes.

        moved, target: (478, 3) px of one picture. Returns (478, 3) px: concretely moved + H h, with h lowering
        |b(moved + H h) - b(target)|² + sum(cost h²) by Gauss-Newton steps; the columns of H are the `handles` in units
        of their usual move. The derivative of the activations' logits is that of the neutral face in every step (it
        changes little), the logistic's own derivative that of the step.
        """
        fields, slopes, cost = _in_picture(target), self.slopes(), np.diag(_costs())
        wanted, now = self._activations(np.stack([target, moved]))
        amount, pulled = np.zeros(len(fields)), moved
        for step in range(_STEPS):
            jacobian = slopes * np.maximum(now * (1 - now), 0.01)[:, None]
            change = np.linalg.solve(jacobian.T @ jacobian + cost, jacobian.T @ (wanted - now) - cost @ amount)
            amount = np.clip(amount + change, -_LIMIT, _LIMIT)
            pulled = as_float_array(moved + np.tensordot(amount, fields, 1))
            if step < _STEPS - 1:
                now = self._activations(pulled[None])[0]
        return pulled

    def slopes(self) -> NDArray[np.float64]:
        """(52, K): how the logit of each activation of the neutral face rises when a handle is pulled."""
        slopes = self._slopes
        if slopes is None:
            face = _neutral_face()
            logits = _logit(self._activations(np.concatenate([face[None], face + _PROBE * _in_picture(face)])))
            slopes = self._slopes = (logits[1:] - logits[0]).T / _PROBE
        return slopes

    def _activations(self, landmarks: NDArray[Any]) -> NDArray[np.float64]:
        return self._blendshapes(torch.from_numpy(as_float_array(landmarks))).double().cpu().numpy()


def _logit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.clip(values, _CERTAIN, 1 - _CERTAIN)
    return np.log(values / (1 - values))


def _neutral_face() -> FloatArray:
    """(478, 3): the canonical mesh as landmarks, looking straight ahead, 300 px wide."""
    face = np.zeros((478, 3), dtype=np.float32)
    face[:468] = canonical_mesh().points * np.array([20.0, -20.0, -20.0])
    for eye in EYES:
        corners = face[list(eye.lids.corners)]
        face[eye.iris] = face[list(eye.lids.loop)].mean(0)
        radius = _IRIS_RADIUS * float(np.linalg.norm(corners[1] - corners[0]))
        for index, direction in zip(eye.iris_edge, ((1, 0, 0), (0, -1, 0), (-1, 0, 0), (0, 1, 0)), strict=True):
            face[index] = face[eye.iris] + radius * np.array(direction)
    return face


def _costs() -> NDArray[np.float64]:
    """(K,): the cost of each handle, in the order of `handles`."""
    side = [_CORNERS, _CORNERS, _LIDS, _LIDS, _BROWS, _BROWS]
    return np.array([*side, *side, _WHOLE_MOUTH, _LIPS, _LIPS, _LIPS, _GAZE, _GAZE])


def _in_picture(target: FloatArray) -> NDArray[np.float64]:
    """(K, 478, 3): the handles in px of the picture, along the face's own axes."""
    across = (target[263] - target[33]).astype(np.float64)
    across[2] = 0
    width = float(np.ptp(target[:468, 0]) + np.ptp(target[:468, 1])) / 2
    across /= max(float(np.linalg.norm(across)), 1e-6)
    down = np.array([-across[1], across[0], 0.0])
    fields = handles()
    return width * (fields[:, :, :1] * across + fields[:, :, 1:] * down)


@cache
def handles() -> NDArray[np.float64]:
    """(K, 478, 2): moves across (to the right) and down, in face sizes; each of its usual size."""
    rows: list[NDArray[np.float64]] = []

    def add(points: dict[int, tuple[float, float]]) -> None:
        field = np.zeros((478, 2))
        for index, move in points.items():
            field[index] = move
        spread = np.zeros((478, 2))
        spread[:468] = spread_matrix() @ field[list(KEYS)]
        spread[468:] = field[468:]
        rows.append(spread)

    for side, sign in ((0, -1.0), (1, 1.0)):
        add({i: (sign * 0.01 * w, 0.0) for i, w in _mouth_side(side)})
        add({i: (0.0, 0.01 * w) for i, w in _mouth_side(side)})
        lids = EYES[side].lids
        add({i: (0.0, 0.006) for i in lids.upper})
        add({i: (0.0, 0.006) for i in lids.lower})
        inward = np.tile(np.linspace(0, 1, 5), 2)
        for shares in (inward, 1 - inward):
            add({i: (0.0, 0.012 * float(w)) for i, w in zip(BROWS[side], shares, strict=True)})
    upper = [i for ring in LIP_RINGS for i in ring.upper]
    lower = [i for ring in LIP_RINGS for i in ring.lower]
    corners = [i for ring in LIP_RINGS for i in ring.corners]
    add({i: (0.0, 0.012) for i in (*upper, *lower, *corners)})
    add({i: (0.0, 0.006) for i in lower})
    for half in ("upper", "lower"):
        moves: dict[int, tuple[float, float]] = {}
        for ring, share in zip(LIP_RINGS, (1.0, 0.6, 0.3, 0.0), strict=True):
            for i in getattr(ring, half):
                moves[i] = (0.0, 0.006 * share)
        add(moves)
    irises = [i for eye in EYES for i in (eye.iris, *eye.iris_edge)]
    add({i: (0.006, 0.0) for i in irises})
    add({i: (0.0, 0.006) for i in irises})
    return np.stack(rows)


def _mouth_side(side: int) -> list[tuple[int, float]]:
    """Points of one half of the mouth with a weight that grows from the middle to the corner."""
    out: list[tuple[int, float]] = []
    for ring in LIP_RINGS:
        out.append((ring.corners[side], 1.0))
        for row in (ring.upper, ring.lower):
            half = row[:4][::-1] if side == 0 else row[5:]
            out += [(index, (step / 5) ** 2) for step, index in zip((1, 2, 3, 4), half, strict=True)]
    return out
