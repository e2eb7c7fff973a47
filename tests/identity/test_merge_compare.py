"""Joining people and comparing them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import EncoderMismatchError, InputError
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.compare import Comparison, compare_identities, draw_comparison
from likeness.pipelines.identity.identity import Identity
from likeness.pipelines.identity.merge import merge_identities, parse_weights

Maker = Callable[..., Identity]


def test_a_merged_vector_is_the_weighted_mean_of_the_vectors(make_identity: Maker) -> None:
    a, b = make_identity("A", 2, seed=1), make_identity("B", 3, seed=2)
    merged = merge_identities([a, b], (3, 1))
    assert np.allclose(merged.raw("tiny"), 0.75 * a.raw("tiny") + 0.25 * b.raw("tiny"), atol=1e-6)
    assert len(merged) == 5 and merged.name == "A + B" and merged.weights.sum() == pytest.approx(1, abs=1e-6)
    assert torch.equal(merged.crops[2:], b.crops) and merged.sources_sha256 == a.sources_sha256 + b.sources_sha256
    assert np.allclose(merge_identities([a, b]).raw("tiny"), (a.raw("tiny") + b.raw("tiny")) / 2, atol=1e-6)


def test_weight_zero_leaves_no_trace(make_identity: Maker) -> None:
    a, b = make_identity("A", seed=1, consent="yes"), make_identity("B", seed=2, encoders={"other": 4})
    alone = merge_identities([a, b], (1, 0))
    assert torch.equal(alone.crops, a.crops) and alone.encoders == ("tiny",)
    assert (alone.name, alone.consent) == ("A", "yes")


def test_only_recognisers_that_all_have_are_kept(make_identity: Maker) -> None:
    a = make_identity("A", encoders={"x": 4, "y": 8})
    b = make_identity("B", encoders={"y": 8, "z": 2})
    assert merge_identities([a, b]).encoders == ("y",)
    with pytest.raises(EncoderMismatchError, match=r"'A' has x, y; 'C' has z.*Encode them again"):
        merge_identities([a, make_identity("C", encoders={"z": 2})])


def test_consent_notes_stay_with_their_people(make_identity: Maker) -> None:
    a, b = make_identity("A", consent="signed"), make_identity("B")
    assert merge_identities([a, b]).consent == "A: signed; B: nothing noted"
    assert merge_identities([a, a]).consent == "signed"


def test_wrong_weights_are_refused(make_identity: Maker) -> None:
    a = make_identity()
    for weights, says in (
        ((1,), "2 identities but 1"),
        ((0, 0), "above 0"),
        ((1, -1), "not negative"),
        ((1, float("nan")), "finite"),
    ):
        with pytest.raises(InputError, match=says):
            merge_identities([a, a], weights)
    with pytest.raises(InputError, match="nothing to merge"):
        merge_identities([])
    with pytest.raises(InputError, match="66 references, 64"):
        merge_identities([make_identity(references=33)] * 2)


def test_weights_are_read_as_people_write_them() -> None:
    assert parse_weights(" 2, 1;0.5 ") == (2, 1, 0.5) and parse_weights("") == ()
    with pytest.raises(InputError, match="half"):
        parse_weights("1, half")


@pytest.fixture(scope="module")
def people(analysis: FaceAnalysis, astronaut: Tensor, hopper: Tensor) -> list[Identity]:
    photos = {"Eileen": astronaut, "Eileen mirrored": astronaut.flip(2), "Grace Brewster Murray Hopper": hopper}
    return [build_identity(analysis, [photo], name)[0] for name, photo in photos.items()]


@pytest.fixture(scope="module")
def comparison(analysis: FaceAnalysis, people: list[Identity]) -> Comparison:
    return compare_identities(people, analysis.recogniser)


def test_a_person_is_told_from_another_in_calibrated_terms(comparison: Comparison) -> None:
    distance, probability = comparison.distance, comparison.probability
    assert np.allclose(distance, distance.T) and np.allclose(np.diag(distance), 0, atol=1e-6)
    assert distance[0, 1] < 0.35 and probability[0, 1] > 0.95
    assert distance[0, 2] > 0.6 and probability[0, 2] < 0.35


def test_the_text_lists_pairs_most_alike_first(comparison: Comparison) -> None:
    head, first, *rest = comparison.text.splitlines()
    assert head == "3 identities compared by dlib_resnet_128."
    assert first.startswith("Eileen and Eileen mirrored: distance 0.") and "probability" in first and len(rest) == 2


def test_the_picture_shows_faces_and_a_cell_per_pair(comparison: Comparison) -> None:
    picture = draw_comparison(comparison)
    assert picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == torch.float32
    assert 0 <= picture.min() and picture.max() <= 1
    # the first face on the upper axis is the first person's crop
    start = 16 + 128 + 28 + 4
    thumbnail = torch.nn.functional.interpolate(
        comparison.thumbnails[:1].movedim(3, 1).float() / 255, (128, 128), mode="area"
    )[0].movedim(0, 2)
    assert (picture[16 : 16 + 128, start : start + 128] - thumbnail).abs().mean() < 0.02
    same, other = picture[start + 5, start + 132 + 5], picture[start + 5, start + 264 + 5]
    assert same[2] > same[0] and other[0] > other[2], "blue for the same person, red for another"


def test_comparing_needs_two_people_with_the_same_recogniser(
    analysis: FaceAnalysis, people: list[Identity], make_identity: Maker
) -> None:
    with pytest.raises(InputError, match="2 to 32"):
        compare_identities(people[:1], analysis.recogniser)
    with pytest.raises(EncoderMismatchError, match="'Ada' has no vector"):
        compare_identities([people[0], make_identity("Ada")], analysis.recogniser)


def test_more_references_of_one_person_bring_it_nearer(
    analysis: FaceAnalysis, people: list[Identity], astronaut: Tensor
) -> None:
    merged = merge_identities(people[:2], name="Eileen")
    probe, _ = build_identity(analysis, [(astronaut * 0.7).flip(2)], "probe")
    matrix = compare_identities([merged, people[0], probe], analysis.recogniser).distance
    assert matrix[0, 2] < matrix[1, 2] < 0.4
