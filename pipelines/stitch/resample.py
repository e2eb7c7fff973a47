"""How a crop comes back onto the picture's own pixels: by the exact inverse transform, strip by strip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry.transforms import Matrix, invert
from ..geometry.warp import from_halved, halve
from .place import Region, reach_of, strips_of, windowed


class WayBack:
    """From the picture's pixels of a region to where they lie in a crop.

    matrix: `crop_from_image`. size_hw: of the crop. region: of the picture, in px. A crop of more than twice the
    picture's scale is halved by `reduced` as often as needed before it is sampled.
    """

    def __init__(self, matrix: Matrix, size_hw: tuple[int, int], region: Region) -> None:
        self.halvings = 0
        picture_from_crop, height, width = invert(matrix), *size_hw
        while abs(np.linalg.det(picture_from_crop[:, :2])) < 0.25 and min(height, width) >= 4:
            picture_from_crop = from_halved(picture_from_crop)
            height, width, self.halvings = (height + 1) // 2, (width + 1) // 2, self.halvings + 1
        self._whole, self._size_hw, self._region = matrix, size_hw, region
        self._columns, self._rows = _steps(invert(picture_from_crop), region, (height, width))

    def reduced(self, planes: Tensor) -> Tensor:
        """Planes (C, h, w) of the crop as `sampled` reads them: (1, C, h', w')."""
        pixels = planes[None]
        for _ in range(self.halvings):
            pixels, _ = halve(pixels, np.eye(2, 3))
        return pixels

    def grid(self, region: Region) -> Tensor:
        """(1, h, w, 2): where the pixels of a part of the region lie in the crop, in `grid_sample` units."""
        return _grid(self._columns, self._rows, self._region, region)

    def inside(self, region: Region) -> Tensor:
        """(h, w): whether pixels of a part of the region lie in the crop at all."""
        columns, rows = _steps(self._whole, region, self._size_hw)
        return _grid(columns, rows, region, region)[0].abs().amax(-1) <= 1 + 1e-5


def sampled(pixels: Tensor, grid: Tensor) -> Tensor:
    """(C, h, w): planes (1, C, h', w') at the places (1, h, w, 2) of `WayBack.grid`; the border goes on outside."""
    grid = grid.to(pixels.device)
    if torch.get_num_threads() == 1:
        return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=True)[0]
    # threads share the pictures of a batch and not the pixels of one, so each plane becomes a picture
    planes, grid = pixels.transpose(0, 1), grid.expand(pixels.shape[1], -1, -1, -1)
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=True)[:, 0]


def has_open_edge(mask: Tensor) -> bool:
    """Whether a mask (h, w) is above 0 at its border, so that what lies outside needs to be told apart."""
    return max(float(edge.max()) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1])) > 0


def bring_back(
    planes: Tensor, matrix: Matrix, region: Region, strips: Iterator[Region]
) -> Iterator[tuple[Region, Tensor]]:
    """A crop resampled to the picture's pixels of each strip of a region.

    planes: (C, h, w), the last one a mask that is 0 outside the crop. matrix: `crop_from_image`. Gives each strip
    with its (C, h', w').
    """
    way = WayBack(matrix, (planes.shape[1], planes.shape[2]), region)
    pixels, open_edge = way.reduced(planes), has_open_edge(planes[-1])
    for strip in strips:
        placed = sampled(pixels, way.grid(strip))
        if open_edge:
            placed[-1] *= way.inside(strip).to(placed.device)
        yield strip, placed


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
    strips = strips_of(region, matrix, reach, True)
    parts = bring_back(planes[(slice(None), *window)], windowed(matrix, window), region, strips)
    return region, joined(parts, region, len(planes))


def joined(parts: Iterator[tuple[Region, Tensor]], region: Region, channels: int) -> Tensor:
    """Strips put together: (C, h, w) of the region, 0 between them."""
    x0, y0, x1, y1 = region
    whole = torch.zeros(channels, y1 - y0, x1 - x0)
    for (left, top, right, bottom), part in parts:
        whole[:, top - y0 : bottom - y0, left - x0 : right - x0] = part
    return whole


def _steps(matrix: Matrix, region: Region, crop_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What columns (2, 1, w) and rows (2, h, 1) of a region add to x and y in the crop, in `grid_sample` units."""
    x0, y0, x1, y1 = region
    unit = 2.0 / np.maximum([crop_hw[1] - 1, crop_hw[0] - 1], 1)
    x_step, y_step = (matrix[:, :2] * unit[:, None]).T[:, :, None]
    origin = (matrix[:, 2] * unit - 1)[:, None]
    columns = (origin + np.arange(x0, x1) * x_step).astype(np.float32)
    rows = (np.arange(y0, y1) * y_step).astype(np.float32)
    return torch.from_numpy(columns)[:, None], torch.from_numpy(rows)[:, :, None]


def _grid(columns: Tensor, rows: Tensor, region: Region, part: Region) -> Tensor:
    """The sum of both for a part of the region: (1, h, w, 2) whose x and y lie one after the other in memory."""
    x0, y0 = region[:2]
    left, top, right, bottom = part
    return (columns[..., left - x0 : right - x0] + rows[:, top - y0 : bottom - y0]).permute(1, 2, 0)[None]
