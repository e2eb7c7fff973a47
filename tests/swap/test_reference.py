"""The photo that fits the pose of the face is the one that is used."""

from dataclasses import replace

import numpy as np
import torch

from likeness.pipelines.face import as_float_array
from likeness.pipelines.swap.reference import nearest_reference


def turned(landmarks, degrees):
    """The landmarks (N, 3) with the head turned about the vertical axis."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    middle = landmarks.mean(0)
    return as_float_array((landmarks - middle) @ rotation.T + middle)


def person(demo, degrees, weights):
    one = demo.astronaut_identity
    return replace(
        one,
        crops=one.crops.expand(len(degrees), -1, -1, -1),
        landmarks=np.stack([turned(one.landmarks[0], angle) for angle in degrees]),
        weights=as_float_array(weights),
        vectors=tuple(replace(v, raw=np.repeat(v.raw, len(degrees), 0)) for v in one.vectors),
        sources_sha256=one.sources_sha256 * len(degrees),
    )


def test_the_reference_turned_like_the_target_is_used(demo) -> None:
    somebody = person(demo, (-25, 0, 25), (0.3, 0.4, 0.3))
    for index, degrees in enumerate((-20, 1, 30)):
        assert nearest_reference(somebody, turned(demo.hopper_face.landmarks, degrees)) == index


def test_a_reference_of_less_than_half_the_heaviest_weight_never_wins_by_its_pose(demo) -> None:
    somebody = person(demo, (-25, 0), (0.3, 0.7))
    assert nearest_reference(somebody, turned(demo.hopper_face.landmarks, -25)) == 1


def test_one_photo_swaps_as_before(demo) -> None:
    assert nearest_reference(demo.astronaut_identity, demo.hopper_face.landmarks) == 0
    assert torch.equal(demo.astronaut_identity.crops[0], person(demo, (0,), (1.0,)).crops[0])
