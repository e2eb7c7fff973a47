"""Crops put the five points where the networks expect them."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.face import Face
from likeness.pipelines.geometry.templates import TEMPLATES, crop_from_image
from likeness.pipelines.geometry.transforms import rotation_scale, transform_points

MIDDLE = (512 - 1) / 2


def face_at(points: np.ndarray) -> Face:
    box = np.concatenate([points.min(0), points.max(0)]).astype(np.float32)
    return Face(bbox_xyxy=box, score=1.0, landmarks5=points.astype(np.float32))


def tilted(points: np.ndarray) -> np.ndarray:
    return points @ np.array([[0.3, 0.4], [-0.4, 0.3]]) + [200.0, 100.0]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("size", [112, 128, 512])
def test_a_face_of_the_templates_own_shape_lands_on_it_exactly(template: str, size: int) -> None:
    face = face_at(tilted(TEMPLATES[template] * 300))
    landed = transform_points(crop_from_image(face, template, size), face.landmarks5)
    np.testing.assert_allclose(landed, TEMPLATES[template] * size, atol=1e-3)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_an_upright_face_with_image_left_first(template: str) -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = TEMPLATES[template]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert (TEMPLATES[template] > 0).all()
    assert (TEMPLATES[template] < 1).all()


def test_the_128_px_template_of_the_swappers_is_the_112_px_one_moved_eight_pixels_right() -> None:
    np.testing.assert_allclose(
        TEMPLATES["arcface_128"] * 128 - TEMPLATES["arcface_112"] * 112, np.tile([8.0, 0.0], (5, 1)), atol=1e-9
    )


def test_zoom_shows_more_around_the_face_and_keeps_the_middle_in_place() -> None:
    face = face_at(tilted(TEMPLATES["ffhq_512"] * 400))
    near, far = (crop_from_image(face, "ffhq_512", 512, zoom) for zoom in (1.0, 2.0))
    assert np.isclose(rotation_scale(near)[1], 2 * rotation_scale(far)[1])
    near_landed, far_landed = transform_points(near, face.landmarks5), transform_points(far, face.landmarks5)
    np.testing.assert_allclose(far_landed - MIDDLE, (near_landed - MIDDLE) / 2, atol=1e-2)
