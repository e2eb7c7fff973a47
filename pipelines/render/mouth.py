"""The inside of a mouth that opens: teeth that stay with the skull, a dark cavity, a tongue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import FloatArray
from ..geometry.features import LIP_RINGS, PLAIN_SKIN
from ..geometry.texture import sample_at
from .movement import Moved
from .portrait import Portrait

_INNER = LIP_RINGS[-1]
_UPPER = (_INNER.corners[0], *_INNER.upper, _INNER.corners[1])
_LOWER = (_INNER.corners[0], *_INNER.lower, _INNER.corners[1])

#: Lengths in distances between the outer eye corners.
_TOOTH_HEIGHT, _TOOTH_WIDTH, _ARCH_WIDTH = 0.07, 0.085, 0.46

_TEETH = torch.tensor([0.90, 0.84, 0.76])
_CAVITY = torch.tensor([0.17, 0.055, 0.05])
_TONGUE = torch.tensor([0.62, 0.30, 0.28])

Row = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Mouth:
    """A portrait's mouth.

    light: brightness of the skin in [0, 1], tint: (3,) its hue, mean 1. gap: (N,) px between the lips in the portrait
    at equal steps between the corners. shown: whether the portrait shows teeth.
    """

    light: float
    tint: Tensor
    gap: FloatArray
    shown: bool


def mouth_of(portrait: Portrait) -> Mouth:
    """What of the mouth is worked out once."""
    points = torch.from_numpy(np.ascontiguousarray(portrait.landmarks[list(PLAIN_SKIN), :2]))
    skin = sample_at(portrait.pixels, points[None])[:, 0]
    upper, lower, start, end = _rows(portrait, portrait.landmarks)
    u = np.linspace(start, end, 32)
    gap = np.maximum(np.interp(u, *lower) - np.interp(u, *upper), 0)
    shown = float(gap.max()) > 0.045 * portrait.unit
    colour = skin.median(1).values
    light = float(colour.mean())
    return Mouth(light, colour / max(light, 1e-3), gap.astype(np.float32), shown)


def draw_mouth(portrait: Portrait, mouth: Mouth, moved: Moved, out: Tensor, origin: tuple[int, int]) -> None:
    """Draw the inside between the moved lips onto `out` (3, h, w), in place; origin: its x, y in the moved portrait."""
    share = _change(portrait, moved)
    upper, lower, start, end = _rows(portrait, moved.vertices)
    edge = moved.vertices[list(_INNER.loop), :2]
    low = np.maximum(np.floor(edge.min(0)).astype(int) - 1, origin)
    high = np.minimum(np.ceil(edge.max(0)).astype(int) + 2, [origin[0] + out.shape[2], origin[1] + out.shape[1]])
    if share <= 0 or (high - low < 2).any():
        return
    right, down = _axes(portrait)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float64)
    place = np.stack([x, y], -1)
    u, v = place @ right, place @ down
    top, bottom = np.interp(u, *upper), np.interp(u, *lower)
    soft = np.clip(np.minimum(v - top, bottom - v) / _softness(portrait) + 0.4, 0, 1) * ((u > start) & (u < end))
    soft *= np.clip((bottom - top) / max(0.012 * portrait.unit, 0.7), 0, 1)
    depth, open_ = np.maximum(v - top, 0), np.maximum(bottom - top, 1e-3)
    across = (u - (start + end) / 2) / portrait.unit
    inside = _cavity(mouth, depth, open_, across, portrait.unit)
    teeth, cover = _teeth(portrait, mouth, depth, across)
    inside = torch.lerp(inside, teeth, _tensor(cover))
    # lips throw a shadow on what is behind them
    inside = (
        inside * _tensor(0.62 + 0.38 * np.clip(depth / (0.035 * portrait.unit), 0, 1)) if not mouth.shown else inside
    )
    (x0, y0), (x1, y1) = low - origin, high - origin
    region = out[:, y0:y1, x0:x1]
    region.copy_(torch.lerp(region, inside, _tensor(soft * share)))


def _softness(portrait: Portrait) -> float:
    return max(0.01 * portrait.unit, 1.0)


def _change(portrait: Portrait, moved: Moved) -> float:
    """0 while the lips are as in the portrait, 1 when they have visibly moved against each other."""
    rows = moved.expression[list(_INNER.loop)]
    return float(np.clip(np.abs(rows - rows.mean(0)).max() / (0.02 * portrait.unit), 0, 1))


def _axes(portrait: Portrait) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    right = portrait.axes[:2, 0] / max(float(np.linalg.norm(portrait.axes[:2, 0])), 1e-6)
    return right, np.array([-right[1], right[0]])


def _rows(portrait: Portrait, points: FloatArray) -> tuple[Row, Row, float, float]:
    """Upper and lower lip's inner edge as v over u, and u of the corners."""
    right, down = _axes(portrait)
    rows: list[Row] = []
    for row in (_UPPER, _LOWER):
        line = points[list(row), :2].astype(np.float64)
        u = np.maximum.accumulate(line @ right)
        rows.append((u, line @ down))
    return rows[0], rows[1], float(max(rows[0][0][0], rows[1][0][0])), float(min(rows[0][0][-1], rows[1][0][-1]))


def _cavity(
    mouth: Mouth, depth: NDArray[np.float64], open_: NDArray[np.float64], across: NDArray[np.float64], unit: float
) -> Tensor:
    """(3, h, w): darkness, and the tongue where the mouth is wide open."""
    from_below = (open_ - depth) / unit
    wide = np.clip((open_ / unit - 0.10) / 0.12, 0, 1)
    tongue = np.exp(-((across / 0.15) ** 4)) * np.clip(1.2 - from_below / 0.10, 0, 1) * wide
    shade = 0.55 + 0.45 * np.clip(from_below / 0.05, 0, 1)
    dark = _CAVITY[:, None, None] * (0.5 + mouth.light)
    red = _TONGUE[:, None, None] * (0.35 + 0.75 * mouth.light) * _tensor(shade)
    return torch.lerp(dark.expand(-1, *depth.shape), red, 0.75 * _tensor(tongue))


def _teeth(
    portrait: Portrait, mouth: Mouth, depth: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[Tensor, NDArray[np.float64]]:
    """Colours (3, h, w) and cover (h, w) of the upper teeth; they hang at constant depth below the upper lip."""
    if mouth.shown:
        return _own_teeth(portrait, mouth, depth, across)
    unit = portrait.unit
    bend = np.sqrt(np.clip(1 - (across / (_ARCH_WIDTH / 2)) ** 2, 0, 1))
    height = _TOOTH_HEIGHT * unit * (0.35 + 0.65 * bend) * (np.abs(across) < _ARCH_WIDTH / 2)
    turned = np.arcsin(np.clip(across / (_ARCH_WIDTH / 2), -1, 1)) * (_ARCH_WIDTH / 2)
    phase = np.abs(((turned / _TOOTH_WIDTH) % 1) - 0.5)  # 0.5 between two teeth
    groove = np.exp(-(((0.5 - phase) / 0.06) ** 2))
    height = height * (1 - 0.16 * (2 * phase) ** 4)
    light = (0.45 + 0.62 * mouth.light) * (0.55 + 0.45 * bend) * (1 - 0.22 * groove)
    cover = np.clip((height - depth) / max(0.012 * unit, 0.8) + 0.5, 0, 1)
    colour = _TEETH * (0.55 + 0.45 * mouth.tint)
    return colour[:, None, None] * _tensor(light), cover


def _own_teeth(
    portrait: Portrait, mouth: Mouth, depth: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[Tensor, NDArray[np.float64]]:
    right, down = _axes(portrait)
    upper, _, start, end = _rows(portrait, portrait.landmarks)
    u = across * portrait.unit + (start + end) / 2
    place = np.clip(u, start, end)
    gap = np.interp(place, np.linspace(start, end, len(mouth.gap)), mouth.gap)
    seen = np.clip(depth, 0.06 * gap, 0.94 * gap)
    v = np.interp(place, *upper) + seen
    spots = place[..., None] * right + v[..., None] * down
    colours = sample_at(portrait.pixels, torch.from_numpy(spots.astype(np.float32)))
    cover = np.clip((0.94 * gap - depth) / max(0.015 * portrait.unit, 0.8) + 0.5, 0, 1)
    return colours, cover * ((u > start) & (u < end))


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
