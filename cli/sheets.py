"""./likeness sheets: what every expression slider does to portraits, as pictures to be looked at."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..benchmarks.expression import PORTRAITS
from ..benchmarks.pictures import read_picture
from ..benchmarks.swap_quality import SAMPLES
from ..pipelines.errors import InputError
from ..pipelines.face import Face, FloatArray
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.sliders import HEAD_MOVES, HEAD_TURNS, SLIDERS, expression_from_sliders
from ..pipelines.registry import Registry
from ..pipelines.render import PreparedPortrait
from ..pipelines.render.animate import load_renderer, shown_already
from ..pipelines.runtime import TorchRuntime
from .contact_sheet import FAINT, INK, PAPER, to_pil
from .home import say

#: Positions of a slider from left to right; head turns in degrees, head moves in eye distances.
POSITIONS, DEGREES, MOVES = (-1.0, -0.5, 0.0, 0.5, 1.0), 15.0, 0.3

#: Of one cell in px, how many sliders are on one sheet, and the width of their names.
CELL, ROWS, NAMES = 300, 5, 170

#: How much of the picture is shown, in face boxes: of expressions, of head turns and moves.
_CLOSE, _WIDE = 1.15, 1.9


def main(arguments: list[str]) -> int:
    """Run the command."""
    options = _options(arguments)
    wanted = _wanted(options.sliders)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    renderer, which = load_renderer(registry, options.renderer)
    say(which)
    for path in options.portraits:
        picture = read_picture(path)
        faces = analysis.detect(picture)
        faces.require_any(str(path))
        face = faces.frames[0][0]
        portrait = renderer.prepare(picture[0], face, shown_already(face, BLENDSHAPE_NAMES))
        for number, sheet in enumerate(sheets(portrait, face, wanted), 1):
            file = options.out / f"{path.stem}_{number:02d}.png"
            sheet.save(file)
            say(f"  {file}")
    return 0


def rows() -> dict[str, tuple[float, ...]]:
    """Every slider with the positions at which it is shown."""
    out = {slider.name: POSITIONS for slider in SLIDERS}
    out |= {name: tuple(DEGREES * position for position in POSITIONS) for name, _, _ in HEAD_TURNS}
    return out | {name: tuple(MOVES * position for position in POSITIONS) for name, _, _ in HEAD_MOVES}


def sheets(portrait: PreparedPortrait, face: Face, names: dict[str, tuple[float, ...]]) -> Iterator[Any]:
    """Pictures (PIL) of `ROWS` sliders each, one row per slider, cut around the face."""
    todo = list(names.items())
    for first in range(0, len(todo), ROWS):
        yield _sheet(portrait, face, todo[first : first + ROWS])


def _sheet(portrait: PreparedPortrait, face: Face, todo: list[tuple[str, tuple[float, ...]]]) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.new("RGB", (NAMES + CELL * len(POSITIONS), CELL * len(todo)), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (name, positions) in enumerate(todo):
        pen.text((8, CELL * row + CELL // 2), name, fill=INK, font=font)
        for column, position in enumerate(positions):
            motion = expression_from_sliders({name: position})
            drawn = portrait.frame(motion.blendshapes[0], motion.rotation[0], motion.translation[0])
            part = _around(drawn, face.bbox_xyxy, _WIDE if name.startswith("head") else _CLOSE)
            cell = to_pil(part).resize((CELL, CELL), Image.Resampling.LANCZOS)
            place = (NAMES + CELL * column, CELL * row)
            sheet.paste(cell, place)
            pen.text((place[0] + 6, place[1] + 4), f"{position:g}", fill=FAINT, font=font)
    return sheet


def _around(picture: Tensor, bbox_xyxy: FloatArray, boxes: float) -> Tensor:
    """A square around a face, moved inside the picture."""
    height, width = picture.shape[:2]
    side = int(min(boxes * float(np.max(bbox_xyxy[2:] - bbox_xyxy[:2])), height, width))
    left, top = (int(value) for value in np.round((bbox_xyxy[:2] + bbox_xyxy[2:] - side) / 2))
    left, top = min(max(left, 0), width - side), min(max(top, 0), height - side)
    return picture[top : top + side, left : left + side]


def _wanted(names: list[str]) -> dict[str, tuple[float, ...]]:
    known = rows()
    for name in names:
        if name not in known:
            raise InputError(f"There is no slider {name!r}. Sliders: {', '.join(known)}.")
    return {name: known[name] for name in names or known}


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./likeness sheets", description="Draws expression sliders on portraits.")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("sliders", nargs="*", metavar="SLIDER", help="which sliders (all)")
    parser.add_argument(
        "--portrait", dest="portraits", type=Path, action="append", help="a photo; the samples when left out"
    )
    parser.add_argument("--renderer", default="mesh", help="which renderer (mesh), or auto")
    options = parser.parse_args(arguments)
    options.portraits = options.portraits or [SAMPLES / name for name in PORTRAITS]
    return options
