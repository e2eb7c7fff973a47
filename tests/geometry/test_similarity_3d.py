"""Similarities in space, between the landmarks of one head in two pictures."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.pose import rotation_from_angles
from likeness.pipelines.geometry.transforms import similarity_3d

POINTS = np.random.default_rng(3).normal(size=(30, 3)) * 40 + 100


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.4, -0.8, 0.2), (3.0, 0.1, -2.0)])
def test_rotation_scale_and_shift_are_found_exactly(angles: tuple[float, float, float]) -> None:
    rotation = rotation_from_angles(*angles)
    moved = POINTS @ (1.7 * rotation).T + (5, -60, 12)
    linear, shift = similarity_3d(moved, POINTS)
    assert np.abs(linear - 1.7 * rotation).max() < 1e-9 and np.abs(shift - (5, -60, 12)).max() < 1e-6


def test_a_mirror_image_is_not_taken_for_a_turn_and_noise_moves_it_little() -> None:
    linear, _ = similarity_3d(POINTS * (-1, 1, 1), POINTS)
    assert np.linalg.det(linear) > 0
    noisy = POINTS + np.random.default_rng(4).normal(size=POINTS.shape)
    linear, _ = similarity_3d(noisy, POINTS)
    assert np.abs(linear - np.eye(3)).max() < 0.03


def test_points_on_one_spot_are_refused() -> None:
    with pytest.raises(InputError, match="lie on one spot"):
        similarity_3d(POINTS, np.zeros_like(POINTS))
