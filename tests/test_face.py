"""The face values keep their promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, FaceCrops, Faces, five_points


def face(x: float = 10.0, side: float = 20.0) -> Face:
    points = np.array([[x, 5], [x + 4, 5], [x + 2, 8], [x, 12], [x + 4, 12]], np.float32)
    return Face(np.array([x, 0, x + side, side * 1.5], np.float32), 0.9, points)


def crops(count: int = 2, side: int = 8) -> FaceCrops:
    matrices = np.stack([np.array([[0.5, 0.1, i], [-0.1, 0.5, 2.0]]) for i in range(count)])
    masks = torch.zeros(count, side, side)
    masks[:, 2:6, 2:6] = 1
    return FaceCrops(torch.rand(count, side, side, 3), masks, matrices, (0,) * count, (face(),) * count, 64, 48)


def test_a_box_has_sides_an_area_and_a_middle() -> None:
    box = face()
    assert (box.width_px, box.height_px, box.area_px) == (20.0, 30.0, 600.0)
    assert box.center.tolist() == [20.0, 15.0]


@pytest.mark.parametrize("axes", [2, 3])
def test_the_eyes_of_a_478_point_mesh_are_its_irises(axes: int) -> None:
    mesh = np.random.default_rng(0).normal(size=(478, axes)).astype(np.float32)
    assert np.array_equal(five_points(mesh), mesh[[468, 473, 1, 61, 291], :2])


def test_the_eyes_of_a_468_point_mesh_are_between_their_corners() -> None:
    mesh = np.random.default_rng(0).normal(size=(468, 3)).astype(np.float32)
    points = five_points(mesh)
    np.testing.assert_allclose(points[0], (mesh[33, :2] + mesh[133, :2]) / 2, rtol=1e-6)
    np.testing.assert_allclose(points[1], (mesh[362, :2] + mesh[263, :2]) / 2, rtol=1e-6)
    assert np.array_equal(points[2:], mesh[[1, 61, 291], :2])
    assert points.dtype == np.float32


def test_faces_are_walked_in_order_with_their_frame() -> None:
    first, second, third = face(0), face(1), face(2)
    faces = Faces(((first, second), (), (third,)), 64, 48)
    assert list(faces) == [(0, first), (0, second), (2, third)]
    assert len(faces) == 3
    assert faces.with_frames(((third,),)).frames == ((third,),)
    assert faces.with_frames(()).height == 64


def test_no_face_at_all_is_an_error_with_the_size_of_the_picture() -> None:
    with pytest.raises(FaceNotFoundError, match=r"Swap Faces: none of the 2 picture\(s\) \(48 × 64 px\)"):
        Faces(((), ()), 64, 48).require_any("Swap Faces")
    Faces(((face(),), ()), 64, 48).require_any("Swap Faces")


def test_faces_of_another_number_of_pictures_are_refused_with_both_numbers() -> None:
    with pytest.raises(InputError, match=r"The target has 3 picture\(s\) but the faces were found in 1"):
        Faces(((),), 64, 48).require_frames(3, "The target")
    Faces(((),), 64, 48).require_frames(1, "The target")


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (16, 16), (24, 16)])
def test_crops_of_another_size_show_the_same_place(size: tuple[int, int]) -> None:
    before = crops()
    after = before.with_images(torch.rand(2, *size, 3))
    picture_point = np.array([11.0, 7.0, 1.0])
    x, y = before.crop_from_image[1] @ picture_point
    scale_y, scale_x = size[0] / 8, size[1] / 8
    # the edges of a crop stay where they are: pixel centres at integers have the edge at -0.5
    expected = [(x + 0.5) * scale_x - 0.5, (y + 0.5) * scale_y - 0.5]
    np.testing.assert_allclose(after.crop_from_image[1] @ picture_point, expected, atol=1e-9)
    assert after.masks.shape == (2, *size)
    assert after.masks.mean().item() == pytest.approx(0.25, abs=0.02)


def test_crops_with_other_pixels_leave_the_first_ones_alone() -> None:
    before = crops()
    matrices = before.crop_from_image.copy()
    before.with_images(torch.zeros(2, 16, 16, 3))
    assert np.array_equal(before.crop_from_image, matrices)
    assert before.masks.shape == (2, 8, 8)


def test_an_alpha_channel_of_processed_crops_is_dropped() -> None:
    assert crops().with_images(torch.rand(2, 8, 8, 4)).images.shape == (2, 8, 8, 3)


@pytest.mark.parametrize("shape", [(3, 8, 8, 3), (8, 8, 3), (2, 8, 8, 1)])
def test_a_wrong_number_of_processed_crops_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"There are 2 crop\(s\) but \("):
        crops().with_images(torch.rand(shape))


def test_no_crops_at_all_may_be_processed() -> None:
    assert crops(1).with_masks(torch.ones(1, 8, 8)).masks.min() == 1
    empty = FaceCrops(torch.rand(0, 8, 8, 3), torch.rand(0, 8, 8), np.zeros((0, 2, 3)), (), (), 64, 48)
    assert empty.with_images(torch.rand(0, 16, 16, 3)).images.shape == (0, 16, 16, 3)
