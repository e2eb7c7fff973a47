"""Motions as curves in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .channels import ROTATION_NAMES, TRANSLATION_NAMES
from .motion import Motion
from .report import strongest_names

#: Most rows a picture can have and stay readable.
MAX_ROWS = 24

_PAPER, _BAND, _GRID, _ZERO, _TEXT, _QUIET = "#17191e", "#1d2027", "#2b2f38", "#4a505c", "#e8eaf0", "#98a0ae"
#: Brows, eyes, jaw, mouth, cheeks and nose, head.
_COLOURS = (("brow", "#f2b84b"), ("eye", "#58b6f0"), ("jaw", "#ef6f6c"), ("mouth", "#f08ac0"), ("head", "#8bd17c"))
_OTHER = "#b9a5f2"


def plot_motion(motion: Motion, names: Sequence[str] = (), width: int = 1024, row_height: int = 56) -> Tensor:
    """The curves of a motion, one row per channel, time from left to right.

    names: channels of `VALUE_NAMES`; none takes the strongest ones, at most 12. width: px of the picture. row_height:
    px of a row. Each row has its own scale, from its lowest to its highest value with 0 and at least 1 (turns: 20
    degrees, places: 0.5); the numbers at its right are that range. Returns (H, W, 3) in [0, 1]. Raises InputError for
    a size or a number of channels that cannot be read.
    """
    if not 320 <= width <= 8192 or not 24 <= row_height <= 400:
        raise InputError(f"A plot of {width} px with rows of {row_height} px: 320 to 8192 and 24 to 400 are allowed.")
    shown = tuple(names) or strongest_names(motion, 12)
    if len(shown) > MAX_ROWS:
        raise InputError(
            f"{len(shown)} channels are too many for one plot, at most {MAX_ROWS} can be read. Name fewer."
        )
    return _draw(motion, shown, width, row_height)


def _draw(motion: Motion, names: Sequence[str], width: int, row: int) -> Tensor:
    from PIL import Image, ImageDraw

    scale = 2  # drawn twice as large and reduced: Pillow's lines have hard edges
    text = 15 * scale
    left, right, top, bottom = 190 * scale, width * scale - 74 * scale, 34 * scale, 30 * scale
    height = top + bottom + row * scale * len(names)
    picture = Image.new("RGB", (width * scale, height), _PAPER)
    pen = ImageDraw.Draw(picture)
    title = f"{len(motion)} frames · {motion.fps:g} fps · {motion.duration_s:.2f} s"
    pen.text((12 * scale, top / 2), title, _QUIET, _font(text), "lm")
    for index in range(0, len(names), 2):
        begin = top + index * row * scale
        pen.rectangle((0, begin, width * scale, begin + row * scale), fill=_BAND)
    _draw_time(pen, motion, (left, right, top, height - bottom), scale)
    for index, name in enumerate(names):
        box = (left, right, top + index * row * scale, top + (index + 1) * row * scale)
        _draw_row(pen, name, motion.channel(name), box, scale)
    small = picture.resize((width, height // scale), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 255)


def _draw_time(pen: Any, motion: Motion, box: tuple[int, int, int, int], scale: int) -> None:
    left, right, top, bottom = box
    step = _step(motion.duration_s, max((right - left) // (90 * scale), 1))
    for number in range(int(motion.duration_s / step) + 1):
        x = left + (right - left) * number * step / motion.duration_s
        pen.line((x, top, x, bottom), _GRID, scale)
        pen.text((x, bottom + 8 * scale), f"{number * step:g} s", _QUIET, _font(12 * scale), "mt")


def _step(span: float, count: int) -> float:
    """A round step so that `span` has at most `count` of them."""
    wanted = span / count
    magnitude = 10.0 ** np.floor(np.log10(wanted))
    return float(next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= wanted * 0.999))


def _draw_row(pen: Any, name: str, values: Any, box: tuple[int, int, int, int], scale: int) -> None:
    left, right, top, bottom = box
    shown = np.rad2deg(values) if name in ROTATION_NAMES else values
    least = 20.0 if name in ROTATION_NAMES else 0.5 if name in TRANSLATION_NAMES else 1.0
    low, high = min(float(shown.min()), 0.0), max(float(shown.max()), 0.0)
    if name in ROTATION_NAMES + TRANSLATION_NAMES:
        low, high = min(low, -least), max(high, least)
    high = max(high, least) if low > -least else max(high, 0.0)
    pad = 7 * scale

    def at(value: Any) -> Any:
        return bottom - pad - (value - low) / (high - low) * (bottom - top - 2 * pad)

    colour = next((colour for start, colour in _COLOURS if name.startswith(start)), _OTHER)
    pen.line((left, at(0.0), right, at(0.0)), _ZERO, scale)
    pen.text((left - 12 * scale, (top + bottom) / 2), name, _TEXT, _font(15 * scale), "rm")
    unit = "°" if name in ROTATION_NAMES else ""
    for value, anchor in ((high, "lt"), (low, "lb")):
        y = top + pad / 2 if value == high else bottom - pad / 2
        pen.text((right + 10 * scale, y), f"{round(value, 2) + 0.0:.3g}{unit}", _QUIET, _font(12 * scale), anchor)
    _draw_curve(pen, shown, (left, right), at, colour, scale)


def _draw_curve(pen: Any, values: Any, span: tuple[int, int], at: Any, colour: str, scale: int) -> None:
    left, right = span
    count = len(values)
    if count == 1:
        y = float(at(values[0]))
        pen.line((left, y, right, y), colour, 2 * scale)
        return
    columns = right - left
    if count > 2 * columns:  # more frames than columns: both ends of what each column covers
        edges = np.linspace(0, count, columns + 1).astype(np.int64)
        low = np.minimum.reduceat(values, edges[:-1])
        high = np.maximum.reduceat(values, edges[:-1])
        for x in range(columns):
            pen.line((left + x, float(at(high[x])), left + x, float(at(low[x]))), colour, scale)
    x = left + np.arange(count) * (columns / count)  # a frame lasts until the next
    pen.line(list(zip(x.tolist(), at(values).tolist(), strict=True)), colour, 2 * scale, joint="curve")


def _font(size_px: float) -> Any:  # the class of Pillow's built-in font depends on how Pillow was built
    from PIL import ImageFont

    return ImageFont.load_default(size_px)
