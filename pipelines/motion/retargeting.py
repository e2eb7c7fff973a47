"""From what one face does to what another is to do: changes against a face at rest, or the expression as it is."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..face import FloatArray, as_float_array
from .channels import ARKIT_NAMES
from .motion import Motion

Array = NDArray[np.float64]
Retargeting = Literal["relative", "absolute"]

_SHAPES = len(ARKIT_NAMES)
#: A face that is never seen without an expression says little about how far it can go: the gain stays below 2.
_LEAST_ROOM = 0.5


def retarget(
    driving: Motion, mode: Retargeting, neutral: Motion | None = None, portrait: Motion | None = None
) -> Motion:
    """A motion that makes a portrait follow a driver.

    driving: as measured. relative: what changes against the driver's face at rest, so that the portrait keeps its own
    expression and pose as a base; `neutral` is the driver at rest, of which the middle frame value counts, else
    the driver's calmest frames are taken (see `calm_row`). absolute: the portrait ends with the driver's expression and
    pose; `portrait` is what was measured on it and is needed. Extra channels stay. Raises InputError for another mode
    or when absolute lacks the portrait.
    """
    if mode not in get_args(Retargeting):
        raise InputError(f"The mode is {mode!r}, it must be one of {', '.join(get_args(Retargeting))}.")
    if mode == "absolute":
        if portrait is None:
            raise InputError(
                "Absolute retargeting needs the portrait's own expression: connect Expression From Photo of the "
                "portrait, without a neutral, or use relative."
            )
        return changed_from(driving, middle_row(portrait))
    return changed_from(driving, calm_row(driving) if neutral is None else middle_row(neutral))


def middle_row(motion: Motion) -> FloatArray:
    """(58,): the median of each value over the frames."""
    return as_float_array(np.median(motion.values, 0))


def calm_row(motion: Motion, share: float = 0.1) -> FloatArray:
    """(58,) of a face at rest: the median over `calm_frames`."""
    return as_float_array(np.median(motion.values[calm_frames(motion, share)], 0))


def calm_frames(motion: Motion, share: float = 0.1) -> NDArray[np.int64]:
    """The calmest frames, calmest first: `share` of all, at least three where there are as many.

    A frame is as calm as its blendshapes are small; gaze and blinks come and go and do not count.
    """
    counted = [i for i, name in enumerate(ARKIT_NAMES) if not name.startswith(("eyeLook", "eyeBlink"))]
    activity = np.abs(motion.blendshapes[:, counted]).sum(1)
    count = min(max(round(len(motion) * share), 3), len(motion))
    return np.argsort(activity, kind="stable")[:count]


def changed_from(motion: Motion, reference: FloatArray) -> Motion:
    """A motion as change from one pose.

    reference: (58,). Blendshapes above the reference are stretched over the room that it leaves, so that a full smile
    stays one: (v - r) / max(1 - r, 0.5); below it the difference counts. Rotations become the turn R_t R_ref^T,
    which applied to the reference gives the rotation again; places become differences.
    """
    values = motion.values
    rest = np.clip(reference[:_SHAPES], 0, 1)
    change = values[:, :_SHAPES] - reference[:_SHAPES]
    values[:, :_SHAPES] = np.where(change > 0, change / np.maximum(1 - rest, _LEAST_ROOM), change)
    back = rotations(reference[None, _SHAPES : _SHAPES + 3])[0].T
    values[:, _SHAPES : _SHAPES + 3] = angles(rotations(values[:, _SHAPES : _SHAPES + 3]) @ back)
    values[:, _SHAPES + 3 :] -= reference[_SHAPES + 3 :]
    return motion.with_values(values)


def rotations(turns: FloatArray) -> Array:
    """(T, 3, 3) matrices Rz(roll) Ry(yaw) Rx(pitch) of (T, 3) pitch, yaw, roll in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(turns.T.astype(np.float64)), np.sin(turns.T.astype(np.float64))
    rows = (
        (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
        (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
        (-sy, cy * sx, cy * cx),
    )
    return np.stack([np.stack(row, -1) for row in rows], 1)


def angles(matrices: Array) -> FloatArray:
    """(T, 3) pitch, yaw, roll of (T, 3, 3) rotations, yaw in [-pi / 2, pi / 2]."""
    yaw = np.arcsin(np.clip(-matrices[:, 2, 0], -1, 1))
    pitch = np.arctan2(matrices[:, 2, 1], matrices[:, 2, 2])
    roll = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])
    return as_float_array(np.stack([pitch, yaw, roll], 1))
