"""The inside of a mouth that opens: teeth that stay with the skull, a dark cavity, a tongue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import FloatArray, as_float_tensor
from ..geometry.features import PLAIN_SKIN
from ..geometry.texture import sample_at
from .mouth_depth import cavity, with_tip
from .mouth_lines import INNER, Row, axes_of, lines_of
from .movement import Moved
from .portrait import Portrait

#: Lengths in distances between the outer eye corners: of an upper tooth, of it below closed lips, its width, the arch.
_TOOTH_HEIGHT, _TOOTH_SHOWN, _TOOTH_WIDTH, _ARCH_WIDTH = 0.105, 0.040, 0.085, 0.46

#: How much of the gum shows above the portrait's own teeth before it is only gum, in the same distances.
_GUM_BEGINS = 0.02

_TEETH = torch.tensor([0.93, 0.88, 0.80])
_GUM = torch.tensor([0.66, 0.36, 0.35])


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
    lines = lines_of(portrait, portrait.landmarks)
    gap = np.maximum(lines.gap(np.linspace(lines.start, lines.end, 32)), 0)
    shown = float(gap.max()) > 0.045 * portrait.unit
    colour = skin.median(1).values
    light = float(colour.mean())
    return Mouth(light, colour / max(light, 1e-3), gap.astype(np.float32), shown)


def draw_mouth(portrait: Portrait, mouth: Mouth, moved: Moved, out: Tensor, origin: tuple[int, int]) -> None:
    """Draw the inside between the moved lips onto `out` (3, h, w), in place; origin: its x, y in the moved portrait."""
    share = _change(portrait, moved)
    lines = lines_of(portrait, moved.vertices)
    upper, lower, start, end = lines.upper, lines.lower, lines.start, lines.end
    edge = moved.vertices[list(INNER.loop), :2]
    low = np.maximum(np.floor(edge.min(0)).astype(int) - 1, origin)
    high = np.minimum(np.ceil(edge.max(0)).astype(int) + 2, [origin[0] + out.shape[2], origin[1] + out.shape[1]])
    if share <= 0 or (high - low < 2).any():
        return
    right, down = axes_of(portrait)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float64)
    place = np.stack([x, y], -1)
    u, v = place @ right, place @ down
    top, bottom = lines.top(u), lines.bottom(u)
    inwards = np.minimum((v - top) / _slope(u, upper), (bottom - v) / _slope(u, lower))
    soft = np.clip(inwards / _softness(portrait) + 0.4, 0, 1) * ((u > start) & (u < end))
    soft *= np.clip((bottom - top) / max(0.012 * portrait.unit, 0.7), 0, 1)
    depth, opening = np.maximum(v - top, 0), np.maximum(bottom - top, 1e-3) / portrait.unit
    across = (u - (start + end) / 2) / portrait.unit
    inside = cavity(mouth.light, (bottom - v) / portrait.unit, opening, across)
    # teeth stay with the skull, whatever lips do in front of them
    skull = lines_of(portrait, moved.skull)
    middle = (skull.start + skull.end) / 2
    below = v - skull.top(np.clip(u, skull.start, skull.end))
    teeth, cover = _teeth(portrait, mouth, below, (u - middle) / portrait.unit)
    out_by = float(np.clip(moved.activations[portrait.names.index("tongueOut")], 0, 1))
    under = np.maximum(bottom - v + below - _TOOTH_SHOWN * portrait.unit, 0.02 * portrait.unit)
    inside = with_tip(inside, mouth.light, out_by, (bottom - v) / under, opening, across)
    inside = torch.lerp(inside, teeth, as_float_tensor(cover))
    # lips throw a shadow on what is behind them
    shade = np.clip(depth / (0.035 * portrait.unit), 0, 1)
    lightest = 0.62 if not mouth.shown else 1 - 0.25 * np.clip(-below / (0.02 * portrait.unit), 0, 1)
    inside = inside * as_float_tensor(lightest + (1 - lightest) * shade)
    (x0, y0), (x1, y1) = low - origin, high - origin
    region = out[:, y0:y1, x0:x1]
    region.copy_(torch.lerp(region, inside, as_float_tensor(soft * share)))


def _slope(u: NDArray[np.float64], row: Row) -> NDArray[np.float64]:
    """How much longer a way down is than the way straight to a lip's edge, at each u: at most 3."""
    step = 1.0
    rise = (np.interp(u + step, *row) - np.interp(u - step, *row)) / (2 * step)
    return np.minimum(np.sqrt(1 + rise**2), 3.0)


def _softness(portrait: Portrait) -> float:
    return max(0.01 * portrait.unit, 1.0)


def _change(portrait: Portrait, moved: Moved) -> float:
    """0 while the lips are as in the portrait, 1 when they have visibly moved against each other."""
    rows = moved.expression[list(INNER.loop)]
    return float(np.clip(np.abs(rows - rows.mean(0)).max() / (0.02 * portrait.unit), 0, 1))


def _teeth(
    portrait: Portrait, mouth: Mouth, below: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[Tensor, NDArray[np.float64]]:
    """Colours (3, h, w) and cover (h, w) of the upper teeth and the gum above them.

    below: (h, w) px under where the upper lip's edge is at rest. across: (h, w) from the middle of the mouth at rest.
    """
    gum = _GUM * (0.35 + 0.60 * mouth.light) * (0.6 + 0.4 * mouth.tint)
    if mouth.shown:
        teeth, cover = _own_teeth(portrait, mouth, below, across)
        bare = np.clip((-below / portrait.unit - _GUM_BEGINS) / 0.02, 0, 1)
        return torch.lerp(teeth, gum[:, None, None].expand_as(teeth), as_float_tensor(bare)), cover
    unit = portrait.unit
    bend = np.sqrt(np.clip(1 - (across / (_ARCH_WIDTH / 2)) ** 2, 0, 1))
    turned = np.arcsin(np.clip(across / (_ARCH_WIDTH / 2), -1, 1)) * (_ARCH_WIDTH / 2)
    phase = np.abs(((turned / _TOOTH_WIDTH) % 1) - 0.5)  # 0.5 between two teeth
    groove = np.exp(-(((0.5 - phase) / 0.07) ** 2))
    edge = _TOOTH_SHOWN * unit * (0.30 + 0.70 * bend) * (1 - 0.22 * (2 * phase) ** 4)
    root = edge - _TOOTH_HEIGHT * unit * (0.75 + 0.25 * bend) * (1 - 0.10 * (2 * phase) ** 2)
    # enamel is duller at the gum and a little see-through at its edge
    height = np.clip((below - root) / np.maximum(edge - root, 1e-3), 0, 1)
    light = (0.55 + 0.58 * mouth.light) * (0.50 + 0.50 * bend) * (1 - 0.24 * groove) * (0.90 + 0.10 * height)
    cover = np.clip((edge - below) / max(0.012 * unit, 0.8) + 0.5, 0, 1) * (np.abs(across) < _ARCH_WIDTH / 2)
    bare = np.clip((root - below) / max(0.014 * unit, 0.8) + 0.5, 0, 1)
    colour = (_TEETH * (0.65 + 0.35 * mouth.tint))[:, None, None] * as_float_tensor(light)
    shaded_gum = gum[:, None, None] * as_float_tensor(0.55 + 0.45 * bend)
    return torch.lerp(colour, shaded_gum, as_float_tensor(bare)).clamp(0, 1), cover


def _own_teeth(
    portrait: Portrait, mouth: Mouth, below: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[Tensor, NDArray[np.float64]]:
    """As the portrait shows them; above where its lip was, their uppermost row goes on."""
    right, down = axes_of(portrait)
    lines = lines_of(portrait, portrait.landmarks)
    start, end = lines.start, lines.end
    u = across * portrait.unit + (start + end) / 2
    place = np.clip(u, start, end)
    gap = np.interp(place, np.linspace(start, end, len(mouth.gap)), mouth.gap)
    seen = np.clip(below, 0.10 * gap, 0.94 * gap)
    v = lines.top(place) + seen
    spots = place[..., None] * right + v[..., None] * down
    colours = sample_at(portrait.pixels, torch.from_numpy(spots.astype(np.float32)))
    cover = np.clip((0.94 * gap - below) / max(0.015 * portrait.unit, 0.8) + 0.5, 0, 1)
    return colours, cover * ((u > start) & (u < end))
