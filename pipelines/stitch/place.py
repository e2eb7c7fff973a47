"""Where a crop lies in its picture, and how it comes back onto the picture's own pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..geometry.transforms import Matrix, invert
from ..geometry.warp import crop_pictures

#: x0, y0, x1, y1 of a part of a picture, in px, the ends exclusive.
Region = tuple[int, int, int, int]


def whole_shift(matrix: Matrix) -> tuple[int, int] | None:
    """(x, y) when the crop is a window of the picture on whole pixels, else None."""
    shift = np.round(matrix[:, 2])
    if np.abs(matrix[:, :2] - np.eye(2)).max() > 1e-9 or np.abs(matrix[:, 2] - shift).max() > 1e-6:
        return None
    return int(shift[0]), int(shift[1])


def _bounds(mask: Tensor) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (inclusive) of what is above 0 in (h, w), or None."""
    rows, columns = torch.nonzero(mask.amax(1) > 0), torch.nonzero(mask.amax(0) > 0)
    if len(rows) == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def reach(mask: Tensor, matrix: Matrix, height: int, width: int) -> Region | None:
    """The pixels of a picture of height x width that a crop's mask (h, w) can touch, or None."""
    bounds = _bounds(mask)
    if bounds is None:
        return None
    left, top, right, bottom = bounds
    margin = 0 if whole_shift(matrix) is not None else 1
    corners = np.array([[x, y, 1] for x in (left - margin, right + margin) for y in (top - margin, bottom + margin)])
    places = corners @ invert(matrix).T
    x0, y0 = np.maximum(np.ceil(places.min(0) - 1e-6), 0).astype(int)
    x1, y1 = np.minimum(np.floor(places.max(0) + 1e-6) + 1, [width, height]).astype(int)
    return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None


def mask_window(mask: Tensor) -> tuple[slice, slice]:
    """Rows and columns of a crop around what its mask lets through, with a margin of two pixels."""
    left, top, right, bottom = _bounds(mask) or (0, 0, 0, 0)
    return slice(max(top - 2, 0), bottom + 3), slice(max(left - 2, 0), right + 3)


def windowed(matrix: Matrix, window: tuple[slice, slice]) -> Matrix:
    """`crop_from_image` of a window of the crop."""
    moved = matrix.copy()
    moved[:, 2] -= [window[1].start, window[0].start]
    return moved


def bring_back(crop: Tensor, matrix: Matrix, region: Region) -> Tensor:
    """A crop (h, w, C) resampled to the picture's pixels of a region by the exact inverse transform.

    matrix: `crop_from_image`. The last channel is the mask and is 0 outside the crop. Returns (h', w', C).
    """
    x0, y0, x1, y1 = region
    region_from_crop = invert(matrix)
    region_from_crop[:, 2] -= [x0, y0]
    size = (y1 - y0, x1 - x0)
    placed = crop_pictures(crop[None], (0,), region_from_crop[None], size, padding="border")[0]
    mask = crop[..., -1]
    edge = torch.cat([mask[:2].flatten(), mask[-2:].flatten(), mask[:, :2].flatten(), mask[:, -2:].flatten()])
    if float(edge.max()) > 0 or np.linalg.det(region_from_crop[:, :2]) < 0.25:
        ones = torch.ones_like(mask)[None, :, :, None]
        inside = crop_pictures(ones, (0,), region_from_crop[None], size, antialias=False)[0, :, :, 0]
        placed[..., -1] *= inside > 0.999
    return placed
