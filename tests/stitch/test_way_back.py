"""Crops back on the picture's own pixels: what is left out of the work must not show."""

import numpy as np
import pytest
import torch

from likeness.pipelines.face import Faces
from likeness.pipelines.geometry.transforms import invert, transform_points
from likeness.pipelines.stitch import crop_faces, stitch_faces, stitched_pictures
from likeness.pipelines.stitch.buffers import empty_like, zeros
from likeness.pipelines.stitch.patch import _has_kept
from likeness.pipelines.stitch.place import reach_of, solid_of


def _crop_from_image(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([turn, np.array([[x], [y]])], 1)


@pytest.mark.parametrize("angle", [0.0, 0.1, -0.7, 1.6, 3.1])
@pytest.mark.parametrize("size", [200, 512, 1400])
def test_a_large_face_is_the_same_where_its_mask_is_one_and_nothing_is_mixed(scene, angle, size):
    picture = torch.rand(1, 900, 800, 3)
    faces = Faces(((scene.face(400, 450, 520, angle),),), 900, 800)
    crops = crop_faces(picture, faces, size, mask="face")
    crops = crops.with_images(torch.rand(1, size, size, 3))
    result, used = stitch_faces(picture, crops)
    # a limit, even of ones, has every pixel mixed
    mixed, same = stitch_faces(picture, crops, mask=torch.ones(1, 900, 800))
    assert torch.allclose(used, same, atol=1e-6) and torch.allclose(result, mixed, atol=1e-6)
    assert int((used == 1).sum()) > 50_000


@pytest.mark.parametrize("angle", [0.0, 0.12, -0.5, 1.4, 3.0])
@pytest.mark.parametrize("scale", [0.3, 0.9, 1.8])
@pytest.mark.parametrize("holes", [0, 12])
def test_where_a_mask_is_called_solid_every_pixel_of_the_crop_that_meets_is_one(angle, scale, holes):
    generator = np.random.default_rng(holes)
    y, x = np.mgrid[:120, :100]
    mask = torch.from_numpy((np.hypot((x - 52) / 40, (y - 60) / 50) < 1).astype(np.float32))
    for row, column in generator.integers(20, 100, (holes, 2)):
        mask[row, min(column, 99)] = 0.5
    matrix = _crop_from_image(angle, scale, 31.3, 17.9)
    corners = transform_points(invert(matrix), [[0, 0], [99, 0], [0, 119], [99, 119]])
    low = np.arange(int(corners[:, 1].min()), int(corners[:, 1].max()), 6)
    high = low + 5
    solid = solid_of(mask).columns(matrix, low, high)
    below_one = torch.nonzero(mask < 1).flip(1).numpy()
    open_ = transform_points(invert(matrix), below_one)
    found = 0
    for top, bottom, (first, last) in zip(low, high, solid, strict=True):
        if last > first:
            found += last - first
            beside = np.maximum(np.maximum(first - open_[:, 0], open_[:, 0] - (last - 1)), 0)
            above = np.maximum(np.maximum(top - open_[:, 1], open_[:, 1] - bottom), 0)
            # nothing that is not 1 lies nearer than a pixel of the crop reaches
            assert np.hypot(beside, above).min() >= 1 / scale
            ends = transform_points(matrix, [[a, b] for a in (first, last - 1) for b in (top, bottom)])
            assert ends.min() >= 0 and (ends <= [99, 119]).all()
    if holes == 0 and abs(angle) < 0.2:
        assert found > 0.5 * 80 / scale * len(low) * 0.5


def test_the_pictures_of_a_video_are_those_that_come_with_a_mask(scene):
    crops = crop_faces(scene.images, scene.faces, 128)
    crops = crops.with_images(torch.rand_like(crops.images))
    assert torch.equal(stitched_pictures(scene.images, crops), stitch_faces(scene.images, crops)[0])


@pytest.mark.parametrize("size", [(64, 64), (61, 83), (8, 8), (5, 7)])
def test_a_block_that_stayed_as_it_was_is_found_and_a_smaller_place_is_not(size):
    height, width = size
    before = torch.rand(height, width, 3) * 0.5
    mask = torch.ones(height, width)
    assert not _has_kept(before + 0.2, before, mask)
    for y in range(0, height, 8):
        for x in range(0, width, 8):
            crop = before + 0.2
            crop[y : y + 8, x : x + 8] = before[y : y + 8, x : x + 8]
            assert _has_kept(crop, before, mask)
            assert not _has_kept(crop, before, torch.zeros(height, width))
            if y + 4 < height:
                crop[y + 4, x] += 0.1
                assert not _has_kept(crop, before, mask)


@pytest.mark.parametrize("count", [10, 3_000_000, 9_000_000])
def test_large_buffers_are_zero_and_of_the_shape_asked_for(count):
    for _ in range(2):
        made = zeros((1, count), torch.device("cpu"))
        assert made.shape == (1, count) and made.dtype == torch.float32 and float(made.abs().max()) == 0
        made.fill_(1)
    for dtype in (torch.float32, torch.float16):
        picture = torch.zeros(1, count // 10, 3, 2, dtype=dtype).transpose(1, 2)
        room = empty_like(picture)
        assert room.shape == picture.shape and room.dtype == dtype and room.is_contiguous()
        room.copy_(picture)


def test_an_empty_mask_reaches_nothing_and_a_full_one_everything():
    assert reach_of(torch.zeros(5, 6)) is None
    reach = reach_of(torch.ones(5, 6))
    assert (reach.rows == np.arange(5)).all() and (reach.left == 0).all() and (reach.right == 5).all()


def test_two_threads_stitch_the_same_bits_as_one(scene):
    crops = crop_faces(scene.images, scene.faces, 300)
    crops = crops.with_images(torch.rand_like(crops.images))
    alone = stitch_faces(scene.images, crops)
    torch.set_num_threads(2)
    try:
        shared = stitch_faces(scene.images, crops)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(alone[0], shared[0]) and torch.equal(alone[1], shared[1])
