"""Who stands where: regions of several people."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.adapters.layout import (
    Layout,
    assign_regions,
    centre,
    draw_regions,
    face_shares,
    lay_out,
    masks_of_boxes,
    masks_of_drawing,
    soft,
)
from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, Faces, as_float_array
from likeness.tests.adapters.sample_people import somebody

ADA, BOB = somebody("Ada", 1), somebody("Bob", 1, seed=1)


def halves(height: int = 64, width: int = 96) -> torch.Tensor:
    """The right half first."""
    masks = torch.zeros(2, height, width)
    masks[0, :, width // 2 :] = 1
    masks[1, :, : width // 2] = 1
    return masks


def face(x0: float, y0: float, x1: float, y1: float) -> Face:
    box = as_float_array(np.array([x0, y0, x1, y1]))
    return Face(box, 0.9, as_float_array(np.zeros((5, 2))))


def test_soft_regions_never_sum_above_one_and_keep_to_themselves() -> None:
    overlapping = torch.ones(2, 32, 32)
    shares = soft(overlapping, 0.0)
    assert torch.allclose(shares, torch.full((2, 32, 32), 0.5))
    masks = soft(halves(), 0.1)
    assert masks.sum(0).max() <= 1 + 1e-6
    assert masks[0, :, :40].max() < 1e-3 and masks[0, :, 60:].min() > 0.99


def test_left_to_right_gives_the_first_person_the_left_region() -> None:
    regions, text = assign_regions([ADA, BOB], halves(), "left to right")
    assert regions.masks is not None
    assert centre(regions.masks[0])[0] < centre(regions.masks[1])[0]
    assert text.splitlines()[0].startswith("Ada: region 1, 50 % of the picture")


def test_as_given_keeps_the_order_of_the_source_and_names_what_is_left_over() -> None:
    regions, text = assign_regions([ADA], halves(), "as given")
    assert regions.masks is not None and len(regions.masks) == 1
    assert centre(regions.masks[0])[0] > 48 and "1 region(s) left over" in text


def test_more_people_than_regions_is_an_error_with_both_numbers() -> None:
    with pytest.raises(InputError, match=r"2 people \(Ada, Bob\) but only 1 region"):
        assign_regions([ADA, BOB], halves()[:1], "left to right")


def test_nobody_or_an_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="connect at least one"):
        assign_regions([], halves(), "as given")
    with pytest.raises(InputError, match="'by size'"):
        assign_regions([ADA], halves(), "by size")


def test_likeness_needs_a_picture_and_an_analysis() -> None:
    with pytest.raises(InputError, match="a picture with the people's faces"):
        lay_out([ADA], Layout("masks", halves()), "likeness")


def test_a_face_region_is_larger_below_the_face_than_above() -> None:
    faces = Faces(((face(40, 30, 60, 50),),), 128, 100)
    mask = Layout("faces", faces, grow=0.6, feather=0.0).masks()[0]
    rows = mask.any(1).nonzero().flatten()
    assert 30 - rows.min() == pytest.approx(12, abs=1) and rows.max() - 50 == pytest.approx(24, abs=1)
    with pytest.raises(FaceNotFoundError):
        Layout("faces", Faces(((),), 128, 100)).masks()


def test_boxes_of_comfyui_are_read_flat_per_picture_or_alone() -> None:
    box = {"x": 10, "y": 20, "width": 30, "height": 5, "label": "a"}
    for given in (box, [box], [[box]]):
        mask = masks_of_boxes(given, 40, 60)
        assert mask.shape == (1, 40, 60) and mask.sum() == 150 and mask[0, 20:25, 10:40].min() == 1
    with pytest.raises(InputError, match="no boxes"):
        masks_of_boxes([[]], 40, 60)
    with pytest.raises(InputError, match="x, y, width and height"):
        masks_of_boxes([{"x": 1}], 40, 60)


def test_every_plain_colour_of_a_drawing_is_a_region_and_black_is_nobodys() -> None:
    drawing = torch.zeros(40, 60, 3)
    drawing[:, :20, 0] = 1
    drawing[:, 40:, 2] = 0.97
    drawing[0, 30] = 0.5  # a speck
    masks = masks_of_drawing(drawing)
    assert len(masks) == 2 and sorted(mask.sum().item() for mask in masks) == [800, 800]
    with pytest.raises(InputError, match="60 × 40 px has no coloured area"):
        masks_of_drawing(torch.zeros(40, 60, 3))


def test_masks_of_other_shapes_values_or_without_any_area_are_refused() -> None:
    with pytest.raises(InputError, match="values from 0 to 1"):
        Layout("masks", torch.full((2, 8, 8), 2.0)).masks()
    with pytest.raises(InputError, match=r"Region\(s\) 1 of 2 are empty"):
        Layout("masks", torch.stack([torch.ones(8, 8), torch.zeros(8, 8)])).masks()
    with pytest.raises(InputError, match="'clouds'"):
        Layout("clouds", None).masks()


def test_a_face_counts_for_the_region_it_lies_in_whatever_the_sizes() -> None:
    shares = face_shares(face(120, 20, 180, 60), halves(), 128, 192)
    np.testing.assert_allclose(shares, [1, 0])


def test_the_preview_has_a_colour_per_person() -> None:
    regions, _ = assign_regions([ADA, BOB], halves(), "left to right")
    picture = draw_regions(regions)
    assert picture.shape == (1, 64, 96, 3)
    assert (picture[0, 32, 10] - picture[0, 32, 90]).abs().max() > 0.5
