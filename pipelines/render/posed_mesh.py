"""The face mesh with the expression and pose of a motion's frame, for pictures that guide generation."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..face import Face, FloatArray, as_float_array
from ..geometry.features import EYES, LIP_RINGS, ORBITS
from ..geometry.mesh import canonical_mesh
from ..geometry.pose import head_rotation
from ..motion.channels import ARKIT_NAMES
from ..motion.motion import Motion
from ..motion.retargeting import rotations
from .handles import JAW_AXIS, LOOK_SIDEWAYS, LOOK_UPRIGHT, channel_fields, jaw_angle, jaw_weights

Points = NDArray[np.float64]

#: How much of the gap between the lips the lower one takes back with mouthClose.
_LOWER_SHARE = 0.65
#: Turns y down, z away into y up, z towards the camera and back.
_FLIP = np.diag([1.0, -1.0, -1.0])
#: How far skin between lid and brow follows a closing lid.
_ORBIT_SHARE = 0.25


def canonical_landmarks(size_hw: tuple[int, int], face_height: float = 0.6) -> FloatArray:
    """(478, 3) px of an average face that looks at the camera from the middle of a picture.

    face_height: of the picture's shorter side, from the top of the forehead to the chin. Irises are added to the 468
    points of the canonical mesh: 11.7 mm wide, in the middle of the eyes.
    """
    # its lips are a little apart
    points = _closed_lips(canonical_mesh().points.astype(np.float64) * (1, -1, -1), 1.0)
    points = np.concatenate([points, *[_iris(points, side) for side in (0, 1)]])
    scale = face_height * min(size_hw) / np.ptp(points[:468, 1])
    low, high = points.min(0), points.max(0)
    middle = np.array([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2, 0.0])
    return as_float_array((points - (low + high) / 2) * scale + middle)


def _iris(points: Points, side: int) -> Points:
    """Centre, then the four points of the rim, as `features.EYES` numbers them."""
    lids = EYES[side].lids
    centre = points[list(lids.loop)].mean(0) * (1, 1, 0) + (0, 0, points[list(lids.loop), 2].min())
    radius = 0.585
    return np.array([centre, *[centre + radius * np.array(d) for d in ((1, 0, 0), (0, -1, 0), (-1, 0, 0), (0, 1, 0))]])


def posed_landmarks(base: FloatArray, motion: Motion, frame: int) -> FloatArray:
    """Where the landmarks of a face go for one frame of a motion.

    base: (478, 3) px of a face, in any pose; the expression is added to what it shows. Returns (478, 3) px: concretely
    moves of `handles.channel_fields`, the jaw, lids and irises in the head's own axes, then the frame's rotation about
    the middle between the ears and its translation. Raises InputError for landmarks without irises.
    """
    if base.shape != (478, 3):
        raise InputError(f"A posed face needs 478 landmarks with irises, these have the shape {base.shape}.")
    axes = _FLIP @ head_rotation(base) @ _FLIP
    points = base.astype(np.float64) @ axes  # the head's own axes: x right, y down, z away
    unit = float(np.linalg.norm(points[263] - points[33]))
    amounts = np.clip(motion.blendshapes[frame], -1, 1)
    values: dict[str, float] = dict(zip(ARKIT_NAMES, amounts.tolist(), strict=True))
    points[:468] += unit * np.tensordot(amounts.astype(np.float64), _fields(), 1)
    before = base.astype(np.float64) @ axes
    points = _closed_eyes(_looking(_jaw(points, before, values), before, values), values)
    placed = points @ axes.T
    pivot = (placed[234] + placed[454]) / 2
    turn = _FLIP @ rotations(motion.rotation[frame : frame + 1])[0] @ _FLIP
    eyes = np.linalg.norm(base[[33, 133]].mean(0) - base[[362, 263]].mean(0))
    right, up, near = (float(value) for value in motion.translation[frame] * eyes)
    depth = 6 * eyes  # a usual distance to the camera, for how much larger what comes nearer gets
    scale = depth / max(depth - near, 0.2 * depth)
    return as_float_array(pivot + (placed - pivot) @ turn.T * scale + (right, -up, -near))


@cache
def _fields() -> Points:
    """(52, 468, 3) in units of the outer eye corners' distance."""
    known = channel_fields()
    none = np.zeros((468, 3))
    return np.stack([known.get(name, none).astype(np.float64) for name in ARKIT_NAMES])


def _jaw(points: Points, before: Points, values: dict[str, float]) -> Points:
    """`points` with the jaw turned as far as it turns the face at rest, `before`, as the mesh renderer does."""
    unit = float(np.linalg.norm(before[263] - before[33]))
    hinge = (before[234] + before[454]) / 2 + unit * np.array(JAW_AXIS)
    angle = jaw_angle(values["jawOpen"]) * jaw_weights().astype(np.float64)
    y, z = (before[:468] - hinge)[:, 1], (before[:468] - hinge)[:, 2]
    opened = points.copy()
    opened[:468, 1] += y * (np.cos(angle) - 1) - z * np.sin(angle)
    opened[:468, 2] += y * np.sin(angle) + z * (np.cos(angle) - 1)
    return _closed_lips(opened, min(max(values["mouthClose"], 0.0), 1.0))


def _closed_lips(points: Points, share: float) -> Points:
    """The lips brought together by a share of the gap between their inner edges, the lower one going further."""
    upper, lower = (np.array([i for ring in LIP_RINGS for i in getattr(ring, row)]) for row in ("upper", "lower"))
    gap = np.tile(points[list(LIP_RINGS[-1].lower)] - points[list(LIP_RINGS[-1].upper)], (len(LIP_RINGS), 1))
    closed = points.copy()
    closed[lower] -= _LOWER_SHARE * share * gap
    closed[upper] += (1 - _LOWER_SHARE) * share * gap
    return closed


def _looking(points: Points, before: Points, values: dict[str, float]) -> Points:
    for eye, side in zip(EYES, ("Right", "Left"), strict=True):
        iris = [eye.iris, *eye.iris_edge]
        left, right = sorted(eye.lids.corners, key=lambda corner: points[corner, 0])
        width = float(np.linalg.norm(points[right] - points[left]))
        outwards = 1.0 if side == "Left" else -1.0
        look = values[f"eyeLookOut{side}"] - values[f"eyeLookIn{side}"]
        lift = values[f"eyeLookUp{side}"] - values[f"eyeLookDown{side}"]
        moved = (points - before)[list(eye.lids.corners)].mean(0)
        points[iris] += moved + np.array([outwards * look * LOOK_SIDEWAYS * width, -lift * LOOK_UPRIGHT * width, 0.0])
    return points


def _closed_eyes(points: Points, values: dict[str, float]) -> Points:
    for eye, orbit, side in zip(EYES, ORBITS, ("Right", "Left"), strict=True):
        share = min(max(values[f"eyeBlink{side}"], 0.0), 1.0)
        upper, lower = list(eye.lids.upper), list(eye.lids.lower)
        gap = points[lower] - points[upper]
        points[upper] += 0.9 * share * gap
        points[lower] -= 0.1 * share * gap
        points[list(orbit[:7])] += _ORBIT_SHARE * share * gap  # the upper half of the ring has as many points as a lid
    return points


def base_landmarks(face: Face | None, size_hw: tuple[int, int]) -> FloatArray:
    """(478, 3) px of a face found in a picture, or of the average face where there is none.

    Raises InputError for a face without dense landmarks.
    """
    if face is None:
        return canonical_landmarks(size_hw)
    if face.landmarks is None:
        raise InputError("The face has five points only: use Detect Faces with the embedded analysis.")
    return face.landmarks
