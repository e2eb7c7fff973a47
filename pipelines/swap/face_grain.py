"""Grain that lies on the face: it moves, turns and grows with it, so that it does not tremble in a video."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

#: Side of the pattern, which repeats.
_SIDE = 512


def face_grain(x: Tensor, y: Tensor, scale: float) -> Tensor:
    """(h, w): grain of about unit variance for pixels that show the places x, y (h, w) of the source's crop, in px.

    scale: picture px per px of the crop. Concretely cos(f) A + sin(f) B of two patterns fixed to the crop, whose values
    lie 0.7 to 1.4 px of the picture apart and half of that; the angle f runs from 0 to a right angle while a face grows
    to twice its size, so that nothing jumps. Finer grain would change with every fraction of a pixel the face moves.
    """
    octave = math.log2(max(scale, 1e-3)) + 0.5
    coarse = math.floor(octave)
    turn = (octave - coarse) * math.pi / 2
    grain = math.cos(turn) * _sampled(x, y, coarse)
    return grain + math.sin(turn) * _sampled(x, y, coarse + 1) if turn > 0 else grain


def _sampled(x: Tensor, y: Tensor, octave: int) -> Tensor:
    """The pattern of 2 ** octave grains per px of the crop."""
    # patterns of neighbouring octaves must not lie on each other
    grid = torch.stack([x, y]).mul_(2.0**octave / _SIDE).add_(0.197 * octave)
    grid = grid.sub_(grid.floor()).mul_(2.0).sub_(1.0).permute(1, 2, 0)[None]
    return F.grid_sample(_pattern().to(grid.device), grid, mode="bilinear", align_corners=True)[0, 0]


@cache
def _pattern() -> Tensor:
    """(1, 1, _SIDE + 1, _SIDE + 1): soft noise of unit variance, which repeats.

    White noise would lose more than half of its variance between its values, a softened one keeps nearly all of it.
    """
    white = torch.randn(1, 1, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    taps = torch.tensor([1.0, 2.0, 1.0]) / 4
    soft = F.conv2d(F.pad(white, (1, 2, 1, 2), mode="circular"), (taps[:, None] * taps).view(1, 1, 3, 3))
    # (1 + 4 + 1) / 16 of the variance on a value and (1 + 9 + 9 + 1) / 64 between two, in both directions
    return soft * 2.94
