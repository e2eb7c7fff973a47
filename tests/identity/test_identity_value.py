"""The Identity value: vectors by explicit name, never mixed, never converted silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import EncoderMismatchError, InputError
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.identity import (
    EncodedReferences,
    Identity,
    encode_references,
    ensure_encoded,
    likeness,
    re_encode,
)

Maker = Callable[..., Identity]


def test_raw_is_the_weighted_mean_and_unit_its_direction(make_identity: Maker) -> None:
    identity = make_identity(references=3, encoders={"arc": 512})
    vectors = identity.references("arc").raw
    slow = sum(
        float(weight) * vector.astype(np.float64) for weight, vector in zip(identity.weights, vectors, strict=True)
    )
    assert np.allclose(identity.raw("arc"), slow, atol=1e-6)
    assert np.linalg.norm(identity.unit("arc")) == pytest.approx(1, abs=1e-6)
    assert np.allclose(identity.unit("arc") * np.linalg.norm(slow), slow, atol=1e-5)


def test_best_is_the_heaviest_reference(make_identity: Maker) -> None:
    identity = replace(make_identity(references=3), weights=np.array([0.2, 0.5, 0.3], np.float32))
    assert identity.best == 1 and len(identity) == 3


def test_another_recogniser_is_named_with_the_way_out(make_identity: Maker) -> None:
    identity = make_identity("Ada", encoders={"dlib_resnet_128": 128})
    with pytest.raises(
        EncoderMismatchError, match=r"'Ada'.*'arcface_glintr100'.*has those of dlib_resnet_128.*encode it"
    ):
        identity.unit("arcface_glintr100")


def test_a_vector_without_direction_has_no_unit(make_identity: Maker) -> None:
    identity = make_identity().with_vectors(EncodedReferences("zero", "", np.zeros((2, 4), np.float32)))
    with pytest.raises(InputError, match="length 0"):
        identity.unit("zero")


def test_parts_that_do_not_fit_are_refused(make_identity: Maker) -> None:
    good = make_identity(references=2)
    for change, says in (
        ({"weights": np.zeros(0, np.float32)}, "at least one reference"),
        ({"weights": np.array([0.9, 0.9], np.float32)}, "sum to 1"),
        ({"weights": np.array([1.5, -0.5], np.float32)}, "not negative"),
        ({"crops": good.crops[:1]}, r"crops have the shape \(1, 512, 512, 3\)"),
        ({"crops": good.crops.float()}, "uint8"),
        ({"landmarks": good.landmarks[:, :468]}, "landmarks"),
        ({"sources_sha256": ("0" * 64,)}, "1 sources for 2"),
        ({"vectors": (*good.vectors, *good.vectors)}, "same recogniser"),
        ({"vectors": (EncodedReferences("x", "", np.full((2, 3), np.nan, np.float32)),)}, "not finite"),
    ):
        with pytest.raises(InputError, match=says):
            replace(good, **change)


def test_name_and_consent_change_nothing_else(make_identity: Maker) -> None:
    identity = make_identity("Ada")
    renamed = identity.with_name("Grace").with_consent("signed")
    assert (renamed.name, renamed.consent) == ("Grace", "signed")
    assert renamed.crops is identity.crops and identity.name == "Ada"
    assert "signed" in renamed.describe() and "tiny (4 numbers, CC0)" in renamed.describe()


def test_stored_crops_are_enough_to_encode_again(analysis: FaceAnalysis, astronaut: Tensor, hopper: Tensor) -> None:
    identity, _ = build_identity(analysis, [astronaut], "Eileen")
    other, _ = build_identity(analysis, [hopper], "Grace")
    bare = replace(identity, vectors=(EncodedReferences("other", "", np.ones((1, 4), np.float32)),))
    again = re_encode(bare, analysis)
    name = analysis.recogniser.name
    assert again.encoders == ("other", name)
    distance, probability = likeness(analysis.recogniser, again.raw(name), identity)
    assert distance < 0.15 and probability > 0.99
    assert likeness(analysis.recogniser, again.raw(name), other)[1] < 0.2
    assert ensure_encoded(identity, analysis) is identity
    assert ensure_encoded(bare, analysis).encoders == again.encoders


def test_encoding_many_references_equals_one_by_one(analysis: FaceAnalysis, astronaut: Tensor) -> None:
    identity, _ = build_identity(analysis, [astronaut, astronaut.flip(2)], "Eileen")
    both = encode_references(analysis.recogniser, identity.crops, identity.landmarks).raw
    for index in range(2):
        one = encode_references(
            analysis.recogniser, identity.crops[index : index + 1], identity.landmarks[index : index + 1]
        )
        assert np.allclose(one.raw[0], both[index], atol=1e-4)


def test_the_face_of_a_crop_lies_on_the_crop_template(analysis: FaceAnalysis, hopper: Tensor) -> None:
    identity, _ = build_identity(analysis, [hopper], "Grace")
    ((index, face),) = identity.faces()
    assert index == 0
    # the eyes of the ffhq template at 512 px; a least-squares fit of five points leaves a few px on each
    assert np.abs(face.landmarks5[:2] - [[193, 240], [319, 240]]).max() < 16
    assert identity.pictures().shape == (1, 512, 512, 3) and torch.is_floating_point(identity.pictures())
