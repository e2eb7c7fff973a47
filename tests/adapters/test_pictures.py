"""What vision towers are shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.adapters.families import FAMILIES
from likeness.pipelines.adapters.family import Family, VisionNeed
from likeness.pipelines.adapters.pictures import CLIP_MEAN, CLIP_STD, RECIPES, blank_pixels, prepare
from likeness.pipelines.adapters.pulid import VISION
from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.templates import TEMPLATES

POINTS = [(TEMPLATES["ffhq_512"] * 512).astype(np.float32)]


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
    pixels = prepare(need, crops(2), POINTS * 2, torch.ones(2, 512, 512))
    assert pixels.shape == (2, 3, need.size_px, need.size_px)
    assert torch.isfinite(pixels).all()
    assert RECIPES[need.picture].keep in ("all", "face and hair")


def test_an_aligned_crop_has_its_points_where_arcface_wants_them() -> None:
    marked = torch.zeros(1, 512, 512, 3)
    face = (TEMPLATES["arcface_112"] * 300 + np.array([90, 120])).astype(np.float32)
    x, y = face[2].round().astype(int)
    marked[0, y - 3 : y + 4, x - 3 : x + 4] = 1
    need = VisionNeed("clip_vit_h", "penultimate", "arcface_224", 224)
    found = undone(prepare(need, marked, [face]))[0, 0]
    grid = torch.stack(torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij"))
    centre = (grid * found).sum((1, 2)) / found.sum()
    expected = TEMPLATES["arcface_112"][2] * 224
    assert abs(centre[1] - expected[0]) < 0.6 and abs(centre[0] - expected[1]) < 0.6


def test_pulid_sees_a_grey_face_on_white() -> None:
    kept = torch.zeros(1, 512, 512)
    kept[:, 100:400, 100:400] = 1
    picture = undone(prepare(VISION, crops(), POINTS, kept))[0]
    torch.testing.assert_close(picture[:, :50], torch.ones(3, 50, 336))
    middle = picture[:, 150:180, 150:180]
    torch.testing.assert_close(middle[0], middle[2])
    at = round((165 + 0.5) * 512 / 336 - 0.5)
    red, green, blue = crops()[0, at, at].tolist()
    expected = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    assert abs(float(picture[0, 165, 165]) - expected) < 0.01


def test_a_missing_mask_or_one_of_another_size_is_named_with_what_it_must_show() -> None:
    with pytest.raises(InputError, match="face and hair.*none was given"):
        prepare(VISION, crops(), POINTS)
    with pytest.raises(InputError, match=r"\(1, 512, 512\).*\(1, 64, 64\)"):
        prepare(VISION, crops(), POINTS, torch.ones(1, 64, 64))


def test_bytes_and_floats_give_the_same_pixels() -> None:
    need = VisionNeed("clip_vit_h", "penultimate", "whole", 224)
    torch.testing.assert_close(prepare(need, crops(), POINTS), prepare(need, crops().float() / 255, POINTS))


def test_nobody_is_zero_after_normalisation_and_not_a_black_picture() -> None:
    need = VisionNeed("clip_vit_h", "penultimate", "whole", 224)
    assert torch.equal(blank_pixels(need), torch.zeros(1, 3, 224, 224))
    assert prepare(need, torch.zeros(1, 512, 512, 3), POINTS).abs().min() > 1
