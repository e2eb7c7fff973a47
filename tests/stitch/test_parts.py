"""Masks of parts from landmarks and from a parser, in pictures and in crops."""

import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Faces
from likeness.pipelines.stitch import crop_faces, face_masks
from likeness.pipelines.stitch.parts import (
    MASK_USES,
    Parsed,
    edges_from_text,
    masks_in_crops,
    part_masks,
    with_user_mask,
)
from likeness.pipelines.stitch.teeth import teeth_masks


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


def test_a_part_can_have_an_edge_of_its_own(scene):
    faces = one(scene)
    own = edges_from_text("lips 0.05 0.1\n\n  nose 0 0")
    assert own == {"lips": (0.05, 0.1), "nose": (0.0, 0.0)}
    mask, _ = part_masks(faces, ("nose", "lips", "jaw"), 0.0, 0.02, own=own)
    apart = [
        face_masks(faces, ("nose",), 0, 0),
        face_masks(faces, ("lips",), 0.05, 0.1),
        face_masks(faces, ("jaw",), 0, 0.02),
    ]
    assert torch.equal(mask, torch.stack(apart).amax(0))


@pytest.mark.parametrize("line", ["lips", "lips 0.1", "lips a b", "lips 0.9 0", "lips 0 -1", "lips 0 0 0"])
def test_a_line_that_is_no_edge_is_named(line):
    with pytest.raises(InputError, match="Line 2 of per_part"):
        edges_from_text(f"nose 0 0\n{line}")


def test_an_edge_for_a_part_that_is_off_is_refused(scene):
    with pytest.raises(InputError, match="lips, which is not on"):
        part_masks(one(scene), ("nose",), 0.0, 0.0, own={"lips": (0.0, 0.0)})


def test_a_users_mask_is_added_removed_or_the_limit(scene):
    nose, user = face_masks(one(scene), ("nose",), feather=0.0), square(())
    added, removed, within = (with_user_mask(nose, user, use) for use in MASK_USES)
    assert torch.equal(added, torch.maximum(nose, user))
    assert torch.equal(removed + within, nose) and float((removed * user).max()) == 0
    with pytest.raises(InputError, match="Your mask"):
        with_user_mask(nose, user[:, :100], "add")


def test_teeth_are_the_bright_and_uncoloured_part_of_an_open_mouth(scene):
    face = scene.face(160, 120, 140)
    face.landmarks[[14, 87, 178, 88, 95, 317, 402, 318, 324], 1] += 24
    faces = Faces(((face,),), 240, 320)
    picture = torch.tensor([0.8, 0.6, 0.5]).expand(1, 240, 320, 3).clone()
    opening = face_masks(faces, ("mouth_interior",), feather=0.0)[0] > 0.5
    rows = torch.nonzero(opening.any(1)).flatten()
    middle = int(rows.float().mean())
    picture[0][opening] = torch.tensor([0.55, 0.2, 0.2])
    upper = opening.clone()
    upper[middle:] = False
    picture[0][upper] = torch.tensor([0.75, 0.72, 0.66])
    teeth = teeth_masks(picture, faces, feather=0.0)[0]
    assert float(teeth[upper].mean()) > 0.9 and float(teeth[opening & ~upper].max()) < 0.05
    assert float(teeth[~opening].max()) == 0
    with pytest.raises(InputError, match="same pictures"):
        teeth_masks(picture[:, :100], faces)
