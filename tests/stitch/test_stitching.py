"""Crop, change, put back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import FaceCrops, Faces
from likeness.pipelines.geometry.templates import TEMPLATES
from likeness.pipelines.geometry.transforms import invert, transform_points
from likeness.pipelines.stitch import BLENDS, Finish, crop_faces, stitch_faces


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("size", [64, 200, 512])
@pytest.mark.parametrize("zoom", [0.8, 1.0, 2.0])
def test_unchanged_crops_give_the_picture_back_to_rounding(scene, blend, size, zoom):
    crops = crop_faces(scene.images, scene.faces, size, zoom=zoom)
    result, mask = stitch_faces(scene.images, crops, blend)
    assert float((result - scene.images).abs().max()) <= 1e-6 and float(mask.max()) > 0.9


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("mask", ["box", "face"])
def test_outside_the_mask_not_one_bit_changes(scene, blend, mask):
    crops = crop_faces(scene.images, scene.faces, 128, mask=mask)
    result, used = stitch_faces(scene.images, crops.with_images(torch.rand_like(crops.images)), blend)
    outside = used == 0
    assert torch.equal(result[outside], scene.images[outside])
    assert 0.02 < float((used > 0).float().mean()) < 0.9
    assert float((result[used > 0.99] - scene.images[used > 0.99]).abs().mean()) > 0.05


def test_a_crop_of_one_colour_arrives_at_full_opacity_where_the_mask_is_one(scene):
    crops = crop_faces(scene.images, scene.faces, 128)
    result, mask = stitch_faces(scene.images, crops.with_images(torch.full_like(crops.images, 0.25)))
    assert torch.allclose(result[mask == 1], torch.tensor(0.25), atol=1e-6) and int((mask == 1).sum()) > 1000


@pytest.mark.parametrize("size", [96, 300])
def test_processed_crops_of_another_size_land_in_the_same_place(scene, size):
    faces = Faces((scene.faces.frames[0][:1], ()), 240, 320)
    crops = crop_faces(scene.images, faces, 128)
    spot = torch.zeros(1, 128, 128, 3)
    spot[0, 60:68, 60:68] = 1
    larger = torch.nn.functional.interpolate(spot.permute(0, 3, 1, 2), size=(size, size), mode="area").permute(
        0, 2, 3, 1
    )
    blank = torch.zeros_like(scene.images)
    y, x = torch.meshgrid(torch.arange(240.0), torch.arange(320.0), indexing="ij")

    def centre(result):
        weight = result[0, :, :, 0]
        return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())

    same, _ = stitch_faces(blank, crops.with_images(spot))
    other, _ = stitch_faces(blank, crops.with_images(larger))
    assert centre(same) == pytest.approx(centre(other), abs=0.05)
    inside = transform_points(invert(crops.crop_from_image[0]), [[63.5, 63.5]])[0]
    assert centre(same) == pytest.approx(tuple(inside), abs=0.1)


def test_values_keep_more_than_eight_bits(scene):
    crops = crop_faces(scene.images, scene.faces, 128)
    result, mask = stitch_faces(scene.images, crops.with_images(torch.full_like(crops.images, 0.123456)))
    assert torch.allclose(result[mask == 1], torch.tensor(0.123456), atol=1e-6)


def test_the_later_of_two_overlapping_faces_lies_on_top(scene):
    one, two = scene.face(120, 120, 100), scene.face(150, 120, 100)
    faces = Faces(((one, two),), 240, 320)
    crops = crop_faces(scene.images[:1], faces, 128)
    coloured = crops.with_images(torch.stack([torch.full((128, 128, 3), value) for value in (0.2, 0.9)]))
    result, _ = stitch_faces(scene.images[:1], coloured)
    assert result[0, 120, 135].tolist() == pytest.approx([0.9] * 3, abs=1e-5)


def test_an_unchanged_crop_leaves_the_work_of_an_overlapping_one(scene):
    faces = Faces(((scene.face(120, 120, 100), scene.face(150, 120, 100)),), 240, 320)
    crops = crop_faces(scene.images[:1], faces, 128)
    changed = crops.images.clone()
    changed[0] = 0.2
    both, _ = stitch_faces(scene.images[:1], crops.with_images(changed))
    first = replace(
        crops,
        images=changed[:1],
        masks=crops.masks[:1],
        crop_from_image=crops.crop_from_image[:1],
        frame=crops.frame[:1],
        faces=crops.faces[:1],
    )
    alone, _ = stitch_faces(scene.images[:1], first)
    assert torch.allclose(both, alone, atol=1e-6)


def test_only_what_changed_in_a_crop_touches_the_picture(scene):
    crops = crop_faces(scene.images, scene.faces, 400)
    images = crops.images.clone()
    images[:, 160:240, 160:240] = 0.5
    result, used = stitch_faces(scene.images, crops.with_images(images))
    touched = (result - scene.images).abs().amax(-1) > 1e-6
    assert float(used.max()) == 1 and 0.2 < float(touched[0].sum()) / float((used[0] > 0.5).sum()) * 25 < 3
    matrix = crops.crop_from_image[0]
    places = transform_points(matrix, torch.nonzero(touched[0]).flip(1).numpy())
    other = transform_points(crops.crop_from_image[1], torch.nonzero(touched[0]).flip(1).numpy())
    near = [np.abs(part - 199.5).max(1) for part in (places, other)]
    assert float(np.minimum(*near).max()) < 41


@pytest.mark.parametrize("angle", [0.0, 0.7, 1.6, 3.1, -2.4])
@pytest.mark.parametrize("size", [64, 300, 900])
def test_strips_give_the_same_as_the_whole_crop_at_any_angle(scene, angle, size):
    faces = Faces(((scene.face(150, 120, 110, angle),), ()), 240, 320)
    crops = crop_faces(scene.images, faces, size, mask="face")
    crops = crops.with_images(torch.rand(1, size, size, 3))
    result, used = stitch_faces(scene.images, crops)
    whole, same = stitch_faces(scene.images, crops, mask=torch.ones(2, 240, 320), finish=Finish(grain=1e-9))
    assert torch.allclose(used, same, atol=1e-6) and torch.allclose(result, whole, atol=2e-6)
    assert 0.05 < float((used[0] > 0).float().mean()) < 0.5


def test_crops_on_the_pictures_own_pixels_are_pasted_exactly(scene):
    window = torch.rand(1, 40, 40, 3)
    matrix = np.array([[[1.0, 0, -50], [0, 1, -60]]])
    face = scene.faces.frames[0][0]
    crops = FaceCrops(window, torch.ones(1, 40, 40), matrix, (1,), (face,), 240, 320)
    result, mask = stitch_faces(scene.images, crops)
    assert torch.allclose(result[1, 60:100, 50:90], window[0], atol=1e-6)
    assert torch.equal(result[0], scene.images[0]) and float(mask.sum()) == 1600


def test_a_window_that_hangs_over_the_border_is_cut(scene):
    matrix = np.array([[[1.0, 0, 20], [0, 1, -220]]])
    crops = FaceCrops(torch.rand(1, 40, 40, 3), torch.ones(1, 40, 40), matrix, (0,), scene.faces.frames[1], 240, 320)
    result, mask = stitch_faces(scene.images, crops)
    assert float(mask[0, 220:, :20].min()) == 1 and float(mask.sum()) == 400
    assert torch.allclose(result[0, 220:, :20], crops.images[0, :20, 20:], atol=1e-6)


def test_a_user_mask_and_the_alpha_channel_stay(scene):
    images = torch.cat([scene.images, torch.rand(2, 240, 320, 1)], -1)
    limit = torch.zeros(2, 240, 320)
    limit[:, :120] = 1
    crops = crop_faces(images, scene.faces, 128)
    result, mask = stitch_faces(images, crops.with_images(torch.zeros_like(crops.images)), mask=limit)
    assert torch.equal(result[:, 120:], images[:, 120:]) and torch.equal(result[..., 3], images[..., 3])
    assert float(mask[:, :120].max()) == 1


def test_landmarks_lie_on_the_template_and_come_back_within_a_hundredth_of_a_pixel(scene):
    crops = crop_faces(scene.images, scene.faces, 256)
    for face, matrix in zip(crops.faces, crops.crop_from_image, strict=True):
        in_crop = transform_points(matrix, face.landmarks5)
        assert np.abs(in_crop - TEMPLATES["ffhq_512"] * 256).max() < 20
        assert np.abs(transform_points(invert(matrix), in_crop) - face.landmarks5).max() < 0.01


def test_a_batch_equals_its_members(scene):
    crops = crop_faces(scene.images, scene.faces, 96)
    alone = crop_faces(scene.images[1:], Faces(scene.faces.frames[1:], 240, 320), 96)
    assert torch.equal(crops.images[2:], alone.images) and torch.equal(crops.masks[2:], alone.masks)


def test_pictures_without_faces_come_back_as_they_are(scene):
    crops = crop_faces(scene.images, Faces(((), ()), 240, 320), 96)
    result, mask = stitch_faces(scene.images, crops)
    assert crops.images.shape == (0, 96, 96, 3) and torch.equal(result, scene.images) and float(mask.max()) == 0


def test_an_empty_mask_and_a_mask_of_one_pixel_are_ordinary(scene):
    crops = crop_faces(scene.images, scene.faces, 96)
    single = torch.zeros_like(crops.masks)
    assert torch.equal(stitch_faces(scene.images, crops.with_masks(single))[0], scene.images)
    single[:, 48, 48] = 1
    result, mask = stitch_faces(scene.images, crops.with_masks(single).with_images(torch.zeros_like(crops.images)))
    assert torch.equal(result[mask == 0], scene.images[mask == 0]) and bool(torch.isfinite(result).all())


def test_what_does_not_belong_together_is_refused_with_the_numbers(scene):
    crops = crop_faces(scene.images, scene.faces, 64)
    with pytest.raises(InputError, match="100 × 100"):
        stitch_faces(torch.rand(2, 100, 100, 3), crops)
    with pytest.raises(InputError, match="only 1"):
        stitch_faces(scene.images[:1], crops)
    with pytest.raises(InputError, match=r"\(2, 5, 5\)"):
        stitch_faces(scene.images, crops, mask=torch.ones(2, 5, 5))
    with pytest.raises(InputError, match="multiband"):
        stitch_faces(scene.images, crops, "glue")
    with pytest.raises(InputError, match="ffhq_512"):
        crop_faces(scene.images, scene.faces, 64, template="nothing")
    with pytest.raises(InputError, match="at least 16 px"):
        crop_faces(scene.images, scene.faces, 8)
    with pytest.raises(InputError, match="100 × 90"):
        crop_faces(torch.rand(2, 90, 100, 3), scene.faces, 64)
    with pytest.raises(InputError, match="2"):
        crop_faces(scene.images[:1], scene.faces, 64)


@pytest.mark.parametrize("blend", BLENDS)
def test_no_blend_leaves_the_range_of_the_picture(scene, blend):
    picture = scene.images * (torch.rand_like(scene.images[..., :1]) > 0.2)  # black spots all over
    crops = crop_faces(picture, scene.faces, 128, mask="face")
    result, _ = stitch_faces(picture, crops.with_images((crops.images * 1.5).clamp(0, 1)), blend)
    assert float(result.min()) >= 0 and float(result.max()) <= 1
