"""Poisson blending as a membrane: the misfit at the mask's edge, spread smoothly over its inside (Perez et al. 2003).

Pasting the gradients of the new picture is the same as adding to it the harmonic function that takes the old minus the
new picture at the edge. That function is found by multigrid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_CYCLES, _SWEEPS = 6, 2

#: Below this side a level is solved by sweeps alone.
_COARSEST_PX = 6

#: Weight of a damped Jacobi step.
_DAMPING = 0.8


def membrane(values: Tensor, inside: Tensor, cycles: int = _CYCLES) -> Tensor:
    """Fill the inside of a mask smoothly from its edge.

    values: (C, h, w), read where `inside` is False. inside: (h, w) bool. cycles: V-cycles; six bring smooth values to
    about a thousandth of their range. Returns (C, h, w): `values` outside, and inside the solution of Laplace's
    equation with them as its border; where the mask touches the border of the picture the slope across is 0. A mask
    without an outside gives 0 inside.
    """
    if not bool(inside.any()):
        return values
    if bool(inside.all()):
        return torch.zeros_like(values)
    hole = inside.to(values.dtype)[None, None]
    filled = pull_push(values[None] * (1 - hole), 1 - hole)
    solution = values[None] * (1 - hole) + filled * hole
    for _ in range(cycles):
        solution = _cycle(solution, torch.zeros_like(solution), hole)
    return solution[0]


def pull_push(values: Tensor, weight: Tensor) -> Tensor:
    """Holes filled with what surrounds them: known values averaged upwards, holes taken from the level above.

    values: (1, C, h, w), times weight. weight: (1, 1, h, w) in [0, 1], 0 in a hole. Returns (1, C, h, w).
    """
    if float(weight.min()) > 0 or min(values.shape[2:]) < 2:
        return values / weight.clamp(min=1e-6)
    coarse = pull_push(_down(values), _down(weight))
    size = (values.shape[2], values.shape[3])
    grown = _up(coarse, size)
    return values + grown * (1 - weight)


def _cycle(solution: Tensor, source: Tensor, hole: Tensor) -> Tensor:
    """One V-cycle for (mean of the neighbours - solution) = source inside the hole (1, 1, h, w)."""
    deepest = min(solution.shape[2:]) < 2 * _COARSEST_PX
    solution = _sweep(solution, source, hole, 20 if deepest else _SWEEPS)
    coarse_hole = None if deepest else _shrunk(hole)
    if coarse_hole is None:
        return solution
    residual = (source - (_neighbours(solution) - solution)) * hole
    # twice the spacing: the same operator in units of neighbours is worth four times as much
    coarse = _cycle(torch.zeros_like(_down(residual)), 4 * _down(residual), coarse_hole)
    solution = solution + _up(coarse, (solution.shape[2], solution.shape[3])) * hole
    return _sweep(solution, source, hole, _SWEEPS)


def _shrunk(hole: Tensor) -> Tensor | None:
    """The cells that lie in the hole with all their pixels, or None when there are none."""
    coarse = (_down(hole) > 0.999).to(hole.dtype)
    return coarse if float(coarse.max()) > 0 else None


def _sweep(solution: Tensor, source: Tensor, hole: Tensor, count: int) -> Tensor:
    step = _DAMPING * hole
    for _ in range(count):
        solution = solution + (_neighbours(solution) - solution - source) * step
    return solution


def _neighbours(values: Tensor) -> Tensor:
    """Mean of the four neighbours; at the border of the picture the pixel itself stands for the one that lacks."""
    padded = F.pad(values, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
    return (across + padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]) * 0.25


def _down(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, 2, ceil_mode=True, count_include_pad=False)


def _up(values: Tensor, size_hw: tuple[int, int]) -> Tensor:
    larger = F.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)
    return larger[:, :, : size_hw[0], : size_hw[1]]
