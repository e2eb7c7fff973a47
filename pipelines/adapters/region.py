"""Where in the picture an identity acts: a soft mask, resized once per token grid."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError

#: How far the shape of a mask may be from the picture's, as a ratio of their aspect ratios.
ASPECT_TOLERANCE = 1.05

Grid = tuple[int, int]


class Area(NamedTuple):
    """The part of the picture that a chunk of a batch shows (a prompt for a part of it): first row and column, size.

    All in latent pixels of the whole picture, whose size is `full`.
    """

    top: int
    left: int
    height: int
    width: int
    full: Grid

    @classmethod
    def whole(cls, size: Grid) -> Area:
        return cls(0, 0, *size, size)

    def crop(self, mask: Tensor) -> Tensor:
        """The same part of a mask (M, H, W) of the whole picture; at least one row and column."""
        first = [math.floor(a * m / f) for a, m, f in zip(self[:2], mask.shape[-2:], self.full, strict=True)]
        last = [
            math.ceil((a + s) * m / f)
            for a, s, m, f in zip(self[:2], self[2:4], mask.shape[-2:], self.full, strict=True)
        ]
        return mask[:, first[0] : last[0], first[1] : last[1]]


class Region:
    """A mask as seen by the attention of one model call.

    mask: (M, H, W) in [0, 1] over the whole picture, M = 1 or one per picture. areas: one per chunk of the call's
    batch. pictures: how many each chunk holds.
    """

    def __init__(self, mask: Tensor, areas: tuple[Area, ...], pictures: int) -> None:
        _check(mask, pictures, areas[0].full)
        # one chunk stands for all where every row of the batch sees the same mask
        chunks = areas[:1] if len(mask) == 1 and len(set(areas)) == 1 else areas
        self._masks = [area.crop(mask).expand(pictures if len(chunks) > 1 else -1, -1, -1) for area in chunks]
        self._size = areas[0][2:4]
        self._grids: dict[Grid, Tensor] = {}

    def prepare(self, like: Tensor, levels: int = 4) -> None:
        """Resize for the grids of a UNet, which halves the latent `levels` - 1 times, before the model runs."""
        for level in range(levels):
            self.at((math.ceil(self._size[0] / 2**level), math.ceil(self._size[1] / 2**level)), like)

    def at(self, grid: Grid, like: Tensor) -> Tensor:
        """The mask on a token grid, (B or 1, h·w, 1), row by row, on the device and in the dtype of `like`."""
        found = self._grids.get(grid)
        if found is None:
            resized = torch.cat([resize_mask(mask, grid) for mask in self._masks])
            found = self._grids[grid] = resized.flatten(1).unsqueeze(-1).to(like)
        return found


def resize_mask(mask: Tensor, grid: Grid) -> Tensor:
    """(M, H, W) → (M, h, w): the mean of the mask over each token's area, so that a soft or thin mask keeps its sum."""
    if mask.shape[-2:] == grid:
        return mask
    return torch.nn.functional.interpolate(mask.float().unsqueeze(1), size=grid, mode="area").squeeze(1)


def _check(mask: Tensor, pictures: int, size: Grid) -> None:
    if mask.ndim != 3 or len(mask) not in (1, pictures):
        raise InputError(
            f"The identity's mask has shape {tuple(mask.shape)} for a batch of {pictures} picture(s): "
            "give one mask (1, height, width), or one per picture."
        )
    height, width = mask.shape[-2:]
    ratio = (width / height) / (size[1] / size[0])
    if not 1 / ASPECT_TOLERANCE <= ratio <= ASPECT_TOLERANCE:
        raise InputError(
            f"The identity's mask is {width} × {height} px but the picture is {8 * size[1]} × {8 * size[0]} px: their "
            "shapes differ. Draw the mask on a picture of the same shape, or resize it to that size."
        )
