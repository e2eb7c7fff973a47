"""Weights and inputs that any machine rebuilds from their names, shapes and a seed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def noise(name: str, shape: Sequence[int], seed: int) -> Tensor:
    """Standard normal values of a name."""
    generator = np.random.RandomState((zlib.crc32(name.encode()) ^ seed) & 0x7FFFFFFF)
    count = int(np.prod(shape)) if len(shape) else 1
    return torch.from_numpy(generator.standard_normal(count).astype(np.float32).reshape(tuple(shape)))


def weights(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """Tensors by key: matrices of variance 1 / inputs, gains and variances near 1, the rest near 0."""
    return {key: _weight(key, shape, seed) for key, shape in shapes.items()}


def _weight(key: str, shape: Sequence[int], seed: int) -> Tensor:
    values = noise(key, shape, seed)
    if len(shape) >= 2:
        return values * (1.0 / max(int(np.prod(shape[1:])), 1)) ** 0.5
    if key.endswith("running_var"):
        return 1.0 + 0.1 * values.abs()
    return 1.0 + 0.1 * values if key.endswith("weight") else 0.1 * values
