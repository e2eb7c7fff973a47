"""What of a portrait is worked out once: its face's own axes, how each channel moves it, and the mesh around it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray, as_float_array
from ..geometry.features import EYES, LIP_RINGS, OVAL
from ..geometry.mesh import canonical_mesh
from ..geometry.pose import head_rotation
from .handles import JAW_AXIS, channel_fields

#: Rings around the oval: their size against it, and how much of the oval's movement they follow.
RINGS = ((1.12, 0.88), (1.35, 0.62), (1.7, 0.3), (2.1, 0.08), (2.4, 0.0))

#: Outer eye corners, and the points in front of the ears near the joints of the jaw.
EYE_CORNERS, JAW_JOINTS = (33, 263), (234, 454)

#: The middles of the inner edges of the upper and the lower lip.
_LIP_MIDDLES = (13, 14)

#: In outer eye corner distances: between lips further apart than this teeth may show, and how wide a lip's edge is.
_PARTED, _LIP_EDGE = 0.02, 0.03

#: Landmarks and head rotations have y up and z towards the camera; pictures y down and z away.
FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True, eq=False)
class Portrait:
    """A face in its picture, ready to be moved.

    picture: (H, W, 3) float in [0, 1]. pixels: (3, h, w), the part of it that may change. origin: x, y of that part.
    landmarks: (478, 3) px of the part. axes: (3, 3), columns are the head's right, down and away in the picture.
    unit: px between the outer eye corners. eye_distance: px between the eyes' middles. pivot: (3,), what the head
    turns about. fields: (52, 468, 3) px at activation 1, in the order of `names`. rest: (52,) activations the portrait
    already shows. vertices: (V, 3) px, the 468 points and the rings. follow: (V,), how much of the oval's movement a
    ring's point takes. lip_inset: (468, 2) px, from the inner edge of parted lips to where they are lip for sure.
    parted: how far apart the lips are at rest, in units.
    """

    picture: Tensor
    pixels: Tensor
    origin: tuple[int, int]
    landmarks: FloatArray
    axes: NDArray[np.float64]
    unit: float
    eye_distance: float
    pivot: NDArray[np.float64]
    names: tuple[str, ...]
    fields: FloatArray
    rest: FloatArray
    vertices: FloatArray
    follow: FloatArray
    lip_inset: FloatArray
    parted: float


def prepare(picture: Tensor, face: Face, names: tuple[str, ...], rest: FloatArray | None = None) -> Portrait:
    """Work out a portrait.

    picture: (H, W, 3) float in [0, 1]. face: with 478 dense landmarks in the picture's px. names: of the channels that
    frames will have. rest: (len(names),) activations that the portrait shows, zeros when unknown: what is already
    smiling is not pulled all the way again. Raises InputError without dense landmarks or outside the picture.
    """
    landmarks = _dense(face)
    height, width = picture.shape[:2]
    middle = landmarks[list(OVAL)].mean(0)
    reach = middle + RINGS[-1][0] * (landmarks[list(OVAL)] - middle)
    low = np.maximum(np.floor(reach[:, :2].min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(reach[:, :2].max(0)).astype(int) + 2, [width, height])
    if (high - low < 8).any():
        raise InputError(
            f"The face at {np.round(face.bbox_xyxy).astype(int).tolist()} lies outside the portrait of "
            f"{width} × {height} px: connect the picture that the face was found in."
        )
    x0, y0 = int(low[0]), int(low[1])
    landmarks = as_float_array(landmarks - np.array([x0, y0, 0], dtype=np.float32))
    axes = FLIP @ head_rotation(landmarks) @ FLIP
    unit = float(np.linalg.norm(landmarks[EYE_CORNERS[1]] - landmarks[EYE_CORNERS[0]]))
    vertices, follow = _with_rings(landmarks, unit, (x0, y0), (height, width))
    pulls = channel_fields()
    still = np.zeros((468, 3), dtype=np.float32)
    fields = np.stack([pulls.get(name, still) for name in names]) @ axes.T * unit
    oval = landmarks[list(OVAL)].astype(np.float64)
    return Portrait(
        picture=picture,
        pixels=picture[y0 : int(high[1]), x0 : int(high[0]), :3].permute(2, 0, 1).float().contiguous(),
        origin=(x0, y0),
        landmarks=landmarks,
        axes=axes,
        unit=unit,
        eye_distance=_eye_distance(landmarks),
        pivot=oval.mean(0) + axes @ np.array([0.0, 0.35, 0.35]) * unit,
        names=names,
        fields=as_float_array(fields),
        rest=as_float_array(np.zeros(len(names)) if rest is None else np.clip(rest, 0, 1)),
        vertices=vertices,
        follow=follow,
        lip_inset=_lip_inset(landmarks, unit),
        parted=float(np.linalg.norm(landmarks[_LIP_MIDDLES[1], :2] - landmarks[_LIP_MIDDLES[0], :2]) / unit),
    )


@cache
def drawn_triangles() -> NDArray[np.int64]:
    """(T, 3): the rings from the outside in, then the face with eyes and mouth closed."""
    count = len(OVAL)
    loops = [np.array(OVAL)] + [468 + step * count + np.arange(count) for step in range(len(RINGS))]
    strips: list[NDArray[np.int64]] = []
    for near, far in zip(loops[:-1], loops[1:], strict=True):
        next_near, next_far = np.roll(near, -1), np.roll(far, -1)
        strips += [np.stack([near, next_near, far], 1), np.stack([next_near, next_far, far], 1)]
    return np.concatenate([*strips, canonical_mesh().triangles.astype(np.int64)])


def jaw_pivot(portrait: Portrait) -> NDArray[np.float64]:
    """(3,) px: the middle between the joints of the jaw."""
    joints = portrait.landmarks[list(JAW_JOINTS)].astype(np.float64).mean(0)
    return joints + portrait.axes @ np.array(JAW_AXIS) * portrait.unit


def _eye_distance(landmarks: FloatArray) -> float:
    left, right = (landmarks[list(eye.lids.corners)].mean(0) for eye in EYES)
    return float(np.linalg.norm(right - left))


def _dense(face: Face) -> FloatArray:
    if face.landmarks is None or len(face.landmarks) != 478:
        count = 0 if face.landmarks is None else len(face.landmarks)
        raise InputError(
            f"The mesh renderer needs 478 landmarks, the face at {np.round(face.bbox_xyxy).astype(int).tolist()} has "
            f"{count}: find it with Detect Faces and a face analysis that has dense landmarks (the embedded one has)."
        )
    return face.landmarks


def _lip_inset(landmarks: FloatArray, unit: float) -> FloatArray:
    """(468, 2) px: from points on the edge of lips that show teeth into the lips, nothing where lips touch.

    The edge of a lip in a picture is some pixels wide and takes the teeth's colour: where lips meet that has no place.
    """
    out = np.zeros((468, 2), dtype=np.float32)
    outer, _, inner, edge = LIP_RINGS
    for half, other in (("upper", "lower"), ("lower", "upper")):
        lip, red, rim = (landmarks[list(getattr(ring, half)), :2] for ring in (edge, inner, outer))
        across = landmarks[list(getattr(edge, other)), :2]
        parted = np.clip(np.linalg.norm(across - lip, axis=1) / (_PARTED * unit) - 1, 0, 1)[:, None]
        length = np.maximum(np.linalg.norm(rim - lip, axis=1), 1e-3)[:, None]
        step = parted * np.minimum(_LIP_EDGE * unit, 0.6 * length) / length
        out[list(getattr(edge, half))] = step * (rim - lip)
        out[list(getattr(inner, half))] = 0.6 * step * (rim - red)
    return out


def _with_rings(
    landmarks: FloatArray, unit: float, origin: tuple[int, int], size_hw: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Vertices (V, 3) and how much of the oval's movement each follows (V,).

    The picture's border stays where it is: points of rings near it move less, those outside not at all.
    """
    oval = landmarks[list(OVAL)]
    middle = oval.mean(0)
    rings = [middle + scale * (oval - middle) for scale, _ in RINGS]
    limit = np.array([size_hw[1], size_hw[0]]) - 1
    follow = [np.ones(468)]
    for ring, (_, share) in zip(rings, RINGS, strict=True):
        place = ring[:, :2] + np.array(origin)
        room = np.minimum(place, limit - place).min(1)
        follow.append(share * np.clip(room / (0.6 * unit), 0, 1))
    return as_float_array(np.concatenate([landmarks[:468], *rings])), as_float_array(np.concatenate(follow))
