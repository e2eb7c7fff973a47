"""Crops show what lies under them: bilinear, antialiased, black or continued outside, whatever else is in the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.geometry.warp import crop_pictures, sampling_grid


def matrix_of(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand((height, width, 3), generator=torch.Generator().manual_seed(seed))


def pixel(image: np.ndarray, x: int, y: int, padding: str) -> np.ndarray:
    height, width = image.shape[:2]
    if padding == "border":
        return image[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
    return image[y, x] if 0 <= x < width and 0 <= y < height else np.zeros(image.shape[2])


def crop_by_hand(image: Tensor, matrix: np.ndarray, size: tuple[int, int], padding: str) -> np.ndarray:
    """The slow, obvious twin: one crop pixel after the other, each a mix of four picture pixels."""
    source, inverse = image.numpy().astype(np.float64), np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    out = np.zeros((*size, source.shape[2]))
    for row in range(size[0]):
        for column in range(size[1]):
            x, y, _ = inverse @ [column, row, 1]
            if padding == "border":
                x, y = np.clip(x, 0, source.shape[1] - 1), np.clip(y, 0, source.shape[0] - 1)
            left, top = int(np.floor(x)), int(np.floor(y))
            for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
                weight = (x - left if dx else 1 - (x - left)) * (y - top if dy else 1 - (y - top))
                out[row, column] += weight * pixel(source, left + dx, top + dy, padding)
    return out


def halved_by_hand(image: Tensor) -> Tensor:
    height, width = image.shape[:2]
    rows = [
        torch.stack([image[y : y + 2, x : x + 2].mean((0, 1)) for x in range(0, width, 2)]) for y in range(0, height, 2)
    ]
    return torch.stack(rows)


PLACES = [
    matrix_of(0.0, 1.0, 0.0, 0.0),
    matrix_of(0.5, 0.8, 3.3, -4.2),
    matrix_of(-1.2, 3.0, -60.0, 20.0),
    matrix_of(0.1, 1.0, 15.0, 9.0),
    matrix_of(0.0, 1.0, 500.0, 0.0),
]


@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("matrix", PLACES, ids=["still", "turned", "enlarged", "over the corner", "outside"])
def test_a_crop_is_what_the_slow_twin_makes(matrix: np.ndarray, padding: str) -> None:
    image = noise(31, 44)
    crop = crop_pictures(image[None], (0,), matrix[None], (13, 17), padding=padding)[0]
    np.testing.assert_allclose(crop.numpy(), crop_by_hand(image, matrix, (13, 17), padding), atol=2e-5)


def test_the_identity_returns_the_picture() -> None:
    image = noise(20, 30)
    crop = crop_pictures(image[None], (0,), np.eye(3)[None, :2], (20, 30))[0]
    assert (crop - image).abs().max() < 1e-5


@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (-3.7, -2.2), (-9.0, -13.4), (4.0, 3.0)])
@pytest.mark.parametrize(("scale", "halvings"), [(0.4, 1), (0.25, 2), (0.13, 2)])
def test_a_reduced_crop_is_the_halved_picture_cropped(
    scale: float, halvings: int, shift: tuple[float, float], padding: str
) -> None:
    image = noise(71, 94)
    matrix = matrix_of(0.2, scale, *shift)
    crop = crop_pictures(image[None], (0,), matrix[None], (9, 7), padding=padding)[0]
    reduced = matrix.copy()
    for _ in range(halvings):
        image = halved_by_hand(image)
        reduced[:, 2] += reduced[:, :2] @ [0.5, 0.5]
        reduced[:, :2] *= 2
    np.testing.assert_allclose(crop.numpy(), crop_by_hand(image, reduced, (9, 7), padding), atol=2e-5)


def test_a_strong_reduction_of_a_white_picture_has_no_dark_border_inside_it() -> None:
    white = torch.ones((1, 600, 600, 3))
    crop = crop_pictures(white, (0,), matrix_of(0.0, 1 / 16, -10.0, -10.0)[None], (16, 16), padding="zeros")
    assert crop.min() > 1 - 1e-5


def test_fine_stripes_become_grey_instead_of_moire() -> None:
    stripes = (torch.arange(256) % 2).float()[None, :, None].expand(256, 256, 3)[None]
    matrix = matrix_of(0.0, 0.25, 0.0, 0.0)[None]
    calm = crop_pictures(stripes, (0,), matrix, (60, 60))[0, 4:-4, 4:-4]
    aliased = crop_pictures(stripes, (0,), matrix, (60, 60), antialias=False)[0, 4:-4, 4:-4]
    assert (calm - 0.5).abs().max() < 1e-5
    assert (aliased - 0.5).abs().max() == 0.5


def test_a_batch_of_crops_equals_its_members_one_by_one() -> None:
    images = torch.stack([noise(40, 50, seed) for seed in range(3)])
    frame = (2, 0, 2, 1)
    matrices = np.stack([matrix_of(0.1 * i, 0.3 + 0.4 * i, 2.0 * i, -i) for i in range(4)])
    together = crop_pictures(images, frame, matrices, (16, 16))
    for row, index in enumerate(frame):
        alone = crop_pictures(images[index][None], (0,), matrices[row][None], (16, 16))
        assert torch.equal(together[row], alone[0])


def test_no_crops_are_an_empty_batch_of_the_right_shape() -> None:
    assert crop_pictures(torch.rand(1, 8, 8, 4), (), np.zeros((0, 2, 3)), (5, 6)).shape == (0, 5, 6, 4)


def test_a_one_pixel_crop_is_one_pixel() -> None:
    image = noise(9, 9)
    crop = crop_pictures(image[None], (0,), matrix_of(0.0, 1.0, -4.0, -5.0)[None], (1, 1))
    assert (crop[0, 0, 0] - image[5, 4]).abs().max() < 1e-6


def test_a_crop_far_into_a_very_wide_picture_is_exact() -> None:
    ramp = torch.linspace(0, 1, 16_000)[None, :, None].expand(8, -1, 3)
    crop = crop_pictures(ramp[None], (0,), matrix_of(0.0, 1.0, -15_000.5, 0.0)[None], (8, 100))[0]
    expected = (torch.arange(100) + 15_000.5) / 15_999
    assert (crop[4, :, 0] - expected).abs().max() < 1e-6


def test_a_grid_points_at_the_centres_of_the_picture_pixels() -> None:
    grid = sampling_grid(matrix_of(0.0, 2.0, 0.0, 0.0)[None], (5, 5), (9, 3))
    assert grid.shape == (1, 5, 5, 2)
    np.testing.assert_allclose(grid[0, 0, :, 0], [-1.0, -0.5, 0.0, 0.5, 1.0], atol=1e-6)  # x: 0, 0.5, 1 ... of 0..2
    np.testing.assert_allclose(grid[0, :, 0, 1], [-1.0, -0.875, -0.75, -0.625, -0.5], atol=1e-6)


def test_a_gradient_flows_through_a_crop() -> None:
    image = noise(12, 12).double().requires_grad_(True)
    crop_pictures(image[None], (0,), matrix_of(0.3, 0.9, 1.0, 1.0)[None], (6, 6)).sum().backward()
    assert image.grad is not None
    assert 0 < image.grad.sum().item() < 12 * 12 * 3
