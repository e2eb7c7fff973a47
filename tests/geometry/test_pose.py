"""The pose of a head: exact on turned meshes, and MediaPipe's on photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.mesh import canonical_mesh
from likeness.pipelines.geometry.pose import (
    angles_from_rotation,
    head_rotation,
    rotation_from_angles,
    rotation_from_landmarks,
)

ORACLES = load_file(Path(__file__).resolve().parents[1] / "parity" / "fixtures" / "embedded_oracles.safetensors")
ANGLES = [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, -0.5, 0.0), (0.0, 0.0, 0.4), (-0.2, 0.6, -0.3), (0.1, -0.9, 0.8)]


def drawn(pitch: float, yaw: float, roll: float, scale: float = 20.0) -> NDArray[np.float32]:
    """Landmarks in px of the canonical mesh in a pose, seen from far away."""
    turned = canonical_mesh().points @ rotation_from_angles(pitch, yaw, roll).T
    return (turned * scale * (1, -1, -1) + (300, 200, 0)).astype(np.float32)


@pytest.mark.parametrize("angles", ANGLES)
def test_the_angles_of_a_turned_mesh_come_back(angles: tuple[float, float, float]) -> None:
    assert np.allclose(rotation_from_landmarks(drawn(*angles)), angles, atol=1e-4)
    assert np.allclose(angles_from_rotation(rotation_from_angles(*angles)), angles)


def test_signs_are_as_documented() -> None:
    nose, forehead, centre = 1, 10, np.array([300, 200])
    straight = drawn(0, 0, 0)
    assert drawn(0.3, 0, 0)[nose, 1] > straight[nose, 1] + 10, "positive pitch looks down"
    assert drawn(0, 0.3, 0)[nose, 0] > centre[0] + 10, "positive yaw looks to the right of the picture"
    assert drawn(0, 0, 0.3)[forehead, 0] < centre[0] - 10, "positive roll tips the head to the left of the picture"


@pytest.mark.parametrize("name", ["astronaut", "hopper"])
def test_the_rotation_from_published_landmarks_is_mediapipes(name: str) -> None:
    size = tuple(int(side) for side in ORACLES[f"{name}.size_hw"])
    expected = ORACLES[f"{name}.pose_matrix"][:3, :3].astype(np.float64)
    rotation = head_rotation(ORACLES[f"{name}.landmarks"], (size[0], size[1]))
    assert abs(np.linalg.det(rotation) - 1) < 1e-9
    turn = np.arccos(np.clip((np.trace(rotation @ np.linalg.inv(expected)) - 1) / 2, -1, 1))
    assert np.degrees(turn) < 0.1


def test_without_the_size_of_the_picture_the_angles_differ_by_a_few_degrees_only() -> None:
    landmarks = ORACLES["hopper.landmarks"]
    flat, seen = rotation_from_landmarks(landmarks), rotation_from_landmarks(landmarks, (600, 512))
    assert np.degrees(np.abs(np.subtract(flat, seen))).max() < 3


def test_landmarks_without_depth_or_numbers_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(468, 2\)"):
        rotation_from_landmarks(np.zeros((468, 2), np.float32))
    with pytest.raises(InputError, match="finite"):
        rotation_from_landmarks(np.full((478, 3), np.nan, np.float32))
