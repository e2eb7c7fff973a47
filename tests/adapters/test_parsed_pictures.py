"""What towers are shown of a face when face parsing is there, as the families' references prepare it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.adapters.consistentid import PARTS
from likeness.pipelines.adapters.features import Sources, parser_of, person_features
from likeness.pipelines.adapters.kept_parts import face_part_pictures, kept_parts, parsed_parts
from likeness.pipelines.adapters.masterweaver import MASTERWEAVER
from likeness.pipelines.adapters.pictures import CLIP_MEAN, CLIP_STD, RECIPES, prepare
from likeness.pipelines.adapters.pulid import VISION
from likeness.pipelines.adapters.wplus import WPLUS
from likeness.pipelines.identity.identity import Identity
from likeness.pipelines.identity.parsing import CLASSES
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.adapters.sample_people import somebody
from likeness.tests.adapters.test_features import Vision
from likeness.tests.identity.parser_files import colour_parser, painted, save_parser


def bands() -> Tensor:
    """(1, 512, 512): every class as a band of rows."""
    rows = torch.arange(512) * len(CLASSES) // 512
    return rows.view(1, -1, 1).expand(1, 512, 512)


def banded() -> Identity:
    crops = (painted(bands()) * 255).round().to(torch.uint8)
    return replace(somebody(references=1, encoders=("arcface_glintr100",)), crops=crops)


def classes_of(kept: Tensor) -> set[str]:
    return {CLASSES[int(label)] for label in bands()[kept > 0.5].unique()}


@pytest.mark.parametrize(
    ("picture", "gone"),
    [
        ("pulid_face", {"background", "hat", "cloth", "l_ear", "r_ear", "ear_r", "neck", "neck_l"}),
        ("ffhq_face_only", {"background", "neck", "neck_l", "cloth", "hat"}),
        ("ffhq_256", {"background", "cloth"}),
    ],
)
def test_the_classes_that_a_reference_blanks_are_blanked_and_no_others(picture: str, gone: set[str]) -> None:
    kept = parsed_parts(RECIPES[picture], banded(), colour_parser())
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert classes_of(kept) == set(CLASSES) - gone


def bicubic(picture: np.ndarray, size: int, at: int) -> float:
    """One sample of a line of pixels resampled without antialiasing: Keys' kernel with a = -0.75, edges repeated."""
    place = (at + 0.5) * len(picture) / size - 0.5
    first = int(np.floor(place)) - 1
    total = 0.0
    for tap in range(first, first + 4):
        x = abs(place - tap)
        a = -0.75
        weight = (a + 2) * x**3 - (a + 3) * x**2 + 1 if x <= 1 else a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        total += weight * picture[min(max(tap, 0), len(picture) - 1)]
    return total


def test_pulid_is_shown_grey_on_white_resampled_as_its_reference_does_overshoot_included() -> None:
    person = banded()
    kept, said = kept_parts(RECIPES["pulid_face"], person, None, colour_parser())
    assert kept is not None and "face parsing (by colour)" in said
    pixels = prepare(VISION, person.pictures(), kept)
    line = person.pictures()[0, :, 0].double().numpy() @ np.array([0.299, 0.587, 0.114])
    line = np.where(kept[0, :, 0].numpy() > 0.5, line, 1.0)
    for channel in range(3):
        expected = np.array([(bicubic(line, 336, at) - CLIP_MEAN[channel]) / CLIP_STD[channel] for at in range(336)])
        np.testing.assert_allclose(pixels[0, channel, :, 200].numpy(), expected, atol=1e-4)
    white = (1 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    assert (pixels[0].amax((1, 2)) > white + 1e-3).all()  # the reference does not clamp what bicubic overshoots


def test_a_given_mask_goes_before_the_parser_and_the_parser_before_the_outline() -> None:
    person, recipe = banded(), RECIPES["ffhq_face_only"]
    given, said = kept_parts(recipe, person, torch.ones(1, 512, 512), colour_parser())
    assert given is not None and given.min() == 1 and "given mask" in said
    assert "face parsing" in kept_parts(recipe, person, None, colour_parser())[1]
    assert "outline from the landmarks" in kept_parts(recipe, person, None, None)[1]


def test_without_a_parser_wplus_keeps_the_background_and_says_so() -> None:
    kept, said = kept_parts(RECIPES["ffhq_256"], banded(), None, None)
    assert kept is None and "background left in" in said


def test_wplus_is_shown_a_softened_person_on_white() -> None:
    person = banded()
    kept = parsed_parts(RECIPES["ffhq_256"], person, colour_parser())
    assert WPLUS.vision is not None
    picture = prepare(WPLUS.vision, person.pictures(), kept)[0] / 2 + 0.5
    assert picture.shape == (3, 256, 256) and picture[:, :9].min() > 0.999
    edge = picture[1, 9:20, 100]  # green is 0.25 in the person
    assert ((edge > 0.26) & (edge < 0.99)).sum() == 3 and edge[-1] == pytest.approx(0.25, abs=0.01)


def test_fact_widens_the_head_by_a_twentieth_of_the_face_but_not_into_the_background() -> None:
    labels = torch.zeros(1, 512, 512, dtype=torch.int64)
    labels[:, 100:400, 100:500] = 16  # clothes around
    labels[:, 150:350, 150:350] = 1  # a face of 200 × 200
    labels[:, 150:350, 0:100] = 0
    person = replace(banded(), crops=(painted(labels) * 255).round().to(torch.uint8))
    kept = parsed_parts(RECIPES["head_112"], person, colour_parser())[0]
    rows = kept[:, 250].nonzero().flatten()
    # a square of 10 px, five before the point and four behind it
    assert (int(rows[0]), int(rows[-1])) == (150 - 4, 349 + 5)
    labels[:, 100:400, 100:149] = 0
    person = replace(person, crops=(painted(labels) * 255).round().to(torch.uint8))
    kept = parsed_parts(RECIPES["head_112"], person, colour_parser())[0]
    assert int(kept[250].nonzero()[0]) == 149


def test_a_cut_out_is_brought_into_the_alignment_of_its_tower_after_the_cut() -> None:
    """Rows that are blanked in the stored picture are black in the turned and smaller one."""
    person = banded()
    sources = Sources(Registry(TorchRuntime()), Vision(1024), parser=colour_parser())
    _, said = person_features(MASTERWEAVER, person, sources)
    assert "face and hair cut out by face parsing (by colour)" in said
    seen = sources.tower
    assert isinstance(seen, Vision)
    picture = seen.pixels[0] * torch.tensor(CLIP_STD).view(3, 1, 1) + torch.tensor(CLIP_MEAN).view(3, 1, 1)
    assert picture[:, :8].abs().max() < 0.01  # background
    assert picture[1, 30, 100] == pytest.approx(0.25, abs=0.01)


def test_consistentid_gets_ears_from_a_parser_and_only_parts_that_can_be_seen() -> None:
    masks, said = face_part_pictures(banded(), colour_parser())
    assert tuple(masks) == PARTS and "face parsing" in said
    assert classes_of(masks["ears"][None]) == {"l_ear", "r_ear"}
    assert classes_of(masks["mouth"][None]) == {"u_lip", "l_lip"}
    nobody = replace(banded(), crops=(painted(torch.ones(1, 512, 512)) * 255).to(torch.uint8))
    assert tuple(face_part_pictures(nobody, colour_parser())[0]) == ("face",)
    without, said = face_part_pictures(banded(), None)
    assert tuple(without) == ("face", "eyes", "nose", "mouth") and "landmarks" in said


def test_a_parser_file_that_is_present_is_used_without_being_asked_for(tmp_path: Path) -> None:
    entries = tuple(replace(e, size_bytes=None, sha256=None) for e in Manifest.load().entries)
    registry = Registry(TorchRuntime(model_folders={"": tmp_path}), Manifest(entries))
    assert parser_of(Sources(registry)) is None
    save_parser(tmp_path)
    found = parser_of(Sources(registry))
    assert found is not None and found.name == "bisenet"
    mine = colour_parser()
    assert parser_of(Sources(registry, parser=mine)) is mine
