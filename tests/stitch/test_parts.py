"""Masks of parts from landmarks and from a parser, in pictures and in crops."""

import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Faces
from likeness.pipelines.stitch import crop_faces, face_masks
from likeness.pipelines.stitch.parts import Parsed, masks_in_crops, part_masks


def one(scene):
    return Faces(((scene.face(160, 120, 140),),), 240, 320)


def square(parts):
    mask = torch.zeros(1, 240, 320)
    mask[:, 100:140, 200:260] = 1
    return mask


def test_without_a_parser_the_landmarks_draw_every_part(scene):
    mask, said = part_masks(one(scene), ("nose", "lips"), 0.01, 0.03)
    assert torch.equal(mask, face_masks(one(scene), ("nose", "lips"), 0.01, 0.03))
    assert said.startswith("1 face(s) in 1 picture(s): nose, lips from the landmarks")


def test_a_parser_draws_what_it_knows_and_the_landmarks_the_rest(scene):
    asked = []
    parsed = Parsed(("nose", "hair"), lambda parts: asked.append(parts) or square(parts))
    mask, said = part_masks(one(scene), ("nose", "jaw", "hair"), 0.0, 0.0, parsed)
    assert asked == [("nose", "hair")]
    assert torch.equal(mask, torch.maximum(face_masks(one(scene), ("jaw",), 0.0, 0.0), square(())))
    assert "jaw from the landmarks; nose, hair from face parsing" in said


def test_parsed_parts_grow_and_soften_by_the_width_of_the_face(scene):
    parsed = Parsed(("hair",), square)
    sizes = [part_masks(one(scene), ("hair",), grow, 0.0, parsed)[0][0, 120].sum() for grow in (-0.05, 0.0, 0.05)]
    assert [float(size) for size in sizes] == [60 - 14, 60, 60 + 14]
    soft = part_masks(one(scene), ("hair",), 0.0, 0.1, parsed)[0][0, 120]
    assert int(((soft > 0.03) & (soft < 0.97)).sum()) / 2 == pytest.approx(14, abs=3)


def test_parts_that_nobody_here_sees_are_refused_by_name(scene):
    with pytest.raises(InputError, match="do not show hair, hat: connect Load Face Parser"):
        part_masks(one(scene), ("nose", "hair", "hat"), 0.0, 0.0)
    with pytest.raises(InputError, match="turn on at least one"):
        part_masks(one(scene), (), 0.0, 0.0)


def test_a_mask_in_crop_space_is_what_the_crop_shows_of_it(scene):
    faces = one(scene)
    ramp = torch.linspace(0, 1, 320).view(1, 1, -1, 1).expand(1, 240, -1, 3)
    crops = crop_faces(ramp, faces, 96)
    masks = masks_in_crops(ramp[..., 0], crops)
    assert masks.shape == (1, 96, 96)
    inside = crops.masks[0] > 0.5
    torch.testing.assert_close(masks[0][inside], crops.images[0, ..., 0][inside], atol=1e-4, rtol=0)
    with pytest.raises(InputError, match="320 × 240"):
        masks_in_crops(torch.zeros(1, 100, 100), crops)
