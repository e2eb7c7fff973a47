"""Which swapper, and which identity onto which face."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, Faces
from likeness.pipelines.identity.identity import Identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap.choice import assign_in_order, load_swapper


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
