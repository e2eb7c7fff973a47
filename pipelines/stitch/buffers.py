"""Large arrays that cost little to begin with."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

#: From this size on the C library always takes fresh pages from the system (glibc's largest `M_MMAP_THRESHOLD` is
#: 32 MiB): these are zero already, where memory that was used before would have to be cleared.
_FRESH_BYTES = 33 << 20

#: Below this many bytes clearing used memory is cheaper than fresh pages.
_SMALL_BYTES = 8 << 20


def zeros(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """float32 zeros that cost nothing where nothing is written to them."""
    count = math.prod(shape)
    room = count if 4 * count < _SMALL_BYTES else max(count, _FRESH_BYTES // 4)
    return torch.from_numpy(np.zeros(room, dtype=np.float32)[:count].reshape(shape)).to(device)


def empty_like(pictures: Tensor) -> Tensor:
    """A tensor of the same shape, type and device, with any values.

    In the processor's memory numpy asks for large pages, of which a picture needs few: first touching a 4K picture's
    small ones costs several times copying it.
    """
    if pictures.device.type != "cpu" or pictures.nbytes < _SMALL_BYTES:
        return torch.empty_like(pictures, memory_format=torch.contiguous_format)
    room = torch.from_numpy(np.empty(pictures.nbytes, dtype=np.uint8))
    return room.view(pictures.dtype).view(pictures.shape)
