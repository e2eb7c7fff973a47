"""Transforms are what their names say: `to_from`, exact inverses, least-squares fits."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.transforms import (
    compose,
    invert,
    rotation_scale,
    similarity,
    transform_mesh,
    transform_points,
)


def matrix_of(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def fit_as_complex_numbers(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The slow, obvious twin: target = a * source + b over complex numbers has no reflection in it."""
    to, start = target[:, 0] + 1j * target[:, 1], source[:, 0] + 1j * source[:, 1]
    centred = start - start.mean()
    a = (np.conj(centred) * (to - to.mean())).sum() / (abs(centred) ** 2).sum()
    b = to.mean() - a * start.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def test_points_go_through_the_linear_part_and_then_the_shift() -> None:
    matrix = np.array([[2.0, 0.0, 10.0], [0.0, 3.0, 20.0]])
    moved = transform_points(matrix, [[1.0, 1.0], [0.0, -1.0]])
    assert moved.dtype == np.float32
    assert moved.tolist() == [[12.0, 23.0], [10.0, 17.0]]


def test_points_may_have_any_number_of_leading_axes() -> None:
    points = np.random.default_rng(0).normal(size=(2, 5, 2))
    matrix = matrix_of(0.3, 2.0, 1.0, 2.0)
    moved = transform_points(matrix, points)
    assert moved.shape == (2, 5, 2)
    np.testing.assert_allclose(moved[1, 3], matrix[:, :2] @ points[1, 3] + matrix[:, 2], rtol=1e-6)


def test_depth_of_a_mesh_grows_with_the_picture() -> None:
    moved = transform_mesh(matrix_of(np.pi / 2, 2.0, 5.0, 0.0), [[1.0, 0.0, 4.0]])
    np.testing.assert_allclose(moved, [[5.0, 2.0, 8.0]], atol=1e-6)


def test_composing_is_doing_one_after_the_other() -> None:
    first, second = matrix_of(0.4, 1.5, 3.0, -2.0), matrix_of(-1.0, 0.5, 0.0, 7.0)
    points = np.array([[1.0, 2.0], [-3.0, 4.0]])
    np.testing.assert_allclose(
        transform_points(compose(second, first), points),
        transform_points(second, transform_points(first, points)),
        rtol=1e-5,
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_inverse_undoes_a_transform(scale: float) -> None:
    matrix = matrix_of(2.0, scale, 100.0, -50.0)
    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(compose(invert(matrix), matrix), identity, atol=1e-9)
    np.testing.assert_allclose(compose(matrix, invert(matrix)), identity, atol=1e-9)


def test_a_transform_onto_a_line_has_no_inverse() -> None:
    with pytest.raises(InputError, match="no way back"):
        invert(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]))


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.7, 0.25), (-3.0, 8.0), (np.pi, 1.0)])
def test_a_similarity_is_found_exactly_from_points_it_moved(angle: float, scale: float) -> None:
    matrix = matrix_of(angle, scale, 12.0, -7.0)
    source = np.random.default_rng(1).normal(size=(5, 2)) * 40
    found = similarity(source @ matrix[:, :2].T + matrix[:, 2], source)
    np.testing.assert_allclose(found, matrix, atol=1e-9)
    angle_found, scale_found = rotation_scale(found)
    assert np.isclose(np.cos(angle_found - angle), 1.0)
    assert np.isclose(scale_found, scale)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 5, 478])
def test_a_similarity_is_the_least_squares_one_for_noisy_points(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    source = generator.normal(size=(count, 2)) * 30 + 100
    target = source @ matrix_of(1.0, 2.0, 0, 0)[:, :2].T + generator.normal(size=(count, 2)) * 5
    np.testing.assert_allclose(similarity(target, source), fit_as_complex_numbers(target, source), atol=1e-8)


def test_a_mirrored_face_is_fitted_without_mirroring_it() -> None:
    source = np.array([[30.0, 50.0], [70.0, 50.0], [50.0, 70.0], [35.0, 90.0], [65.0, 90.0]])
    mirrored = source * [-1.0, 1.0] + [100.0, 0.0]
    found = similarity(mirrored, source)
    assert np.linalg.det(found[:, :2]) > 0
    np.testing.assert_allclose(found, fit_as_complex_numbers(mirrored, source), atol=1e-9)


@pytest.mark.parametrize("spoilt", [np.full((5, 2), 3.0), np.full((5, 2), np.nan)])
def test_points_on_one_spot_or_not_finite_are_refused(spoilt: np.ndarray) -> None:
    with pytest.raises(InputError, match="not finite or lie on one spot"):
        similarity(np.random.default_rng(2).normal(size=(5, 2)), spoilt)


def test_targets_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        similarity(np.full((2, 2), np.inf), np.eye(2))
