"""Which swapper, and which identity onto which face."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, Faces
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap.choice import assign_by_likeness, assign_in_order, load_swapper


def person(name: str) -> Identity:
    crops = torch.zeros(1, 512, 512, 3, dtype=torch.uint8)
    landmarks, weight = np.zeros((1, 478, 3), np.float32), np.ones(1, np.float32)
    return Identity(name, crops, landmarks, weight, ())


def faces(*counts: int) -> Faces:
    box = np.array([0, 0, 40, 50], np.float32)
    one = Face(box, 0.9, np.zeros((5, 2), np.float32))
    return Faces(tuple((one,) * count for count in counts), 100, 100)


def test_one_identity_goes_onto_every_face_of_every_picture() -> None:
    assignments, text = assign_in_order(faces(2, 0, 1), [person("Ada")])
    assert [(index, identity.name) for index, _, identity in assignments] == [(0, "Ada"), (0, "Ada"), (2, "Ada")]
    assert text.splitlines() == [
        "3 of 3 face(s) swapped.",
        "picture 0, face 0 (40 × 50 px): Ada",
        "picture 0, face 1 (40 × 50 px): Ada",
        "picture 1: no face, passed unchanged",
        "picture 2, face 0 (40 × 50 px): Ada",
    ]


def test_several_identities_go_in_order_and_faces_beyond_them_stay() -> None:
    assignments, text = assign_in_order(faces(3, 1), [person("Ada"), person("Bea")])
    assert [(index, identity.name) for index, _, identity in assignments] == [(0, "Ada"), (0, "Bea"), (1, "Ada")]
    assert "3 of 4 face(s) swapped." in text
    assert "picture 0, face 2 (40 × 50 px): unchanged, there is no identity for it" in text


def test_an_identity_that_found_no_face_is_named() -> None:
    _, text = assign_in_order(faces(1), [person("Ada"), person("Bea")])
    assert text.splitlines()[-1] == "Bea: no face left for it"


def test_a_long_report_counts_what_it_does_not_list() -> None:
    _, text = assign_in_order(faces(*[1] * 50), [person("Ada")])
    assert text.splitlines()[-1] == "and 30 more"


def test_no_face_in_any_picture_is_an_error_and_so_is_no_identity() -> None:
    with pytest.raises(FaceNotFoundError, match=r"none of the 2 picture\(s\)"):
        assign_in_order(faces(0, 0), [person("Ada")])
    with pytest.raises(InputError, match="no identity"):
        assign_in_order(faces(1), [])


def test_auto_takes_a_swapper_whose_weights_are_there_and_says_which() -> None:
    _, text = load_swapper(Registry(TorchRuntime()), "auto")
    assert text.splitlines()[0].startswith("Swapper: mesh")


def test_an_unknown_swapper_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="mesh"):
        load_swapper(Registry(TorchRuntime()), "nobody")


class ByPlace:
    """A recogniser that knows people by the brightness of the pixel at the middle of their box."""

    name, licence, commercial_use, dimension = "by_place", "test", True, 2

    def embed(self, images, faces):
        seen = [float(images[index, int(face.center[1]), int(face.center[0]), 0]) for index, face in faces]
        return np.array([[value, 1.0] for value in seen], np.float32)

    def distance(self, a, b) -> float:
        return float(abs(a[0] - b[0]))

    def probability(self, distance: float) -> float:
        return max(0.0, 1.0 - 5 * distance)


def crowd(*brightness: float) -> tuple[torch.Tensor, Faces]:
    """A picture with a face of each brightness, side by side."""
    width = 20 * len(brightness)
    picture = torch.tensor(brightness).repeat_interleave(20)[None, None, :, None].expand(1, 20, width, 3)
    boxes = [np.array([20 * k, 0, 20 * k + 20, 20], np.float32) for k in range(len(brightness))]
    found = tuple(Face(box, 0.9, np.zeros((5, 2), np.float32)) for box in boxes)
    return picture, Faces((found,), 20, width)


def known(name: str, brightness: float) -> Identity:
    vectors = EncodedReferences("by_place", "test", np.array([[brightness, 1.0]], np.float32))
    return person(name).with_vectors(vectors)


def test_of_twelve_faces_the_two_people_asked_for_become_somebody_else_wherever_they_stand() -> None:
    brightness = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.62, 0.35, 0.4, 0.02, 0.92, 0.45]
    picture, found = crowd(*brightness)
    people = [known("Ada", 0.9), known("Bea", 0.6)]
    assignments, text = assign_by_likeness(found, picture, people, [person("Cleo"), person("Dora")], ByPlace())
    assert [(float(face.bbox_xyxy[0]) / 20, who.name) for _, face, who in assignments] == [(6, "Dora"), (10, "Cleo")]
    assert "2 of 12 face(s) swapped, by likeness." in text
    assert "picture 0, face 10 is Ada (90%), becomes Cleo" in text
    assert "face 3 is nobody of the people" in text


def test_somebody_who_is_in_no_picture_is_named_and_numbers_must_agree() -> None:
    picture, found = crowd(0.1, 0.5)
    people = [known("Ada", 0.9), known("Bea", 0.5)]
    assignments, text = assign_by_likeness(found, picture, people, [person("Cleo"), person("Dora")], ByPlace())
    assert len(assignments) == 1 and text.splitlines()[-1] == "Ada is in no picture"
    with pytest.raises(InputError, match="1 identities and 2 people"):
        assign_by_likeness(found, picture, people, [person("Cleo")], ByPlace())
    with pytest.raises(FaceNotFoundError):
        assign_by_likeness(Faces(((),), 20, 40), picture, people, [person("C"), person("D")], ByPlace())


def test_people_of_another_face_analysis_are_encoded_again() -> None:
    picture, found = crowd(0.0, 0.9)
    stored = person("Ada")  # its stored picture is black
    assignments, _ = assign_by_likeness(found, picture, [stored], [person("Cleo")], ByPlace())
    assert [float(face.bbox_xyxy[0]) for _, face, _ in assignments] == [0.0]


def test_of_twelve_faces_two_identities_in_order_go_onto_the_first_two() -> None:
    assignments, text = assign_in_order(faces(12), [person("Ada"), person("Bea")])
    assert [who.name for _, _, who in assignments] == ["Ada", "Bea"]
    assert text.count("unchanged, there is no identity for it") == 10
