"""The embedded renderer: a portrait's own pixels on a moving mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..face import Face, FloatArray, as_float_array
from ..geometry.raster import rasterise
from ..motion.channels import ARKIT_NAMES, INDEX
from ..registry import Registry
from .eyes import PaintedEye, gaze_of, painted_eyes
from .lip_seam import draw_seam
from .mouth import Mouth, draw_mouth, mouth_of
from .movement import TURN_LIMITS, Moved, move
from .portrait import Portrait, drawn_triangles, prepare

#: Faces with more px between the outer eye corners than this get their movement worked out on fewer pixels.
_FINE_PX = 48

_NO_CHANNELS: Mapping[str, FloatArray] = {}


@dataclass(frozen=True, eq=False)
class MeshPortrait:
    """One face of one picture, worked out once and moved by any number of frames."""

    portrait: Portrait
    eyes: tuple[PaintedEye, PaintedEye]
    mouth: Mouth

    def frame(
        self,
        blendshapes: FloatArray,
        rotation: FloatArray,
        translation: FloatArray,
        channels: Mapping[str, FloatArray] = _NO_CHANNELS,
    ) -> Tensor:
        """The whole picture (H, W, 3) with one frame's expression and pose.

        blendshapes: (52,) in the order of `ARKIT_NAMES`, rotation: (3,) radians, translation: (3,), all as in `Motion`:
        changes against the portrait. channels: none is used. All zeros give the portrait bit for bit, and so does every
        pixel out of reach.
        """
        out = self.portrait.picture.clone()
        if not (np.any(blendshapes) or np.any(rotation) or np.any(translation)):
            return out
        moved = move(self.portrait, blendshapes, rotation, translation)
        source = self._with_eyes(moved.activations)
        grid, x, y = warp_grid(self.portrait, moved, (source.shape[1], source.shape[2]))
        if source is not self.portrait.pixels:
            for x0, y0, x1, y1 in (eye.box for eye in self.eyes):
                self._paste(out, source[:, y0:y1, x0:x1], x0, y0)
        if grid.numel():
            drawn = F.grid_sample(source[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
            draw_mouth(self.portrait, self.mouth, moved, drawn, (x, y))
            draw_seam(self.portrait, self.mouth, moved, drawn, (x, y))
            self._paste(out, drawn, x, y)
        return out

    def _paste(self, out: Tensor, part: Tensor, x: int, y: int) -> None:
        x, y = x + self.portrait.origin[0], y + self.portrait.origin[1]
        out[y : y + part.shape[1], x : x + part.shape[2], :3] = part.permute(1, 2, 0)

    def _with_eyes(self, activations: FloatArray) -> Tensor:
        pixels = self.portrait.pixels
        for eye, side, gaze in zip(self.eyes, ("Right", "Left"), gaze_of(activations, INDEX), strict=True):
            blink = float(np.clip(activations[INDEX[f"eyeBlink{side}"]], 0, 1))
            if blink > 0 or gaze != (0.0, 0.0):
                pixels = pixels.clone() if pixels is self.portrait.pixels else pixels
                eye.paint(pixels, blink, gaze)
        return pixels


class MeshRenderer:
    """The entry of the embedded renderer; it has nothing to load, so it is its own loaded form."""

    name = "mesh"
    title = "Embedded mesh (nothing to download)"
    licence = "Apache-2.0"
    requires: tuple[str, ...] = ()
    turn_limits = TURN_LIMITS
    text = ""

    def missing(self, registry: Registry) -> tuple[str, ...]:
        return ()

    def load(self, registry: Registry) -> MeshRenderer:
        return self

    def prepare(self, picture: Tensor, face: Face, rest: FloatArray | None = None) -> MeshPortrait:
        return load_portrait(picture, face, rest)


def load_portrait(picture: Tensor, face: Face, rest: FloatArray | None = None) -> MeshPortrait:
    """Work out a portrait; arguments as in `prepare`, the channels are `ARKIT_NAMES`."""
    portrait = prepare(picture, face, ARKIT_NAMES, rest)
    return MeshPortrait(portrait, painted_eyes(portrait), mouth_of(portrait))


def warp_grid(
    portrait: Portrait, moved: Moved, size_hw: tuple[int, int], fine: bool = False
) -> tuple[Tensor, int, int]:
    """From where each pixel of the moved portrait comes, for the part of it that moves.

    Returns (1, h, w, 2) in `grid_sample` units of the portrait, without a pixel when nothing moves; and x, y of the
    part's first pixel. Large faces get it on fewer pixels, grown, unless `fine`: lips that were apart and meet are an
    edge that growing would blur.
    """
    step = 1 if fine or portrait.unit < _FINE_PX else 2 if portrait.unit < 2 * _FINE_PX else 4
    small = (-(-size_hw[0] // step), -(-size_hw[1] // step))
    points = as_float_array((moved.vertices[:, :2] + 0.5) / step - 0.5)
    depth = moved.vertices[:, 2].copy()
    depth[468:] += 10 * portrait.unit  # what surrounds the face is behind it
    source = portrait.vertices[:, :2] - moved.vertices[:, :2]
    source[:468] += moved.inset
    field = rasterise(points, drawn_triangles(), small, depth).interpolate(as_float_array(source))
    moves = np.greater(np.hypot(field[..., 0], field[..., 1]), 1e-3)
    if not moves.any():
        return torch.zeros(1, 0, 0, 2), 0, 0
    (top, bottom), (left, right) = _range(np.any(moves, 1)), _range(np.any(moves, 0))
    # a rim of one more place, so that growing has neighbours everywhere
    rim = np.pad(field, ((1, 1), (1, 1), (0, 0)), mode="edge")[top : bottom + 2, left : right + 2]
    y, x = np.mgrid[top - 1 : bottom + 1, left - 1 : right + 1]
    places = rim + (np.stack([x, y], -1) + 0.5) * step
    units = places * (2 / np.array([size_hw[1], size_hw[0]])) - 1
    grid = torch.from_numpy(as_float_array(units)).permute(2, 0, 1)[None]
    grid = F.interpolate(grid, scale_factor=step, mode="bilinear", align_corners=False) if step > 1 else grid
    height = min((bottom - top) * step, size_hw[0] - top * step)
    width = min((right - left) * step, size_hw[1] - left * step)
    return grid[:, :, step : step + height, step : step + width].permute(0, 2, 3, 1), left * step, top * step


def _range(where: NDArray[np.bool_]) -> tuple[int, int]:
    """First index and one past the last where it holds, with one more on either side if there is room."""
    found = np.flatnonzero(where)
    return max(int(found[0]) - 1, 0), min(int(found[-1]) + 2, len(where))
