"""Numbered faces on pictures, and the text that goes with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face, Faces, FloatArray
from likeness.pipelines.identity.preview import describe_faces, draw_faces


def face(left: float, top: float, right: float, bottom: float, landmarks: FloatArray | None = None) -> Face:
    five = np.array([[left + 10, top + 10]] * 5, dtype=np.float32)
    return Face(np.array([left, top, right, bottom], np.float32), 0.875, five, landmarks)


def test_a_picture_without_a_face_comes_back_bit_for_bit() -> None:
    images = torch.rand(2, 80, 90, 3)
    drawn = draw_faces(images, Faces(((), (face(20, 20, 60, 70),)), 80, 90))
    assert torch.equal(drawn[0], images[0])
    assert not torch.equal(drawn[1], images[1])


def test_only_the_box_its_label_and_the_points_are_drawn_and_the_input_stays() -> None:
    images = torch.full((1, 300, 300, 3), 0.5)
    drawn = draw_faces(images, Faces(((face(100, 120, 200, 240),),), 300, 300))
    assert (images == 0.5).all()
    changed = (drawn[0] - images[0]).abs().amax(-1) > 0.01
    rows, columns = torch.nonzero(changed, as_tuple=True)
    assert columns.min() >= 97 and columns.max() <= 203
    assert rows.min() >= 85 and rows.max() <= 243
    assert not changed[150:230, 130:190].any()


def test_a_label_stays_inside_the_picture_when_the_face_touches_its_corner() -> None:
    images = torch.zeros(1, 128, 128, 3)
    drawn = draw_faces(images, Faces(((face(-20, -30, 60, 70),),), 128, 128))
    # the white letters of the label; the colour of the box has no channel this bright in common
    rows, columns = torch.nonzero((drawn[0] > 0.6).all(-1), as_tuple=True)
    assert len(rows) > 20 and columns.min() >= 0 and columns.max() < 128


def test_grey_and_alpha_pictures_are_drawn_on_in_colour() -> None:
    faces = Faces(((face(20, 20, 60, 60),),), 80, 80)
    assert draw_faces(torch.rand(1, 80, 80, 1), faces).shape == (1, 80, 80, 3)
    assert draw_faces(torch.rand(1, 80, 80, 4), faces).shape == (1, 80, 80, 3)


def test_faces_of_another_batch_are_refused() -> None:
    with pytest.raises(InputError, match="has 2 picture"):
        draw_faces(torch.rand(2, 80, 80, 3), Faces(((),), 80, 80))


def test_the_text_has_a_line_per_face_and_tells_of_pictures_without_one() -> None:
    faces = Faces(((face(0, 0, 40, 50), face(5, 5, 25, 35)), ()), 100, 120, best_rejected_score=0.31)
    assert describe_faces(faces).splitlines() == [
        "2 face(s) in 2 picture(s) of 120 × 100 px",
        "picture 0, face 0: 40 × 50 px, score 0.88",
        "picture 0, face 1: 20 × 30 px, score 0.88",
        "picture 1: no face",
        "The best score below the threshold is 0.31.",
    ]
