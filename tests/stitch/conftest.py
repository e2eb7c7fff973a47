"""Drawn faces: the canonical mesh at a known place, in pictures of coloured noise."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from likeness.pipelines.face import Face, Faces, five_points
from likeness.pipelines.geometry.features import EYES
from likeness.pipelines.geometry.mesh import canonical_mesh


def drawn_face(x, y, width, angle=0.0):
    """The canonical face, `width` px wide, its middle at (x, y), turned by `angle` radians in the picture."""
    points = np.zeros((478, 3), dtype=np.float32)
    points[:468] = canonical_mesh().points * np.array([1, -1, -1])
    for eye in EYES:
        points[[eye.iris, *eye.iris_edge]] = points[list(eye.lids.loop)].mean(0)
    points *= width / np.ptp(points[:468, 0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points[:, :2] = points[:, :2] @ turn.T + np.array([x, y])
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    return Face(np.concatenate([low, high]).astype(np.float32), 1.0, five_points(points), points.astype(np.float32))


def smooth_noise(count, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, height // 8 + 2, width // 8 + 2, generator=generator)
    large = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    fine = torch.rand(count, 3, height, width, generator=generator)
    return (0.8 * large + 0.2 * fine).permute(0, 2, 3, 1).contiguous()


@pytest.fixture
def scene():
    images = smooth_noise(2, 240, 320)
    first, second, third = drawn_face(110, 120, 100, 0.3), drawn_face(230, 110, 60), drawn_face(160, 120, 90, -0.8)
    faces = Faces(((first, second), (third,)), 240, 320)
    return SimpleNamespace(images=images, faces=faces, face=drawn_face, noise=smooth_noise)
