"""Resampling of pictures by 2-D transforms, batched and antialiased."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Padding = Literal["zeros", "border"]
Kernel = Literal["bilinear", "bicubic"]


def sampling_grid(crop_from_image: NDArray[np.float64], size_hw: tuple[int, int], image_hw: tuple[int, int]) -> Tensor:
    """Where each crop pixel lies in the picture, in `grid_sample` units.

    crop_from_image: (N, 2, 3). Returns (N, h, w, 2) float32 for align_corners=True: concretely the inverse
    transform of each pixel centre, x mapped by 2 x / (W - 1) - 1.
    """
    height, width = size_hw
    image_height, image_width = image_hw
    full = np.tile(np.eye(3), (len(crop_from_image), 1, 1))
    full[:, :2] = crop_from_image
    image_from_crop = np.linalg.inv(full)[:, :2]
    to_unit = np.array([2.0 / max(image_width - 1, 1), 2.0 / max(image_height - 1, 1)])
    linear = torch.from_numpy((image_from_crop[:, :, :2] * to_unit[None, :, None]).astype(np.float32))
    offset = torch.from_numpy((image_from_crop[:, :, 2] * to_unit - 1.0).astype(np.float32))
    x = torch.arange(width, dtype=torch.float32)
    y = torch.arange(height, dtype=torch.float32)
    columns = linear[:, None, None, :, 0] * x[None, None, :, None]
    rows = linear[:, None, None, :, 1] * y[None, :, None, None]
    return columns + rows + offset[:, None, None, :]


def crop_pictures(
    images: Tensor,
    frame: tuple[int, ...],
    crop_from_image: NDArray[np.float64],
    size_hw: tuple[int, int],
    padding: Padding = "zeros",
    antialias: bool = True,
    kernel: Kernel = "bilinear",
) -> Tensor:
    """Crops of a batch, each from its own picture by its own transform.

    images: (B, H, W, C) float. frame: (N,) indices into B. crop_from_image: (N, 2, 3). Returns (N, h, w, C) float32.
    Only the part of a picture that the crop sees is read, with the same result. antialias: pictures larger than the
    crop are first reduced by area averaging in powers of two, so that no more than two source pixels meet in one crop
    pixel. padding: what lies outside the picture, black or its nearest pixel. kernel: "bicubic" keeps an enlarged
    picture crisper and may leave [0, 1] a little.
    """
    crops = [
        _crop_one(images[index], matrix, size_hw, padding, antialias, kernel)
        for index, matrix in zip(frame, crop_from_image, strict=True)
    ]
    return torch.stack(crops) if crops else images.new_zeros((0, *size_hw, images.shape[-1]), dtype=torch.float32)


def _crop_one(
    image: Tensor,
    matrix: NDArray[np.float64],
    size_hw: tuple[int, int],
    padding: Padding,
    antialias: bool,
    kernel: Kernel,
) -> Tensor:
    halvings = _halvings(matrix, min(image.shape[:2])) if antialias else 0
    region, matrix = _visible_region(image, matrix, size_hw, 2**halvings)
    pixels = region.permute(2, 0, 1)[None].float()
    for _ in range(halvings):
        pixels, matrix = halve(pixels, matrix)
    grid = sampling_grid(matrix[None], size_hw, (pixels.shape[2], pixels.shape[3])).to(pixels.device)
    return F.grid_sample(pixels, grid, mode=kernel, padding_mode=padding, align_corners=True)[0].permute(1, 2, 0)


def _halvings(matrix: NDArray[np.float64], side_px: int) -> int:
    """How often to halve a picture of this shorter side: never below the crop's scale, never below two pixels."""
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    halvings = 0
    while scale * 2**halvings <= 0.5 and side_px >> halvings >= 4:
        halvings += 1
    return halvings


def _visible_region(
    image: Tensor, matrix: NDArray[np.float64], size_hw: tuple[int, int], block_px: int
) -> tuple[Tensor, NDArray[np.float64]]:
    """The part of the picture under the crop with a margin, and the transform from that part.

    It begins and ends on whole blocks, so that halving it gives the same pixels as halving the whole picture.
    """
    height, width = size_hw
    full = np.concatenate([matrix, [[0, 0, 1]]])
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], dtype=np.float64)
    inside = corners @ np.linalg.inv(full).T
    low = (np.floor(inside[:, :2].min(0) / block_px) - 2) * block_px
    high = (np.ceil(inside[:, :2].max(0) / block_px) + 3) * block_px
    x0, x1 = (int(v) for v in np.clip([low[0], high[0]], 0, image.shape[1]))
    y0, y1 = (int(v) for v in np.clip([low[1], high[1]], 0, image.shape[0]))
    if x1 - x0 < 2 * block_px or y1 - y0 < 2 * block_px:
        return image, matrix
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ np.array([x0, y0], dtype=np.float64)
    return image[y0:y1, x0:x1], shifted


def halve(pixels: Tensor, matrix: NDArray[np.float64]) -> tuple[Tensor, NDArray[np.float64]]:
    """Means of two by two pixels (of what is left at an odd edge), and the transform from them.

    pixels: (1, C, h, w). matrix: (2, 3), from these pixels to anything. Returns the same of the halved picture.
    """
    if pixels.shape[2] % 2 or pixels.shape[3] % 2:
        halved = F.avg_pool2d(pixels, 2, ceil_mode=True, count_include_pad=False)
    else:
        # the same means, several times faster
        halved = F.interpolate(pixels, scale_factor=0.5, mode="bilinear", align_corners=False)
    return halved, from_halved(matrix)


def from_halved(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transform (2, 3) from a halved picture to where `matrix` leads from the picture itself."""
    # a reduced pixel i is centred at 2 i + 0.5 of the larger picture
    offset = matrix[:, 2] + matrix[:, :2] @ np.array([0.5, 0.5])
    return np.concatenate([matrix[:, :2] * 2, offset[:, None]], axis=1)
