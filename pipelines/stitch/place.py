"""Where a crop lies in its picture: what its mask reaches, and where it covers everything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..geometry.transforms import Matrix, invert

#: x0, y0, x1, y1 of a part of a picture, in px, the ends exclusive.
Region = tuple[int, int, int, int]

#: Pixels brought back at once: few enough that what they need stays in the processor's caches, enough that calls
#: do not count.
_STRIP_PX = 32768

#: Rows of a crop that are looked at together where the width of a strip is worked out.
_TOGETHER = 4


def whole_shift(matrix: Matrix) -> tuple[int, int] | None:
    """(x, y) when the crop is a window of the picture on whole pixels, else None."""
    (a, b, x), (c, d, y) = matrix.tolist()
    if max(abs(a - 1), abs(b), abs(c), abs(d - 1)) > 1e-9 or max(abs(x - round(x)), abs(y - round(y))) > 1e-6:
        return None
    return round(x), round(y)


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
        left, right = self.left - 1, self.right + 1
        rows, left, right = _grouped(self.rows, left, np.minimum, right, np.maximum)
        least, most = _crossings(matrix, rows, left, right, low, high)
        least, most = least.min(1), most.max(1)
        return np.where(np.isfinite(least)[:, None], np.stack([least, most], 1), np.nan)


def _grouped(
    rows: NDArray[np.int64], left: NDArray[np.int64], of_left: np.ufunc, right: NDArray[np.int64], of_right: np.ufunc
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a crop a few at a time: the middle of each group, and its left and right ends."""
    starts = np.arange(0, len(rows), _TOGETHER)
    if len(rows) != rows[-1] - rows[0] + 1:
        starts = np.arange(len(rows))
    last = np.append(starts[1:], len(rows)) - 1
    return (rows[starts] + rows[last]) / 2, of_left.reduceat(left, starts), of_right.reduceat(right, starts)


def _crossings(
    matrix: Matrix,
    rows: NDArray[np.float64],
    left: NDArray[np.int64] | int,
    right: NDArray[np.int64] | int,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(S, R) twice: from which x to which x what lies left..right on the crop's rows touches strips low..high.

    Not a number where it does not; concretely infinity for the first and minus infinity for the last.
    """
    picture_from_crop = invert(matrix)
    ones = np.ones(len(rows))
    start = picture_from_crop @ np.stack([left * ones, rows, ones])
    step = picture_from_crop @ np.stack([right * ones, rows, ones]) - start
    margin = _blur_px(matrix) + 0.5
    beside = margin + (_TOGETHER - 1) / 2 / _scale(matrix)
    fall = np.where(np.abs(step[1]) < 1e-9, 1e-9, step[1])
    ends = (np.stack([low - beside, high + beside])[:, :, None] - start[1]) / fall
    first, last = ends.min(0), ends.max(0)
    x = start[0] + np.stack([first.clip(0, 1), last.clip(0, 1)]) * step[0]
    met = (last >= 0) & (first <= 1)
    return np.where(met, x.min(0), np.inf) - beside, np.where(met, x.max(0), -np.inf) + beside


@dataclass(frozen=True, eq=False)
class Solid:
    """Where a crop's mask is 1.

    rows: (n,) the crop's rows, and one beyond each end. left, right: (n,) the nearest columns on both sides of its
    middle where it is not 1; the whole row where it is not 1 in the middle. width: of the crop.
    """

    rows: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    width: int

    def columns(self, matrix: Matrix, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
        """(S, 2): the first x of the picture, and the one after the last, between which the mask is 1 in all rows of
        strips low..high (S,); none where the second is not larger than the first."""
        rows, left, right = _grouped(self.rows, self.left, np.maximum, self.right, np.minimum)
        most = _crossings(matrix, rows, -1, left, low, high)[1].max(1)
        least = _crossings(matrix, rows, right, self.width, low, high)[0].min(1)
        met = np.isfinite(most) & np.isfinite(least)
        return np.where(met, np.stack([np.floor(most) + 1, np.ceil(least)]), 0).T.astype(np.int64)


def solid_of(mask: Tensor) -> Solid:
    """Where a mask (h, w) is 1 around its middle column."""
    height, width = mask.shape
    full = np.zeros((height + 2, width + 2), dtype=np.bool_)
    full[1:-1, 1:-1] = mask.cpu().numpy() >= 1
    middle = width // 2 + 1
    right = full[:, middle:].argmin(1) + middle - 1
    left = middle - np.ascontiguousarray(full[:, middle::-1]).argmin(1) - 1
    open_ = ~full[:, middle]
    left[open_], right[open_] = width, -1
    return Solid(np.arange(-1, height + 1), left, right, width)


def _scale(matrix: Matrix) -> float:
    """Crop pixels per picture pixel."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))


def _blur_px(matrix: Matrix) -> float:
    """How far one pixel of the crop reaches in the picture: to its neighbour, or as far as halving spreads it."""
    return max(1 / _scale(matrix), 1.5)


def reach_of(mask: Tensor) -> Reach | None:
    """The reach of a mask (h, w), or None when it is 0 everywhere."""
    above = mask.cpu().numpy() > 0
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
