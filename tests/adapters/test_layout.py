"""Who stands where: regions of several people."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from likeness.pipelines.adapters.layout import (
    Layout,
    centre,
    draw_regions,
    masks_of_boxes,
    masks_of_drawing,
    soft,
)
from likeness.pipelines.adapters.seating import (
    assign_regions,
    best_pairs,
    face_nearness,
    face_shares,
    lay_out,
    seat,
)
from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, Faces, as_float_array
from likeness.pipelines.identity.identity import EncodedReferences, Identity
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


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (2, 4), (3, 3), (4, 5), (3, 2)])
def test_pairs_are_as_good_as_the_best_of_all_combinations(rows: int, columns: int) -> None:
    for seed in range(20):
        scores = np.random.default_rng(seed).normal(size=(rows, columns))
        found = best_pairs(scores)
        used = [column for column in found if column >= 0]
        assert len(set(used)) == len(used) == min(rows, columns)
        wide = scores if rows <= columns else scores.T
        best = max(
            sum(wide[row, column] for row, column in enumerate(order))
            for order in permutations(range(wide.shape[1]), wide.shape[0])
        )
        assert sum(scores[row, column] for row, column in enumerate(found) if column >= 0) == pytest.approx(best)


def test_two_people_sit_where_the_best_of_all_combinations_puts_them() -> None:
    """Faces by likeness, then regions by nearness, each against every combination there is."""
    for seed in range(30):
        random = np.random.default_rng(seed)
        chances, nearness = random.random((2, 3)), random.random((3, 4))
        regions, faces = seat(chances, nearness)
        best_faces = max(permutations(range(3), 2), key=lambda order: chances[0, order[0]] + chances[1, order[1]])
        assert tuple(faces) == best_faces
        best_regions = max(
            permutations(range(4), 2), key=lambda order: nearness[faces[0], order[0]] + nearness[faces[1], order[1]]
        )
        assert tuple(regions) == best_regions


def test_the_likeliest_face_of_two_people_goes_to_the_one_who_loses_less_without_it() -> None:
    chances = np.array([[0.9, 0.1], [0.95, 0.7]])
    regions, faces = seat(chances, np.eye(2))
    assert faces == [0, 1] and regions == [0, 1]


def test_who_is_not_seen_gets_the_region_that_is_left() -> None:
    regions, faces = seat(np.array([[0.2], [0.9]]), np.array([[0.9, 0.1]]))
    assert faces == [-1, 0] and regions == [1, 0]


def test_a_face_outside_all_regions_has_a_nearest_one() -> None:
    masks = torch.zeros(2, 100, 200)
    masks[0, 60:, :60], masks[1, 60:, 140:] = 1, 1
    shares = face_shares(face(150, 0, 190, 40), masks, 100, 200)
    nearness = face_nearness(face(150, 0, 190, 40), masks, 100, 200)
    assert shares.max() == 0 and nearness[1] > nearness[0] > 0
    inside = face_nearness(face(10, 70, 40, 95), masks, 100, 200)
    assert inside[0] > 0.95 and inside[1] < 0.1


class Recogniser:
    """Knows people by the one number that their vectors start with."""

    name, licence, commercial_use, dimension = "by brightness", "", True, 512

    def embed(self, images: torch.Tensor, faces: Faces) -> np.ndarray:
        rows = [images[index, int(f.bbox_xyxy[1]), int(f.bbox_xyxy[0]), 0] for index, f in faces]
        return np.array([[float(value)] * 512 for value in rows], np.float32)

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(abs(a[0] - b[0]))

    def probability(self, distance: float) -> float:
        return 1 - distance


class Analysis:
    """Finds two faces, the right one first."""

    recogniser = Recogniser()

    def detect(self, picture: torch.Tensor) -> Faces:
        return Faces(((face(60, 10, 90, 40), face(5, 10, 35, 40)),), 64, 96)


def test_people_are_seated_by_the_faces_in_a_picture_whatever_their_order() -> None:
    picture = torch.full((1, 64, 96, 3), 0.2)
    picture[:, :, 48:] = 0.8

    def known(value: float, name: str) -> Identity:
        vector = EncodedReferences("by brightness", "", np.full((1, 512), value, np.float32))
        return replace(somebody(name, 1), vectors=(vector,))

    people = [known(0.25, "left"), known(0.7, "right")]
    for order in (people, people[::-1]):
        regions, text = lay_out(order, Layout("masks", halves(), feather=0.0), "likeness", picture, Analysis())  # type: ignore[arg-type]
        assert regions.masks is not None
        for person, mask in zip(order, regions.masks, strict=True):
            assert (centre(mask)[0] < 48) == (person.name == "left")
        assert "likeness 0.95" in text and "likeness 0.90" in text


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


def test_a_soft_brush_leaves_no_regions_of_its_own_along_its_edge() -> None:
    x = torch.arange(200.0)
    drawing = torch.zeros(120, 200, 3)
    drawing[20:100, :, 1] = ((40 - (x - 50).abs()) / 20).clamp(0, 1)
    drawing[20:100] += (((40 - (x - 150).abs()) / 20).clamp(0, 1))[:, None]
    masks = masks_of_drawing(drawing)
    assert len(masks) == 2 and masks.max() == 1
    centres = sorted(centre(mask)[0] for mask in masks)
    assert centres == pytest.approx([50, 150], abs=1)
    assert all(60 * 80 <= float(mask.sum()) <= 80 * 80 for mask in masks)


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
