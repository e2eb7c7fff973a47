"""Where a crop lies in its picture, and how it comes back onto the picture's own pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.transforms import Matrix, invert
from ..geometry.warp import halve

#: x0, y0, x1, y1 of a part of a picture, in px, the ends exclusive.
Region = tuple[int, int, int, int]

#: Pixels brought back at once: few enough that all they need stays in the processor's second cache.
_STRIP_PX = 32768


def whole_shift(matrix: Matrix) -> tuple[int, int] | None:
    """(x, y) when the crop is a window of the picture on whole pixels, else None."""
    shift = np.round(matrix[:, 2])
    if np.abs(matrix[:, :2] - np.eye(2)).max() > 1e-9 or np.abs(matrix[:, 2] - shift).max() > 1e-6:
        return None
    return int(shift[0]), int(shift[1])


@dataclass(frozen=True, eq=False)
class Reach:
    """What a crop's mask lets through.

    rows: (n,) the crop's rows with a mask above 0. left, right: (n,) their first and last such column.
    """

    rows: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]

    def region(self, matrix: Matrix, height: int, width: int) -> Region | None:
        """The pixels of a picture of height x width that are touched, or None; matrix: `crop_from_image`."""
        margin = 0 if whole_shift(matrix) is not None else round(_blur_px(matrix) * _scale(matrix))
        across = (int(self.left.min()) - margin, int(self.right.max()) + margin)
        down = (int(self.rows[0]) - margin, int(self.rows[-1]) + margin)
        places = np.array([[x, y, 1] for x in across for y in down]) @ invert(matrix).T
        x0, y0 = np.maximum(np.ceil(places.min(0) - 1e-6), 0).astype(int)
        x1, y1 = np.minimum(np.floor(places.max(0) + 1e-6) + 1, [width, height]).astype(int)
        return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None

    def window(self, matrix: Matrix) -> tuple[slice, slice]:
        """Rows and columns of the crop around it, with a margin that stays 0 when the crop is halved."""
        margin = 2 * round(_blur_px(matrix) * _scale(matrix))
        top, left = max(int(self.rows[0]) - margin, 0), max(int(self.left.min()) - margin, 0)
        return slice(top, int(self.rows[-1]) + margin + 1), slice(left, int(self.right.max()) + margin + 1)

    def columns(self, matrix: Matrix, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.float64]:
        """(S, 2): first and last x of the picture that strips of its rows low..high (S,) can touch, NaN for none."""
        picture_from_crop = invert(matrix)
        ones = np.ones(len(self.rows))
        start = picture_from_crop @ np.stack([self.left - 1, self.rows, ones])
        step = picture_from_crop @ np.stack([self.right + 1, self.rows, ones]) - start
        margin = _blur_px(matrix) + 0.5
        fall = np.where(np.abs(step[1]) < 1e-9, 1e-9, step[1])
        ends = (np.stack([low - margin, high + margin])[:, :, None] - start[1]) / fall
        first, last = ends.min(0), ends.max(0)
        x = start[0] + np.stack([first.clip(0, 1), last.clip(0, 1)]) * step[0]
        met = (last >= 0) & (first <= 1)
        least = np.where(met, x.min(0), np.inf).min(1) - margin
        most = np.where(met, x.max(0), -np.inf).max(1) + margin
        return np.where(met.any(1)[:, None], np.stack([least, most], 1), np.nan)


def _scale(matrix: Matrix) -> float:
    """Crop pixels per picture pixel."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def _blur_px(matrix: Matrix) -> float:
    """How far one pixel of the crop reaches in the picture: to its neighbour, or as far as halving spreads it."""
    return max(1 / _scale(matrix), 1.5)


def reach_of(mask: Tensor) -> Reach | None:
    """The reach of a mask (h, w), or None when it is 0 everywhere."""
    above = (mask > 0).cpu().numpy()
    rows = np.nonzero(above.any(1))[0]
    if len(rows) == 0:
        return None
    above = above[rows]
    right = above.shape[1] - 1 - above[:, ::-1].argmax(1)
    return Reach(rows, above.argmax(1), right)


def windowed(matrix: Matrix, window: tuple[slice, slice]) -> Matrix:
    """`crop_from_image` of a window of the crop."""
    moved = matrix.copy()
    moved[:, 2] -= [window[1].start, window[0].start]
    return moved


def strips_of(region: Region, matrix: Matrix, reach: Reach, tight: bool) -> Iterator[Region]:
    """A region in strips from top to bottom; tight: each only as wide as the crop's reach needs there."""
    x0, y0, x1, y1 = region
    height = max(8, min(128, _STRIP_PX // max(x1 - x0, 1)))
    tops = np.arange(y0, y1, height)
    ends = np.minimum(tops + height, y1)
    columns = reach.columns(matrix, tops, ends - 1) if tight else np.tile([x0, x1 - 1], (len(tops), 1))
    for top, end, (least, most) in zip(tops, ends, columns, strict=True):
        if np.isfinite(least):
            left, right = max(int(np.floor(least)), x0), min(int(np.ceil(most)) + 1, x1)
            if right > left:
                yield left, int(top), right, int(end)


def bring_back(planes: Tensor, matrix: Matrix, regions: Iterator[Region]) -> Iterator[tuple[Region, Tensor]]:
    """A crop resampled to the picture's pixels of each region by the exact inverse transform.

    planes: (C, h, w), the last one a mask that is 0 outside the crop. matrix: `crop_from_image`. Gives each region
    with its (C, h', w').
    """
    pixels, side_hw = planes[None], planes.shape[1:]
    picture_from_crop, whole = invert(matrix), matrix
    while abs(np.linalg.det(picture_from_crop[:, :2])) < 0.25 and min(pixels.shape[2:]) >= 4:
        pixels, picture_from_crop = halve(pixels, picture_from_crop)
    mask = planes[-1]
    open_edge = max(float(edge.max()) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1])) > 0
    matrix = invert(picture_from_crop)
    for region in regions:
        placed = F.grid_sample(
            pixels,
            _grid(matrix, region, pixels.shape[2:]).to(pixels.device),
            mode="bilinear",
            padding_mode="border",
            align_corners=True,
        )[0]
        if open_edge:
            inside = _grid(whole, region, side_hw).abs().amax(-1)[0] <= 1 + 1e-5
            placed[-1] *= inside.to(placed.device)
        yield region, placed


def on_picture(planes: Tensor, matrix: Matrix, height: int, width: int) -> tuple[Region, Tensor] | None:
    """A crop on the pixels of a picture of height x width that its mask can touch, or None.

    planes: (C, h, w), the last one the mask. matrix: `crop_from_image`. Returns the region and (C, h', w') of it, with
    a mask of 0 wherever the crop does not reach.
    """
    reach = reach_of(planes[-1])
    region = None if reach is None else reach.region(matrix, height, width)
    if reach is None or region is None:
        return None
    window = reach.window(matrix)
    parts = bring_back(planes[(slice(None), *window)], windowed(matrix, window), strips_of(region, matrix, reach, True))
    return region, joined(parts, region, len(planes))


def joined(parts: Iterator[tuple[Region, Tensor]], region: Region, channels: int) -> Tensor:
    """Strips put together: (C, h, w) of the region, 0 between them."""
    x0, y0, x1, y1 = region
    whole = torch.zeros(channels, y1 - y0, x1 - x0)
    for (left, top, right, bottom), part in parts:
        whole[:, top - y0 : bottom - y0, left - x0 : right - x0] = part
    return whole


def _grid(matrix: Matrix, region: Region, crop_hw: torch.Size) -> Tensor:
    """(1, h, w, 2): where the picture's pixels of a region lie in the crop, in `grid_sample` units."""
    x0, y0, x1, y1 = region
    unit = 2.0 / np.maximum([crop_hw[1] - 1, crop_hw[0] - 1], 1)
    x_step, y_step = (matrix[:, :2] * unit[:, None]).T
    origin = matrix[:, 2] * unit - 1
    # x and y as one complex number: one addition per pixel
    columns = (origin + np.arange(x0, x1)[:, None] * x_step).astype(np.float32).view(np.complex64)
    rows = (np.arange(y0, y1)[:, None] * y_step).astype(np.float32).view(np.complex64)
    return torch.view_as_real(torch.from_numpy(columns).T + torch.from_numpy(rows))[None]
