"""2-D transforms as (2, 3) float64 matrices, named `to_from`: `crop_from_image` maps image px to crop px."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Matrix = NDArray[np.float64]


def transform_points(matrix: Matrix, points: ArrayLike) -> NDArray[np.float32]:
    """Points (..., 2) through `matrix` (2, 3): concretely `points @ A.T + t`. Returns (..., 2) float32."""
    values = np.asarray(points, dtype=np.float64)
    return (values @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def transform_mesh(matrix: Matrix, landmarks: ArrayLike) -> NDArray[np.float32]:
    """Dense landmarks (N, 3): xy through `matrix`, z by its scale (square root of the determinant)."""
    values = np.asarray(landmarks, dtype=np.float64)
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return np.concatenate([transform_points(matrix, values[:, :2]), (values[:, 2:] * scale).astype(np.float32)], 1)


def compose(to_middle: Matrix, middle_from: Matrix) -> Matrix:
    """`to_middle` after `middle_from`: concretely x -> to_middle(middle_from(x))."""
    linear = to_middle[:, :2] @ middle_from[:, :2]
    offset = to_middle[:, :2] @ middle_from[:, 2] + to_middle[:, 2]
    return np.concatenate([linear, offset[:, None]], axis=1)


def invert(to_from: Matrix) -> Matrix:
    """The exact inverse, `from_to`. Raises InputError for a matrix without one."""
    (a, b, x), (c, d, y) = np.asarray(to_from, dtype=np.float64).tolist()
    area = a * d - b * c
    if abs(area) < 1e-12:
        raise InputError("The transform of this crop squeezes the picture to a line and has no way back.")
    return np.array([[d, -b, b * y - d * x], [-c, a, c * x - a * y]]) / area


def similarity(to_points: ArrayLike, from_points: ArrayLike) -> Matrix:
    """Least-squares rotation, uniform scale and shift that brings `from_points` onto `to_points`.

    to_points, from_points: (N, 2) px, N >= 2. Returns `to_from` (2, 3). Umeyama 1991, equations 40 to 42,
    reflections excluded; the same result as scikit-image's SimilarityTransform that insightface uses. Raises
    InputError when the points are not finite or all lie on one spot.
    """
    target = np.asarray(to_points, dtype=np.float64)
    source = np.asarray(from_points, dtype=np.float64)
    target_mean, source_mean = target.mean(0), source.mean(0)
    source_centred = source - source_mean
    variance = source_centred.var(0).sum()
    if not (np.isfinite(target).all() and variance >= 1e-12):
        raise InputError(
            "The points to align are not finite or lie on one spot: neither scale nor rotation can be told."
        )
    covariance = (target - target_mean).T @ source_centred / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) > 0 else -1.0])
    linear = (singular @ sign / variance) * (u * sign) @ vt
    return np.concatenate([linear, (target_mean - linear @ source_mean)[:, None]], axis=1)


def similarity_3d(to_points: ArrayLike, from_points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `similarity`, in space: to_points, from_points (N, 3), N >= 3.

    Returns linear (3, 3), a rotation times a scale, and shift (3,): concretely to = from @ linear.T + shift. Raises
    InputError when the points are not finite or all lie on one spot.
    """
    target, source = np.asarray(to_points, dtype=np.float64), np.asarray(from_points, dtype=np.float64)
    centred = source - source.mean(0)
    variance = centred.var(0).sum()
    if not (np.isfinite(target).all() and variance >= 1e-12):
        raise InputError("The points to align are not finite or lie on one spot: no head pose can be told from them.")
    u, singular, vt = np.linalg.svd((target - target.mean(0)).T @ centred / len(source))
    sign = np.array([1.0, 1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) > 0 else -1.0])
    linear = (singular @ sign / variance) * (u * sign) @ vt
    return linear, target.mean(0) - linear @ source.mean(0)


def rotation_scale(matrix: Matrix) -> tuple[float, float]:
    """(rotation in radians, scale) of a similarity; scale is the square root of the determinant for any affine."""
    return float(np.arctan2(matrix[1, 0], matrix[0, 0])), float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
