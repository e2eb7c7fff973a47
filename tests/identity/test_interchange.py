"""Faces to and from ComfyUI's own BOUNDING_BOX and FACE_LANDMARKS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face, Faces, FloatArray, five_points
from likeness.pipelines.identity.interchange import boxes_from_faces, faces_from_core_landmarks

NAMES = ("_neutral", "jawOpen", "mouthPucker")


def mesh(seed: int = 0, size: float = 100.0) -> FloatArray:
    return (np.random.default_rng(seed).random((478, 3)) * size).astype(np.float32)


def entry(points: FloatArray, crop_px_per_px: float = 1.0, score: float = 0.9) -> dict[str, Any]:
    """A face as core emits it: the corner of the first pixel is (0, 0), depth in the pixels of its own crop."""
    flat = points[:, :2] + 0.5
    low, high = flat.min(0), flat.max(0)
    return {
        "bbox_xyxy": np.concatenate([low, high]).astype(np.float32),
        "landmarks_xy": flat,
        "landmarks_3d": points * crop_px_per_px + 17.0,
        "blendshapes": {"jawOpen": 0.75, "_neutral": 0.125},
        "score": score,
    }


def payload(*frames: list[dict[str, Any]]) -> dict[str, Any]:
    return {"frames": list(frames), "image_size": (300, 400), "connection_sets": {}}


def test_landmarks_come_back_in_our_pixels_with_depth_in_the_pictures_pixels() -> None:
    points = mesh()
    faces = faces_from_core_landmarks(payload([entry(points, crop_px_per_px=2.5)]), NAMES)
    face = faces.frames[0][0]
    assert (faces.height, faces.width) == (300, 400)
    np.testing.assert_allclose(face.landmarks[:, :2], points[:, :2], atol=1e-4)
    depth = face.landmarks[:, 2] - face.landmarks[:, 2].mean()
    np.testing.assert_allclose(depth, points[:, 2] - points[:, 2].mean(), atol=2e-3)
    np.testing.assert_allclose(face.landmarks5, five_points(points), atol=1e-4)
    np.testing.assert_allclose(face.blendshapes, [0.125, 0.75, 0.0])
    assert face.score == pytest.approx(0.9)


def test_faces_are_ordered_largest_first_and_empty_pictures_stay_empty() -> None:
    small, large = entry(mesh(1, 40.0)), entry(mesh(2, 200.0))
    faces = faces_from_core_landmarks(payload([small, large], []), NAMES)
    assert [len(frame) for frame in faces.frames] == [2, 0]
    assert faces.frames[0][0].area_px > faces.frames[0][1].area_px


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"faces": []}, r"have the entries \['faces'\]"),
        (payload([entry(mesh()) | {"landmarks_xy": np.zeros((68, 2), np.float32)}]), r"shape \(68, 2\)"),
        (payload([entry(mesh()) | {"landmarks_xy": np.full((478, 2), np.nan, np.float32)}]), "not numbers"),
    ],
)
def test_another_layout_is_refused_with_what_it_has(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        faces_from_core_landmarks(broken, NAMES)


def test_boxes_are_pixels_from_the_corner_with_label_and_score() -> None:
    face = Face(np.array([9.5, 19.5, 49.5, 79.5], np.float32), 0.5, np.zeros((5, 2), np.float32))
    assert boxes_from_faces(Faces(((face,), ()), 100, 100)) == [
        [{"x": 10.0, "y": 20.0, "width": 40.0, "height": 60.0, "label": "face 0", "score": 0.5}],
        [],
    ]
