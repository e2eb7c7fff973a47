"""How alike people are: distance and calibrated probability for every pair, as numbers, text and picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .analysis import Recogniser
from .identity import Identity

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

#: More people than this do not fit a picture that can be read.
MAX_COMPARED = 32

_CELL, _GAP, _MARGIN, _CAPTION, _FOOTER = 128, 4, 16, 28, 40
_AXIS = _MARGIN + _CELL + _CAPTION + _GAP
_BACKGROUND, _TEXT, _QUIET, _SELF = (24, 26, 30), (240, 242, 245), (176, 180, 188), (40, 43, 49)

#: Colours of probability 0, 0.5 and 1, which colour-blind readers can tell apart; blue means the same person.
_SCALE = np.array([[142, 62, 46], [84, 86, 94], [40, 108, 184]], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every pair of some people.

    names: (N). encoder: the recogniser. distance: (N, N) in its own metric. probability: (N, N) in [0, 1] of being the
    same person. thumbnails: (N, 512, 512, 3) uint8, the heaviest reference of each.
    """

    names: tuple[str, ...]
    encoder: str
    distance: NDArray[np.float64]
    probability: NDArray[np.float64]
    thumbnails: Tensor

    @property
    def text(self) -> str:
        """One line per pair, most alike first."""
        count = len(self.names)
        pairs = sorted((float(self.distance[i, j]), i, j) for i in range(count) for j in range(i + 1, count))
        lines = [
            f"{self.names[i]} and {self.names[j]}: distance {distance:.3f}, "
            f"probability of being the same person {self.probability[i, j]:.1%}"
            for distance, i, j in pairs
        ]
        return "\n".join([f"{count} identities compared by {self.encoder}.", *lines])


def compare_identities(identities: Sequence[Identity], recogniser: Recogniser) -> Comparison:
    """Compare people by the vectors they carry of one recogniser.

    Distance and probability are the recogniser's own (`Recogniser.distance`, `Recogniser.probability`); a cosine of
    vectors that share one cone, as the 128-d network's do, would call everyone alike. Raises EncoderMismatchError for
    an identity without these vectors, InputError for fewer than two or more than `MAX_COMPARED` identities.
    """
    if not 2 <= len(identities) <= MAX_COMPARED:
        raise InputError(f"{len(identities)} identity(ies) given: 2 to {MAX_COMPARED} can be compared.")
    vectors = [identity.raw(recogniser.name) for identity in identities]
    distance = np.array([[recogniser.distance(a, b) for b in vectors] for a in vectors], dtype=np.float64)
    probability = np.array([[recogniser.probability(float(d)) for d in row] for row in distance], dtype=np.float64)
    return Comparison(
        names=tuple(identity.name for identity in identities),
        encoder=recogniser.name,
        distance=distance,
        probability=probability,
        thumbnails=torch.stack([identity.crops[identity.best] for identity in identities]),
    )


def draw_comparison(comparison: Comparison) -> Tensor:
    """The matrix as a picture (H, W, 3) float in [0, 1].

    Every person has a row and a column with the heaviest reference, number and name. A cell shows the probability of
    being the same person in large and the distance below it, on a colour from red (0) over grey to blue (1).
    """
    from PIL import Image as images
    from PIL import ImageDraw as drawing

    count = len(comparison.names)
    side = _AXIS + count * (_CELL + _GAP) - _GAP + _MARGIN
    picture = images.new("RGB", (side, side + _FOOTER), _BACKGROUND)
    draw = drawing.Draw(picture)
    _draw_axes(picture, comparison)
    for row in range(count):
        for column in range(count):
            _draw_cell(draw, comparison, row, column)
    footer = f"probability of being the same person; distance by {comparison.encoder}"
    draw.text((side / 2, side + _FOOTER / 2 - 8), _shortened(footer, side - 2 * _MARGIN, 14), _QUIET, _font(14), "mm")
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)


def _draw_axes(picture: Image, comparison: Comparison) -> None:
    from PIL import Image as images

    for index, name in enumerate(comparison.names):
        at = _at(index)
        face = images.fromarray(comparison.thumbnails[index].numpy())
        face = face.resize((_CELL, _CELL), images.Resampling.LANCZOS)
        caption = _caption(f"{index + 1}  {_drawable(name)}")
        picture.paste(face, (at, _MARGIN))
        picture.paste(caption, (at, _MARGIN + _CELL))
        picture.paste(face, (_MARGIN, at))
        picture.paste(caption.rotate(90, expand=True), (_MARGIN + _CELL, at))


def _caption(text: str) -> Image:
    from PIL import Image as images
    from PIL import ImageDraw as drawing

    label = images.new("RGB", (_CELL, _CAPTION), _BACKGROUND)
    drawing.Draw(label).text((_CELL / 2, _CAPTION / 2), _shortened(text, _CELL, 15), _TEXT, _font(15), "mm")
    return label


def _draw_cell(draw: ImageDraw, comparison: Comparison, row: int, column: int) -> None:
    x, y = _at(column), _at(row)
    probability, distance = float(comparison.probability[row, column]), float(comparison.distance[row, column])
    colour = _SELF if row == column else _colour(probability)
    draw.rectangle((x, y, x + _CELL - 1, y + _CELL - 1), fill=colour)
    middle = x + _CELL / 2
    if row == column:
        draw.text((middle, y + _CELL / 2), "same", _QUIET, _font(18), "mm")
        return
    draw.text((middle, y + _CELL * 0.43), _percent(probability), _TEXT, _font(32), "mm")
    draw.text((middle, y + _CELL * 0.72), f"distance {distance:.2f}", _TEXT, _font(15), "mm")


def _at(index: int) -> int:
    return _AXIS + index * (_CELL + _GAP)


def _percent(probability: float) -> str:
    """Never 0 or 100: a recogniser is not that sure."""
    if probability < 0.01:
        return "< 1 %"
    return "> 99 %" if probability > 0.99 else f"{probability * 100:.0f} %"


def _colour(probability: float) -> tuple[int, int, int]:
    mixed = [np.interp(probability, [0.0, 0.5, 1.0], _SCALE[:, channel]) for channel in range(3)]
    return round(float(mixed[0])), round(float(mixed[1])), round(float(mixed[2]))


def _font(size_px: int) -> Any:  # the class of Pillow's built-in font depends on how Pillow was built
    from PIL import ImageFont as fonts

    return fonts.load_default(size_px)


def _shortened(text: str, width_px: int, size_px: int) -> str:
    """A text cut with an ellipsis to fit a width."""
    font = _font(size_px)
    if font.getlength(text) <= width_px - 8:
        return text
    while text and font.getlength(text + "…") > width_px - 8:
        text = text[:-1]
    return text.rstrip() + "…"


def _drawable(text: str) -> str:
    """A text without the letters that Pillow's built-in font has no glyph for; the report has the full name."""
    font = _font(15)
    missing = bytes(font.getmask("\uffff"))
    return "".join(letter for letter in text if letter == " " or bytes(font.getmask(letter)) != missing).strip()
