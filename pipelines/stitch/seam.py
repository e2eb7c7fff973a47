"""Where a cut shows least: a closed seam through the mask's soft border along which old and new agree best."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Steps around the mask and across its border.
_ANGLES, _LEVELS = 192, 24

#: Width of the cut's own soft edge, as a part of the border.
_EDGE = 0.25

#: What a step across the border costs, against the mean difference: keeps the seam short.
_TENSION = 0.05


def seam_mask(change: Tensor, alpha: Tensor) -> Tensor:
    """A mask that cuts where the change is least visible.

    change: (h, w, 3), new minus old. alpha: (h, w) >= 0, the soft mask. Returns (h, w): 0 where alpha is 0, its
    maximum where alpha is its maximum, and in between a narrow edge along the seam: concretely, with the level
    alpha / max as radius and the direction from the mask's middle as angle, the closed path of least mean |change|
    found by dynamic programming (Jia et al. 2006, Drag-and-Drop Pasting, with levels for contours). A wider soft
    border leaves the seam more room.
    """
    top = float(alpha.max())
    band = (alpha > 0) & (alpha < 0.999 * top)
    if not bool(band.any()):
        return alpha
    y, x = torch.nonzero(band, as_tuple=True)
    level = alpha[band] / top
    angle = _angles(alpha, y, x)
    cost = _cost(change[band].abs().mean(-1), angle, level)
    path = _closed_path(cost)
    seam = (path[angle.long() % _ANGLES], path[(angle.long() + 1) % _ANGLES])
    height = torch.lerp(seam[0], seam[1], angle - angle.floor())
    # the edge ends inside the band on both sides
    height = (height + 0.5).div(_LEVELS).clamp(_EDGE / 2, 1 - _EDGE / 2)
    edge = ((level - height) / _EDGE + 0.5).clamp(0, 1)
    out = torch.where(alpha > 0, alpha, torch.zeros_like(alpha))
    out[band] = edge * edge * (3 - 2 * edge) * top
    return out


def _angles(alpha: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """(n,) in [0, _ANGLES): the direction of pixels from the middle of the mask."""
    total = alpha.sum()
    middle_y = (alpha.sum(1) * torch.arange(alpha.shape[0])).sum() / total
    middle_x = (alpha.sum(0) * torch.arange(alpha.shape[1])).sum() / total
    turn = torch.atan2(y - middle_y, x - middle_x) / (2 * math.pi)
    return (turn % 1.0 * _ANGLES).clamp(max=_ANGLES - 1e-3)


def _cost(difference: Tensor, angle: Tensor, level: Tensor) -> Tensor:
    """(_ANGLES, _LEVELS): mean difference of the pixels of each cell; empty cells get that of their level."""
    row = angle.long().clamp(0, _ANGLES - 1)
    column = (level * _LEVELS).long().clamp(0, _LEVELS - 1)
    cell = row * _LEVELS + column
    total = torch.zeros(_ANGLES * _LEVELS).index_add_(0, cell, difference.float())
    count = torch.zeros(_ANGLES * _LEVELS).index_add_(0, cell, torch.ones_like(difference, dtype=torch.float32))
    total, count = total.view(_ANGLES, _LEVELS), count.view(_ANGLES, _LEVELS)
    of_level = total.sum(0) / count.sum(0).clamp(min=1)
    return torch.where(count > 0, total / count.clamp(min=1), of_level)


def _closed_path(cost: Tensor) -> Tensor:
    """(_ANGLES,) the level at each angle along the cheapest path that ends where it began."""
    tension = _TENSION * float(cost.mean())
    free = _path(torch.cat([cost, cost, cost]), tension)
    start = int(free[_ANGLES])
    pinned = torch.cat([cost, cost[:1]]).clone()
    for row in (0, _ANGLES):
        kept = pinned[row, start].clone()
        pinned[row] = math.inf
        pinned[row, start] = kept
    return _path(pinned, tension)[:_ANGLES].float()


def _path(cost: Tensor, tension: float) -> Tensor:
    """The cheapest way down the rows with steps of at most one column."""
    best, back = cost[0], []
    for row in cost[1:]:
        padded = torch.nn.functional.pad(best, (1, 1), value=math.inf)
        options = torch.stack([padded[:-2] + tension, padded[1:-1], padded[2:] + tension])
        least, choice = options.min(0)
        back.append(choice - 1)
        best = row + least
    at = int(best.argmin())
    path = [at]
    for choice in reversed(back):
        at = min(max(at + int(choice[at]), 0), cost.shape[1] - 1)
        path.append(at)
    return torch.tensor(path[::-1])
