"""Where a head looks: the rigid fit of the canonical mesh to dense landmarks.

Source: the face geometry module of MediaPipe (Procrustes fit of 33 weighted points, Apache-2.0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..face import FloatArray
from .mesh import canonical_mesh

Array = NDArray[np.float64]

VERTICAL_FIELD_OF_VIEW = np.deg2rad(63.0)


def rotation_from_landmarks(
    landmarks: FloatArray, size_hw: tuple[int, int] | None = None
) -> tuple[float, float, float]:
    """(pitch, yaw, roll) of a head in radians.

    landmarks: (468 or 478, 3) px. size_hw: height and width of the picture, if the perspective of its camera (63°
    vertical field of view, as MediaPipe assumes) is to be taken out; without it the view counts as parallel, which
    reads a face at the edge of a wide picture up to a few degrees as turned towards its middle.
    Positive pitch looks down, positive yaw looks to the right of the picture, positive roll tips the top of the
    head to the left of the picture. Concretely R = Rz(roll) Ry(yaw) Rx(pitch) brings the canonical mesh into the
    pose (x right, y up, z towards the camera). Raises InputError for other shapes or NaN.
    """
    return angles_from_rotation(head_rotation(landmarks, size_hw))


def head_rotation(landmarks: FloatArray, size_hw: tuple[int, int] | None = None) -> Array:
    """(3, 3) rotation of a head; arguments as in `rotation_from_landmarks`."""
    if landmarks.ndim != 2 or landmarks.shape[0] < 468 or landmarks.shape[1] != 3 or not np.isfinite(landmarks).all():
        raise InputError(
            f"The pose of a head needs 468 or 478 finite landmarks with x, y, z; these have shape {landmarks.shape}."
        )
    points = landmarks[:468].astype(np.float64) * (1, -1, -1)
    if size_hw is not None:
        points = _without_perspective(points, size_hw)
    rotation, _ = _fit(points)
    return rotation


def rotation_from_angles(pitch: float, yaw: float, roll: float) -> Array:
    """(3, 3): Rz(roll) Ry(yaw) Rx(pitch), radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def angles_from_rotation(rotation: Array) -> tuple[float, float, float]:
    """(pitch, yaw, roll) in radians of a (3, 3) rotation, yaw in [-pi / 2, pi / 2]."""
    yaw = np.arcsin(np.clip(-rotation[2, 0], -1, 1))
    pitch = np.arctan2(rotation[2, 1], rotation[2, 2])
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    return float(pitch), float(yaw), float(roll)


def _fit(points: Array) -> tuple[Array, float]:
    """Weighted Procrustes: (3, 3) rotation and the scale that bring the canonical mesh onto `points` (468, 3)."""
    mesh = canonical_mesh()
    weights = mesh.pose_weights[:, None] / mesh.pose_weights.sum()
    source = mesh.points[mesh.pose_points].astype(np.float64)
    target = points[mesh.pose_points]
    source = source - (weights * source).sum(0)
    target = target - (weights * target).sum(0)
    u, _, vt = np.linalg.svd((weights * target).T @ source)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = (weights * target * (source @ rotation.T)).sum() / (weights * source**2).sum()
    return rotation, float(scale)


def _without_perspective(points: Array, size_hw: tuple[int, int]) -> Array:
    """Metric points (468, 3) seen by a pinhole camera at the origin, from pixels with y up and z towards it.

    Two rounds, as MediaPipe does: the scale of the flat view tells the distance, then the rays are followed to it.
    """
    height, width = size_hw
    unit = 2 * np.tan(VERTICAL_FIELD_OF_VIEW / 2) / height  # px to the camera's image plane at distance 1
    centre = np.array([(width - 1) / 2, -(height - 1) / 2])
    flat = np.concatenate([(points[:, :2] - centre) * unit, points[:, 2:] * unit], 1)
    depth = flat[:, 2] - flat[:, 2].mean()
    _, scale = _fit(flat)
    metric = flat
    for _ in range(2):
        distance = (1 - depth) / scale
        metric = np.concatenate([flat[:, :2] * distance[:, None], -distance[:, None]], 1)
        _, correction = _fit(metric)
        scale *= correction
    return metric
