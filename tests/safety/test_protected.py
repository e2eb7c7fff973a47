"""Protected people: their identities and faces are refused, everybody else's are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import UnsafeFileError
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.identity import Identity
from likeness.pipelines.identity.storage import save_identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.safety.protected import (
    MATCH_DISTANCE,
    ProtectedPeople,
    ProtectedPersonError,
    false_match_rate,
    impostor_pairs,
    load_protected,
    rate_that_counting_allows,
)
from likeness.pipelines.stitch.paste import stitch_faces
from likeness.pipelines.swap.choice import assign_in_order, load_swapper
from likeness.pipelines.swap.options import SwapOptions
from likeness.pipelines.swap.swappers import swap_faces
from likeness.pipelines.weights import ROOT


@pytest.fixture(scope="module")
def eileen(analysis: FaceAnalysis, astronaut: Tensor) -> Identity:
    return build_identity(analysis, [astronaut], name="Eileen")[0]


@pytest.fixture(scope="module")
def grace(analysis: FaceAnalysis, hopper: Tensor) -> Identity:
    return build_identity(analysis, [hopper], name="Grace")[0]


@pytest.fixture
def protected(tmp_path: Path, analysis: FaceAnalysis, eileen: Identity) -> Iterator[ProtectedPeople]:
    save_identity(eileen, tmp_path)
    yield load_protected([tmp_path, tmp_path / "missing"], analysis)


def test_a_protected_person_s_identity_is_refused_with_distance_limit_and_rates(
    protected: ProtectedPeople, eileen: Identity, grace: Identity
) -> None:
    protected.refuse_identities([grace])
    with pytest.raises(
        ProtectedPersonError, match=r"(?s)Identity 'somebody' is 'Eileen' \(distance 0\.00, limit 0\.5\)"
    ):
        protected.refuse_identities([grace, eileen.with_name("somebody")])
    with pytest.raises(ProtectedPersonError, match=r"About 0\.03 % of other people, 0\.3 % of people as alike"):
        protected.refuse_identities([eileen])


@pytest.mark.parametrize("change", ["mirrored", "darker", "smaller"])
def test_another_picture_of_a_protected_person_is_refused(
    protected: ProtectedPeople, analysis: FaceAnalysis, astronaut: Tensor, change: str
) -> None:
    shrunk = torch.nn.functional.interpolate(astronaut.movedim(3, 1), scale_factor=0.6, mode="area").movedim(1, 3)
    picture = {"mirrored": astronaut.flip(2), "darker": astronaut * 0.5, "smaller": shrunk}[change]
    with pytest.raises(ProtectedPersonError, match="A face of picture 0 of the input is 'Eileen'"):
        protected.refuse_faces(picture, analysis.detect(picture), "the input")


def test_somebody_else_s_face_passes_because_it_is_further_away_than_the_limit(
    protected: ProtectedPeople, analysis: FaceAnalysis, hopper: Tensor, eileen: Identity
) -> None:
    faces = analysis.detect(hopper)
    protected.refuse_faces(hopper, faces, "the input")
    (vector,) = analysis.recogniser.embed(hopper, [(0, faces.frames[0][0])])
    assert analysis.recogniser.distance(vector, eileen.raw(analysis.recogniser.name)) > MATCH_DISTANCE + 0.1


def test_a_face_that_was_swapped_to_be_a_protected_person_s_is_refused(
    protected: ProtectedPeople, analysis: FaceAnalysis, hopper: Tensor, eileen: Identity, registry: Registry
) -> None:
    faces = analysis.detect(hopper)
    swapper, _ = load_swapper(registry, "mesh")
    crops = swap_faces(swapper, hopper, assign_in_order(faces, [eileen])[0], SwapOptions())
    fake, _ = stitch_faces(hopper, crops, "alpha")
    with pytest.raises(ProtectedPersonError, match="is 'Eileen'"):
        protected.refuse_faces(fake, analysis.detect(fake), "the input")


def test_without_protected_people_nothing_is_refused_or_encoded(
    tmp_path: Path, analysis: FaceAnalysis, eileen: Identity, astronaut: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for method in ("embed", "embed_chips"):
        monkeypatch.setattr(type(analysis.recogniser), method, lambda *_, method=method: asked.append(method))
    nobody = load_protected([tmp_path], analysis)
    nobody.refuse_identities([eileen])
    nobody.refuse_faces(astronaut, analysis.detect(astronaut), "the input")
    assert nobody.people == () and asked == []


def test_a_broken_file_among_the_protected_is_an_error_and_not_skipped(tmp_path: Path, analysis: FaceAnalysis) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(UnsafeFileError, match="broken"):
        load_protected([tmp_path], analysis)


def test_the_stated_false_match_rates_follow_from_the_measured_distances() -> None:
    assert 0.001 < false_match_rate("look_alikes") < 0.005
    assert false_match_rate("everybody") < 0.0005
    assert false_match_rate("look_alikes", 0.9) > 0.95
    assert MATCH_DISTANCE == 0.5


def test_none_of_the_218_pairs_lies_below_the_limit_which_alone_bounds_the_rate_at_1_4_percent() -> None:
    pairs, look_alikes = impostor_pairs("everybody"), impostor_pairs("look_alikes")
    assert (len(pairs), len(look_alikes), pairs[0]) == (218, 44, 0.5623)
    bound = rate_that_counting_allows("everybody")
    assert bound == pytest.approx(0.01365, abs=5e-6)
    # at that rate a table without a match has the probability that was left
    assert (1 - bound) ** 218 == pytest.approx(0.05)
    assert rate_that_counting_allows("look_alikes") == pytest.approx(0.06582, abs=5e-6)


def test_the_security_page_states_the_rates_that_are_computed() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for rate in (
        *(false_match_rate(kind) for kind in ("look_alikes", "everybody")),
        *(rate_that_counting_allows(kind) for kind in ("look_alikes", "everybody")),
    ):
        assert f"{100 * rate:.1g} %" in page or f"{100 * rate:.1f} %" in page, rate
    assert f"{len(impostor_pairs('everybody'))} pairs" in page
