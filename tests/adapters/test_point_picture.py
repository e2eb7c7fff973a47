"""IdentityNet's five-point picture, against OpenCV and against a frozen drawing."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from likeness.pipelines.adapters.point_picture import COLOURS, LIMBS, draw_point_picture
from likeness.pipelines.errors import InputError

FACE = np.array([[200.4, 240.6], [318.9, 240.2], [256.6, 314.0], [201.3, 371.4], [313.1, 371.2]], np.float32)


def published_picture(points: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """The published steps with OpenCV's own drawing."""
    cv2 = pytest.importorskip("cv2")
    canvas = np.zeros([height, width, 3])
    for start, end in LIMBS:
        x, y = points[[start, end]][:, 0], points[[start, end]][:, 1]
        length = ((x[0] - x[1]) ** 2 + (y[0] - y[1]) ** 2) ** 0.5
        angle = math.degrees(math.atan2(y[0] - y[1], x[0] - x[1]))
        middle = (int(np.mean(x)), int(np.mean(y)))
        outline = cv2.ellipse2Poly(middle, (int(length / 2), 4), int(angle), 0, 360, 1)
        canvas = cv2.fillConvexPoly(canvas.copy(), outline, COLOURS[start])
    canvas = (canvas * 0.6).astype(np.uint8)
    for (x, y), colour in zip(points, COLOURS, strict=True):
        canvas = cv2.circle(canvas.copy(), (int(x), int(y)), 10, colour, -1)
    return canvas


def as_bytes(picture: torch.Tensor) -> NDArray[np.uint8]:
    return (picture * 255).round().to(torch.uint8).numpy()


def test_it_equals_opencv_pixel_for_pixel_on_faces_of_any_size_turn_and_place() -> None:
    random = np.random.default_rng(7)
    for _ in range(150):
        scale, turn = random.uniform(0.02, 1.6), random.uniform(-math.pi, math.pi)
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        place = random.uniform(-40, 480, 2)
        points = ((FACE - 256) * scale @ rotation.T + place + random.normal(0, 9 * scale, (5, 2))).astype(np.float32)
        height, width = int(random.integers(64, 480)), int(random.integers(64, 480))
        ours = as_bytes(draw_point_picture([points], height, width))
        np.testing.assert_array_equal(ours, published_picture(points, height, width))


def test_points_that_coincide_equal_opencv() -> None:
    points = np.full((5, 2), 50.0, np.float32)
    np.testing.assert_array_equal(as_bytes(draw_point_picture([points], 100, 90)), published_picture(points, 100, 90))


def test_the_drawing_of_one_face_never_changes() -> None:
    picture = as_bytes(draw_point_picture([FACE], 512, 512))
    assert (
        hashlib.sha256(picture.tobytes()).hexdigest()
        == "cb60faaead10023f84a7748cb8f616fc11889fbd8d0d4cc2d05cbf14d4adbd95"
    )


def test_discs_have_their_points_full_colour_and_limbs_six_tenths_of_it() -> None:
    picture = as_bytes(draw_point_picture([FACE], 512, 512))
    for (x, y), colour in zip(FACE.astype(int), COLOURS, strict=True):
        assert tuple(picture[y, x]) == colour
    x, y = ((FACE[0] + FACE[2]) / 2).astype(int)
    assert tuple(picture[y, x]) == (153, 0, 0)


def test_several_faces_do_not_dim_each_other_and_a_missing_face_is_black() -> None:
    other = FACE * 0.3
    both = draw_point_picture([FACE, other], 512, 512)
    torch.testing.assert_close(both[:180], draw_point_picture([other], 512, 512)[:180])
    torch.testing.assert_close(both[180:], draw_point_picture([FACE], 512, 512)[180:])
    assert torch.equal(draw_point_picture([], 64, 48), torch.zeros(64, 48, 3))


def test_another_number_of_points_is_refused() -> None:
    with pytest.raises(InputError, match="five points per face, not 4"):
        draw_point_picture([FACE[:4]], 64, 64)
