"""Masks of whole pixels: what hangs together, and their growing and shrinking by squares."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import MissingPackageError

_MISSING = "Telling what hangs together in a mask needs the package scipy: `pip install scipy`."


def grown(seeds: Tensor, within: Tensor, steps: int = -1) -> Tensor:
    """All of `within` (h, w) of 0 and 1 that hangs together with the seeds (h, w), diagonally too.

    steps: how many px away from a seed at most, -1 for any. Raises MissingPackageError without scipy.
    """
    try:
        from scipy.ndimage import binary_dilation
    except ImportError as error:
        raise MissingPackageError(_MISSING) from error
    room = (within > 0).numpy()
    start = (seeds > 0).numpy() & room
    if not start.any():
        return torch.zeros_like(within)
    return torch.from_numpy(binary_dilation(start, np.ones((3, 3)), steps, room)).to(within)


def pieces(mask: Tensor, corners: bool = True) -> tuple[Tensor, int]:
    """A number from 1 on for each piece of a mask (h, w) that hangs together, as (h, w) int64 with 0 outside, and how
    many there are.

    corners: whether pixels that meet at a corner hang together. Raises MissingPackageError without scipy.
    """
    try:
        from scipy.ndimage import label
    except ImportError as error:
        raise MissingPackageError(_MISSING) from error
    numbers = np.zeros(mask.shape, np.int32)
    label((mask > 0).numpy(), np.ones((3, 3)) if corners else None, numbers)
    return torch.from_numpy(numbers).long(), int(numbers.max(initial=0))


def widened(mask: Tensor, px: int) -> Tensor:
    """A mask (h, w) grown by a square of 2 px + 1 a side: concretely the maximum over it."""
    across = F.max_pool2d(mask[None, None], (1, 2 * px + 1), (1, 1), (0, px))
    return F.max_pool2d(across, (2 * px + 1, 1), (1, 1), (px, 0))[0, 0]


def narrowed(mask: Tensor, px: int) -> Tensor:
    """A mask (h, w) in [0, 1] shrunk likewise; what lies beyond the picture does not eat into it."""
    return 1 - widened(1 - mask, px)


def box_mean(values: Tensor, px: int) -> Tensor:
    """Means of (C, h, w) over squares of 2 px + 1 a side, zeros beyond the border."""
    side = 2 * px + 1
    across = F.avg_pool2d(values[None], (1, side), 1, (0, px))
    return F.avg_pool2d(across, (side, 1), 1, (px, 0))[0]
