"""What of a picture LivePortrait sees: its own crop rule, and the openings of eyes and lips, from our landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...face import Face, FloatArray, as_float_array
from ...geometry.features import BROWS, EYES
from ...geometry.transforms import Matrix
from .appearance import INPUT_SIZE

Array = NDArray[np.float64]

#: A crop's side against the face's longer side, and how far its middle lies above the face's, in sides of the crop.
PORTRAIT_CROP, DRIVING_CROP = (2.3, 0.125), (2.2, 0.1)

_JAW_LINE = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
#: What the 203 points that the crop rule was made for also span: brows and the face below them, no forehead.
_SPAN = [*_JAW_LINE, *BROWS[0], *BROWS[1], 1]
#: Corner, corner, middle of the upper lid, of the lower one; the eye on the left of the picture first.
_EYES = ((33, 133, 159, 145), (362, 263, 386, 374))
_MOUTH_CORNERS, _INNER_LIPS = (61, 291), (13, 14)


def portrait_crop(landmarks: FloatArray, size: int) -> Matrix:
    """The upright square crop of a portrait: `crop_from_image` (2, 3).

    landmarks: (478, 3) px. size: px of its side. Concretely the axis from the eyes' middle to the mouth's is made
    vertical; the square around brows, jaw and what is between, grown by 2.3 and moved up by an eighth of its side.
    Source: `crop_source_image` of LivePortrait, whose 203 points cover the same parts of a face.
    """
    down = _down(landmarks)
    right = np.array([down[1], -down[0]])
    middle, side = _square(landmarks, np.stack([right, down]), *PORTRAIT_CROP)
    return _matrix(np.stack([right, down]), middle, side, size)


def driving_crop(faces: Sequence[FloatArray], size: int = INPUT_SIZE) -> Matrix:
    """One crop for all frames of a driver, level with the picture, so that its turns and shifts are seen as such.

    faces: landmarks (478, 3) px of each frame. Concretely the mean of the squares of all frames, 2.2 times the face.
    """
    squares = [_square(landmarks, np.eye(2), *DRIVING_CROP) for landmarks in faces]
    middle = np.mean([square[0] for square in squares], 0)
    return _matrix(np.eye(2), middle, float(np.mean([square[1] for square in squares])), size)


def openings(landmarks: FloatArray) -> FloatArray:
    """(3,): how far the eye on the left of the picture, the one on the right, and the lips are open.

    Height by width of each eye's opening, and of the lips by the mouth's width, as the retargeting networks know them.
    """
    points = landmarks[:, :2].astype(np.float64)

    def gap(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    eyes = [gap(upper, lower) / (gap(first, second) + 1e-6) for first, second, upper, lower in _EYES]
    return as_float_array([*eyes, gap(*_INNER_LIPS) / (gap(*_MOUTH_CORNERS) + 1e-6)])


def eye_distance(landmarks: FloatArray) -> float:
    """Px between the eyes' middles."""
    left, right = (landmarks[list(eye.lids.corners), :2].mean(0) for eye in EYES)
    return float(np.linalg.norm(right - left))


def dense(face: Face) -> FloatArray:
    """The 478 landmarks of a face. Raises InputError when it has fewer."""
    if face.landmarks is None or len(face.landmarks) != 478:
        count = 0 if face.landmarks is None else len(face.landmarks)
        raise InputError(
            f"LivePortrait needs 478 landmarks, the face at {np.round(face.bbox_xyxy).astype(int).tolist()} has "
            f"{count}: find it with Detect Faces and a face analysis that has dense landmarks (the embedded one has)."
        )
    return face.landmarks


def _down(landmarks: FloatArray) -> Array:
    points = landmarks[:, :2].astype(np.float64)
    eyes = np.mean([points[list(eye)].mean(0) for eye in _EYES], 0)
    axis = points[list(_MOUTH_CORNERS)].mean(0) - eyes
    length = float(np.linalg.norm(axis))
    return axis / length if length > 1e-3 else np.array([0.0, 1.0])


def _square(landmarks: FloatArray, axes: Array, grown: float, raised: float) -> tuple[Array, float]:
    """Middle (2,) px and side px of the square around a face, its sides along `axes` (2, 2), rows right and down."""
    along = landmarks[_SPAN, :2].astype(np.float64) @ axes.T
    low, high = along.min(0), along.max(0)
    side = float((high - low).max()) * grown
    middle = (low + high) / 2 - np.array([0.0, raised * side])
    return middle @ axes, side


def _matrix(axes: Array, middle: Array, side: float, size: int) -> Matrix:
    linear = axes * (size / side)
    return np.concatenate([linear, ((size - 1) / 2 - linear @ middle)[:, None]], 1)
