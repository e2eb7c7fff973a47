"""Building an identity from real photos: the right face, honest weights, outliers named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import BuildReport, build_identity, picture_sha256
from likeness.pipelines.identity.identity import Identity, likeness


def smaller(photo: Tensor, side_px: int) -> Tensor:
    height, width = photo.shape[1:3]
    scale = side_px / max(height, width)
    size = (round(height * scale), round(width * scale))
    return F.interpolate(photo.movedim(3, 1), size=size, mode="area").movedim(1, 3)


def blurred(photo: Tensor, sigma_px: float) -> Tensor:
    return gaussian_blur2d(photo.movedim(3, 1), (25, 25), (sigma_px, sigma_px)).movedim(1, 3)


def side_by_side(*photos: Tensor) -> Tensor:
    """Photos of one height in one picture; lower ones stand on black."""
    height = max(photo.shape[1] for photo in photos)
    return torch.cat([F.pad(photo, (0, 0, 0, 0, 0, height - photo.shape[1])) for photo in photos], dim=2)


def weights(report: BuildReport) -> list[float]:
    return [reference.weight for reference in report.references]


def is_person(analysis: FaceAnalysis, identity: Identity, photo: Tensor) -> float:
    name = analysis.recogniser.name
    person, _ = build_identity(analysis, [photo], "reference")
    return likeness(analysis.recogniser, identity.raw(name), person)[1]


@pytest.fixture(scope="module")
def built(analysis: FaceAnalysis, astronaut: Tensor, hopper: Tensor) -> tuple[Identity, BuildReport]:
    photos = [astronaut, astronaut.flip(2), blurred(astronaut, 2), smaller(astronaut, 160), hopper, astronaut]
    return build_identity(analysis, photos, "Eileen", "public domain")


def test_one_photo_is_enough(analysis: FaceAnalysis, hopper: Tensor) -> None:
    identity, report = build_identity(analysis, [hopper], "Grace", "U.S. Navy, public domain")
    assert identity.weights.tolist() == [1.0] and identity.name == "Grace"
    assert identity.sources_sha256 == (picture_sha256(hopper[0]),)
    assert identity.encoders == (analysis.recogniser.name,) and identity.vectors[0].licence
    assert report.text.startswith("Identity 'Grace': 1 of 1 photo(s) used")


def test_a_stranger_is_rejected_by_name_and_number(built: tuple[Identity, BuildReport]) -> None:
    identity, report = built
    stranger = report.references[4]
    assert not stranger.used and stranger.weight == 0
    assert "photo 5 of 6: rejected: it looks like another person" in report.text
    assert stranger.quality is not None and stranger.quality.distance > 0.56
    assert len(identity) == 4


def test_the_same_picture_twice_counts_once(built: tuple[Identity, BuildReport]) -> None:
    assert built[1].references[5].reason == "the same picture as photo 1 of 6"


def test_sharp_and_large_references_weigh_more(built: tuple[Identity, BuildReport]) -> None:
    identity, report = built
    sharp, flipped, soft, small = weights(report)[:4]
    assert sharp == pytest.approx(flipped, rel=0.1)
    assert sharp > 2.5 * soft and sharp > 1.5 * small
    assert sum(weights(report)) == pytest.approx(1, abs=1e-5)
    assert np.allclose(identity.weights, weights(report)[:4], atol=1e-6)


def test_every_part_of_a_weight_is_in_the_report(built: tuple[Identity, BuildReport]) -> None:
    first = built[1].references[0]
    assert first.quality is not None
    assert first.quality.inter_eye_px == pytest.approx(43, abs=3)
    for word in ("sharpness", "size", "px between the eyes", "yaw", "pitch", "agreement", "distance"):
        assert word in first.text


def test_a_batch_of_photos_equals_the_photos_one_by_one(analysis: FaceAnalysis, astronaut: Tensor) -> None:
    other = blurred(astronaut, 1)
    together, _ = build_identity(analysis, [torch.cat([astronaut, other])], "Eileen")
    apart, _ = build_identity(analysis, [astronaut, other], "Eileen")
    name = analysis.recogniser.name
    assert np.allclose(together.raw(name), apart.raw(name), atol=1e-4)
    assert together.sources_sha256 == apart.sources_sha256


def test_the_person_of_most_photos_is_picked_from_a_group(
    analysis: FaceAnalysis, astronaut: Tensor, hopper: Tensor
) -> None:
    group = side_by_side(astronaut, smaller(hopper, 620))
    faces = analysis.detect(group).frames[0]
    assert len(faces) == 2 and faces[0].center[0] > 512, "the admiral is the larger face"
    picked, report = build_identity(analysis, [group, blurred(astronaut, 1)], "Eileen", pick="agreement")
    assert is_person(analysis, picked, astronaut) > 0.9 and len(picked) == 2
    assert "photo 1 of 2: weight" in report.text and "face 2 of 2" in report.references[0].text
    largest, report = build_identity(analysis, [group], "Grace", pick="largest")
    assert is_person(analysis, largest, hopper) > 0.9 and "face 1 of 2" in report.references[0].text


def test_center_picks_the_face_in_the_middle(analysis: FaceAnalysis, astronaut: Tensor, hopper: Tensor) -> None:
    group = side_by_side(astronaut, smaller(hopper, 620), F.pad(astronaut[:, :, :200] * 0, (0, 0, 0, 600)))
    middle, _ = build_identity(analysis, [group], "Grace", pick="center")
    assert is_person(analysis, middle, hopper) > 0.9
    with pytest.raises(InputError, match="'best'.*agreement, largest, center"):
        build_identity(analysis, [group], "Grace", pick="best")  # type: ignore[arg-type]


def test_a_photo_without_a_face_is_named(analysis: FaceAnalysis, astronaut: Tensor) -> None:
    wall = torch.full((1, 256, 256, 3), 0.5)
    with pytest.raises(FaceNotFoundError, match=r"Photo 2 of 2: no face above the threshold 0\.50 in its 256 × 256 px"):
        build_identity(analysis, [astronaut, wall], "Eileen")
    identity, report = build_identity(analysis, [astronaut, wall], "Eileen", skip_faceless=True)
    assert len(identity) == 1 and "photo 2 of 2: rejected: no face" in report.text
    with pytest.raises(FaceNotFoundError, match=r"No photo is left(.|\n)*photo 1 of 1: rejected: no face"):
        build_identity(analysis, [wall], "nobody", skip_faceless=True)


def test_a_face_below_the_threshold_is_reported_with_its_score(analysis: FaceAnalysis, astronaut: Tensor) -> None:
    score = analysis.detect(astronaut).frames[0][0].score
    assert score < 1
    with pytest.raises(FaceNotFoundError, match=f"best candidate scores {score:.2f}"):
        build_identity(analysis, [astronaut], "Eileen", threshold=1.0)


def test_no_photo_at_all_says_so(analysis: FaceAnalysis, astronaut: Tensor) -> None:
    for photos in ([], [astronaut[:0]]):
        with pytest.raises(InputError, match="no photo"):
            build_identity(analysis, photos, "nobody")


def test_alpha_and_sixteen_photos_in_one_batch_are_ordinary(analysis: FaceAnalysis, astronaut: Tensor) -> None:
    alpha = torch.cat([smaller(astronaut, 256), torch.ones(1, 256, 256, 1)], dim=3)
    identity, _ = build_identity(analysis, [alpha], "Eileen")
    assert identity.crops.shape == (1, 512, 512, 3)
    brighter = torch.cat([smaller(astronaut, 384) * (0.8 + 0.01 * step) for step in range(16)])
    identity, report = build_identity(analysis, [brighter], "Eileen")
    assert len(identity) == 16 and max(weights(report)) < 1.5 / 16
