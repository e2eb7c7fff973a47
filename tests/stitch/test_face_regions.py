"""Masks of parts of the face."""

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face, Faces
from likeness.pipelines.stitch import REGIONS, face_masks


def one(scene, width=140):
    return Faces(((scene.face(160, 120, width),),), 240, 320)


def at(mask, face, index):
    x, y = np.round(face.landmarks[index, :2]).astype(int)
    return float(mask[0, y, x])


@pytest.mark.parametrize(
    ("region", "inside", "outside"),
    [
        ("face", (1, 151, 199, 50, 280), ()),
        ("skin", (50, 280, 199, 1), (468, 12, 473)),
        ("forehead", (151,), (1, 13, 152)),
        ("brows", (52, 282), (1, 151, 159)),
        ("eyes", (468, 473), (1, 52, 13)),
        ("eye_area", (468, 473, 27), (1, 0)),
        ("nose", (1, 5, 195), (13, 50, 151)),
        ("lips", (12, 15), (1, 199, 50)),
        ("jaw", (199, 175), (1, 151, 50)),
    ],
)
def test_each_region_covers_its_own_points_and_not_the_others(scene, region, inside, outside):
    faces = one(scene)
    face = faces.frames[0][0]
    mask = face_masks(faces, (region,), feather=0.0)
    assert mask.shape == (1, 240, 320)
    assert all(at(mask, face, index) > 0.9 for index in inside), [at(mask, face, index) for index in inside]
    assert all(at(mask, face, index) < 0.1 for index in outside), [at(mask, face, index) for index in outside]


def test_the_opening_of_the_mouth_is_masked_when_it_is_open(scene):
    face = scene.face(160, 120, 140)
    face.landmarks[[14, 87, 178, 88, 95, 317, 402, 318, 324]] += np.array([0, 14, 0], dtype=np.float32)
    mask = face_masks(Faces(((face,),), 240, 320), ("mouth_interior",), feather=0.0)
    x, y = np.round((face.landmarks[13, :2] + face.landmarks[14, :2]) / 2).astype(int)
    assert float(mask[0, y, x]) == 1 and at(mask, face, 1) == 0


def test_regions_join_by_union(scene):
    faces = one(scene)
    both = face_masks(faces, ("nose", "lips"), feather=0.0)
    apart = torch.maximum(face_masks(faces, ("nose",), feather=0.0), face_masks(faces, ("lips",), feather=0.0))
    assert torch.equal(both, apart)


def test_growing_by_pixels_widens_the_mask_by_that_many(scene):
    faces = one(scene)
    areas = [face_masks(faces, grow=grow, feather=0.0, relative=False)[0] for grow in (-6, 0, 6)]
    widths = [int((area[120] > 0.5).sum()) for area in areas]
    assert widths[1] - widths[0] == pytest.approx(12, abs=1) and widths[2] - widths[1] == pytest.approx(12, abs=2)


def test_a_feather_is_as_wide_as_asked_and_centred_on_the_edge(scene):
    faces = one(scene)
    hard, soft = (face_masks(faces, feather=width, relative=False)[0, 120] for width in (0.0, 16.0))
    border = (soft > 0.03) & (soft < 0.97)
    assert int(border.sum()) / 2 == pytest.approx(16, abs=3)
    assert float(soft.sum()) == pytest.approx(float(hard.sum()), abs=1.0)


def test_relative_sizes_scale_with_the_face(scene):
    small, large = (face_masks(one(scene, width), grow=0.1, feather=0.05) for width in (60, 120))
    assert float(large.sum() / small.sum()) == pytest.approx(4, rel=0.08)


def test_faces_at_the_border_and_pictures_without_faces_are_ordinary(scene):
    faces = Faces(((scene.face(-5, 230, 100), scene.face(5000, 50, 80)), ()), 240, 320)
    mask = face_masks(faces)
    assert float(mask[0].max()) > 0.999 and float(mask[1].max()) == 0


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_of_every_size_stays_in_range(scene, region):
    for width in (6, 140):
        mask = face_masks(one(scene, width), (region,), grow=0.02, feather=0.05)
        assert 0 <= float(mask.min()) and float(mask.max()) <= 1


def test_unknown_regions_and_faces_without_a_mesh_are_refused(scene):
    with pytest.raises(InputError, match="beard"):
        face_masks(one(scene), ("beard",))
    five = scene.face(100, 100, 80)
    with pytest.raises(InputError, match="dense landmarks"):
        face_masks(Faces(((Face(five.bbox_xyxy, 1.0, five.landmarks5),),), 240, 320))
