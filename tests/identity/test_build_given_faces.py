"""A person picked by hand out of a group picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Faces
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.select import select_faces


@pytest.fixture(scope="module")
def group(astronaut: Tensor, hopper: Tensor) -> Tensor:
    """Both people in one picture; Grace Hopper, on the right, has the larger face."""
    return torch.cat([astronaut, hopper[:, 40:552]], dim=2)


def test_the_given_face_is_the_person_not_the_largest_one(
    analysis: FaceAnalysis, group: Tensor, astronaut: Tensor
) -> None:
    given = select_faces(analysis.detect(group), by="left_to_right", count=1)
    person, _ = build_identity(analysis, [group], "left", first_faces=given)
    alone, _ = build_identity(analysis, [astronaut], "alone")
    largest, _ = build_identity(analysis, [group], "largest")

    name = analysis.recogniser.name
    assert analysis.recogniser.distance(person.raw(name), alone.raw(name)) < 0.1
    assert analysis.recogniser.distance(largest.raw(name), alone.raw(name)) > 0.6


def test_faces_of_another_picture_and_no_face_at_all_are_refused(
    analysis: FaceAnalysis, group: Tensor, astronaut: Tensor
) -> None:
    given = analysis.detect(group)
    with pytest.raises(InputError, match="512 × 512 px but the faces were found in one of 1024 × 512 px"):
        build_identity(analysis, [astronaut], "Ada", first_faces=given)
    with pytest.raises(FaceNotFoundError, match="faces of the first photo"):
        build_identity(analysis, [group], "Ada", first_faces=Faces(((),), 512, 1024))


def test_a_grey_photo_makes_an_identity_like_any_other(analysis: FaceAnalysis, astronaut: Tensor) -> None:
    grey, _ = build_identity(analysis, [astronaut.mean(-1, keepdim=True)], "grey")
    colour, _ = build_identity(analysis, [astronaut], "colour")
    name = analysis.recogniser.name
    assert analysis.recogniser.distance(grey.raw(name), colour.raw(name)) < 0.3
