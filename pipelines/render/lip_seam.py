"""Lips that close over teeth: where they meet, their own red on both sides of a fine shadow."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import as_float_tensor
from ..geometry.texture import sample_at
from .mouth import Mouth
from .mouth_lines import Lines, axes_of, lines_of
from .movement import Moved
from .portrait import Portrait

#: In outer eye corner distances: lips nearer than this count as closing, how far on each side they are drawn anew, how
#: wide the edge is that shows teeth through, and the shadow between.
_CLOSING, _BAND, _EDGE, _SHADOW = 0.024, 0.05, 0.032, 0.007
#: How much red, green and blue the shadow takes.
_SHADE = torch.tensor([0.34, 0.46, 0.44])


def draw_seam(portrait: Portrait, mouth: Mouth, moved: Moved, out: Tensor, origin: tuple[int, int]) -> None:
    """Draw the line where the moved lips meet onto `out` (3, h, w), in place, if the portrait's own lips are parted.

    origin: x, y of `out` in the moved portrait. Each side takes the portrait's lip a little inside its edge, because
    the edge itself has the colour of the teeth.
    """
    if not mouth.shown:
        return
    now, before = lines_of(portrait, moved.vertices), lines_of(portrait, portrait.landmarks)
    unit = portrait.unit
    low = np.maximum(np.floor(now.corners_px(portrait) - _BAND * unit).min(0).astype(int), origin)
    high = np.ceil(now.corners_px(portrait) + _BAND * unit).max(0).astype(int)
    high = np.minimum(high + 1, [origin[0] + out.shape[2], origin[1] + out.shape[1]])
    if (high - low < 2).any():
        return
    right, down = axes_of(portrait)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float64)
    u, v = x * right[0] + y * right[1], x * down[0] + y * down[1]
    gap = np.maximum(now.gap(u), 0)
    closed = np.clip(1.5 * (1 - gap / (_CLOSING * unit)), 0, 1) * ((u > now.start) & (u < now.end))
    ends = np.clip(np.minimum(u - now.start, now.end - u) / (0.04 * unit), 0, 1)
    aside = v - (now.top(u) + now.bottom(u)) / 2
    weight = closed * ends * np.clip(2 * (1 - np.abs(aside) / (_BAND * unit)), 0, 1) * moved.closed
    if not weight.any():
        return
    colours = _lips_at(portrait, now, before, u, aside)
    shadow = 1 - _SHADE[:, None, None] * as_float_tensor(np.exp(-((aside / max(_SHADOW * unit, 0.6)) ** 2)))
    (x0, y0), (x1, y1) = low - origin, high - origin
    region = out[:, y0:y1, x0:x1]
    region.copy_(torch.lerp(region, colours * shadow, as_float_tensor(weight)))


def _lips_at(
    portrait: Portrait, now: Lines, before: Lines, u: NDArray[np.float64], aside: NDArray[np.float64]
) -> Tensor:
    """(3, h, w): the portrait's upper lip above the seam and its lower lip below it."""
    right, down = axes_of(portrait)
    share = (u - now.start) / max(now.end - now.start, 1e-3)
    place = before.start + np.clip(share, 0, 1) * (before.end - before.start)
    edge = _EDGE * portrait.unit
    v = np.where(aside < 0, before.top(place) - edge + aside, before.bottom(place) + edge + aside)
    spots = place[..., None] * right + v[..., None] * down
    return sample_at(portrait.pixels, torch.from_numpy(spots.astype(np.float32)))
