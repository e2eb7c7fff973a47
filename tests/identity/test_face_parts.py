"""Other views of an identity's pictures: what other networks read is where they expect it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.adapters.pictures import RECIPES
from likeness.pipelines.errors import InputError
from likeness.pipelines.face import five_points
from likeness.pipelines.geometry.mesh import FACE_OVAL
from likeness.pipelines.geometry.templates import TEMPLATES, crop_from_image
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.face_parts import PARTS, aligned_references, convex_hull, part_masks
from likeness.pipelines.identity.identity import Identity


@pytest.fixture(scope="module")
def people(analysis: FaceAnalysis, astronaut: Tensor, hopper: Tensor) -> tuple[Identity, ...]:
    return tuple(build_identity(analysis, [photo], "someone", "test")[0] for photo in (astronaut, hopper))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(("template", "size"), [("arcface_112", 112), ("arcface_112", 224), ("arcface_128", 256)])
def test_a_marked_point_of_the_face_lies_where_the_template_says(
    people: tuple[Identity, ...], template: str, size: int
) -> None:
    identity = people[0]
    for number, (x, y) in enumerate(five_points(identity.landmarks[0])):
        crops = torch.zeros_like(identity.crops)
        left, top = round(float(x)), round(float(y))
        crops[0, top - 3 : top + 4, left - 3 : left + 4] = 255
        shown = aligned_references(replace(identity, crops=crops), template, size)[0, ..., 0]
        assert shown.shape == (size, size)
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        middle = [float((shown * axis).sum() / shown.sum()) for axis in (columns, rows)]
        # the template is fitted to five points at once, so each may be off by less than a tenth of the side
        assert np.abs(np.array(middle) - TEMPLATES[template][number] * size).max() < 0.08 * size
        face = identity.faces()[0][1]
        exact = crop_from_image(face, template, size) @ np.array([left, top, 1.0])
        assert np.abs(np.array(middle) - exact).max() < 0.5


def test_the_stored_alignment_comes_as_it_is(people: tuple[Identity, ...]) -> None:
    for identity in people:
        assert torch.equal(aligned_references(identity, "ffhq_512", 512), identity.pictures())


def test_every_recipe_of_the_adapters_has_an_alignment_that_exists() -> None:
    assert {recipe.template for recipe in RECIPES.values()} <= TEMPLATES.keys()


def test_a_crop_made_from_the_stored_one_is_the_crop_of_the_photo(
    analysis: FaceAnalysis, people: tuple[Identity, ...], astronaut: Tensor
) -> None:
    """Nothing that a recogniser reads is lost: the face in the second crop is the person of the photo."""
    crop = aligned_references(people[0], "arcface_112", 336)
    faces = analysis.embed(crop, analysis.detect(crop))
    assert len(faces.frames[0]) == 1
    vector = faces.frames[0][0].unit_embedding
    assert vector is not None
    assert cosine(vector, people[0].unit("dlib_resnet_128")) > 0.97


def test_the_face_is_inside_the_head_and_eyes_nose_and_mouth_inside_the_face(people: tuple[Identity, ...]) -> None:
    for identity in people:
        masks = {part: part_masks(identity, part)[0] for part in PARTS}
        assert all(set(mask.unique().tolist()) == {0.0, 1.0} for mask in masks.values())
        assert bool((masks["head"] >= masks["face"]).all())
        for part in ("eyes", "nose", "mouth"):
            assert bool((masks["face"] >= masks[part]).all()), part
            assert float(masks[part].sum()) < 0.25 * float(masks["face"].sum())
        assert float((masks["eyes"] * masks["mouth"]).sum()) == 0


def test_the_head_has_hair_above_the_face_and_neither_neck_nor_shoulders(people: tuple[Identity, ...]) -> None:
    for identity in people:
        oval = identity.landmarks[0][list(FACE_OVAL), :2]
        rows = part_masks(identity, "head")[0].sum(1).nonzero().flatten()
        height = float(oval[:, 1].max() - oval[:, 1].min())
        assert float(oval[:, 1].min()) - int(rows[0]) > 0.2 * height
        assert int(rows[-1]) <= float(oval[:, 1].max()) + 1


def test_an_unknown_part_is_refused_with_those_there_are(people: tuple[Identity, ...]) -> None:
    with pytest.raises(InputError, match="'hair'.*face, eyes, nose, mouth, head"):
        part_masks(people[0], "hair")


def test_a_convex_hull_is_the_outline_of_its_points_counted_around() -> None:
    square = np.array([(0, 0), (4, 0), (4, 3), (0, 3), (2, 1), (2, 0), (4, 0)], dtype=np.float64)
    hull = convex_hull(square)
    assert {tuple(point) for point in hull.tolist()} == {(0, 0), (4, 0), (4, 3), (0, 3)}
    x, y = hull.T
    assert abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2 == pytest.approx(12)
