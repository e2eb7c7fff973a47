"""What vision towers are shown."""

from __future__ import annotations

import pytest
import torch

from likeness.pipelines.adapters.families import FAMILIES
from likeness.pipelines.adapters.family import Family, VisionNeed
from likeness.pipelines.adapters.pictures import CLIP_MEAN, CLIP_STD, RECIPES, blank_pixels, prepare
from likeness.pipelines.adapters.pulid import VISION
from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.templates import TEMPLATES


def crops(count: int = 1) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(512), torch.arange(512), indexing="ij")
    one = torch.stack([x / 2, y / 2, (x + y) / 4], dim=-1).to(torch.uint8)
    return one.expand(count, -1, -1, -1)


def undone(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return pixels * std + mean


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.vision], ids=lambda f: f.name)
def test_every_family_that_looks_at_pictures_has_a_recipe_for_them(family: Family) -> None:
    need = family.vision
    pixels = prepare(need, crops(2), torch.ones(2, 512, 512))
    assert pixels.shape == (2, 3, need.size_px, need.size_px)
    assert torch.isfinite(pixels).all()
    assert RECIPES[need.picture].keep in ("all", "face and hair")


def test_recipes_name_alignments_that_exist() -> None:
    assert {recipe.template for recipe in RECIPES.values()} <= set(TEMPLATES)


def test_pulid_sees_a_grey_face_on_white() -> None:
    kept = torch.zeros(1, 512, 512)
    kept[:, 100:400, 100:400] = 1
    picture = undone(prepare(VISION, crops(), kept))[0]
    torch.testing.assert_close(picture[:, :50], torch.ones(3, 50, 336))
    middle = picture[:, 150:180, 150:180]
    torch.testing.assert_close(middle[0], middle[2])
    at = round((165 + 0.5) * 512 / 336 - 0.5)
    red, green, blue = crops()[0, at, at].tolist()
    expected = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    assert abs(float(picture[0, 165, 165]) - expected) < 0.01


def test_a_missing_mask_or_one_of_another_size_is_named_with_what_it_must_show() -> None:
    with pytest.raises(InputError, match="face and hair.*none was given"):
        prepare(VISION, crops())
    with pytest.raises(InputError, match=r"\(1, 512, 512\).*\(1, 64, 64\)"):
        prepare(VISION, crops(), torch.ones(1, 64, 64))


def test_bytes_and_floats_give_the_same_pixels() -> None:
    need = VisionNeed("clip_vit_h", "penultimate", "whole", 224)
    torch.testing.assert_close(prepare(need, crops()), prepare(need, crops().float() / 255))


def test_nobody_is_zero_after_normalisation_and_not_a_black_picture() -> None:
    need = VisionNeed("clip_vit_h", "penultimate", "whole", 224)
    assert torch.equal(blank_pixels(need), torch.zeros(1, 3, 224, 224))
    assert prepare(need, torch.zeros(1, 512, 512, 3)).abs().min() > 1
