"""Turns, shifts and nearness of a `Motion` in the space of LivePortrait's keypoints, both ways, without a fit.

LivePortrait measures a crop in [-1, 1], x right, y down, z away from the camera; a `Motion` has y up, z towards the
camera, and eye distances. That x and y are the picture's follows from how keypoints are used (they index its grid); the
sign of z from the dials of the public editors, which negate yaw to look right, and lift the chin with negative pitch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...face import FloatArray, as_float_array
from ...geometry.pose import angles_from_rotation, rotation_from_angles

Array = NDArray[np.float64]

#: Between the axes of a `Motion` and LivePortrait's.
FLIP = np.diag([1.0, -1.0, -1.0])

#: A head that comes nearer by one eye distance looks larger by one in this many, as in the mesh renderer.
CAMERA_DISTANCE = 6.0


@dataclass(frozen=True)
class CropSpace:
    """A crop that keypoints are measured in.

    unit: of the space per eye distance of the face. roll_rad: by how much the crop is turned against its picture,
    clockwise.
    """

    unit: float
    roll_rad: float = 0.0

    @staticmethod
    def of(eye_distance_px: float, size_px: int, roll_rad: float = 0.0) -> CropSpace:
        """The space of a crop with this side, in which the eyes are that far apart."""
        return CropSpace(2 * eye_distance_px / size_px, roll_rad)

    def rotation(self, rotation: FloatArray) -> Array:
        """(3, 3) that turns columns of the crop's space, from (3,) pitch, yaw, roll of a `Motion`, radians."""
        turn = FLIP @ rotation_from_angles(*(float(value) for value in rotation)) @ FLIP
        return self._upright.T @ turn @ self._upright

    def angles(self, turn: Array) -> FloatArray:
        """(3,) pitch, yaw, roll of a `Motion` from a turn (3, 3) of the crop's space; undoes `rotation`."""
        return as_float_array(angles_from_rotation(FLIP @ (self._upright @ turn @ self._upright.T) @ FLIP))

    def orientation(self, rotation: Array) -> FloatArray:
        """(3,) pitch, yaw, roll in the picture of a head whose pose in the crop is (3, 3), for columns."""
        return as_float_array(angles_from_rotation(FLIP @ (self._upright @ rotation) @ FLIP))

    def shift(self, translation: FloatArray) -> tuple[Array, float]:
        """(2,) move of the keypoints in x and y, and the factor of their scale, from (3,) right, up, nearer."""
        right, up, near = (float(value) for value in translation)
        moved = self._upright[:2, :2].T @ np.array([right, -up]) * self.unit
        # a head cannot come through the camera, nor vanish
        return moved, float(np.clip(1 + near / CAMERA_DISTANCE, 0.1, 10.0))

    def translation(self, move: Array, factor: float) -> FloatArray:
        """(3,) right, up, nearer of a `Motion`; undoes `shift`."""
        right, down = self._upright[:2, :2] @ move / self.unit
        return as_float_array([right, -down, (factor - 1) * CAMERA_DISTANCE])

    @property
    def _upright(self) -> Array:
        """Brings columns of the crop's space into the picture's axes."""
        cos, sin = np.cos(self.roll_rad), np.sin(self.roll_rad)
        return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
