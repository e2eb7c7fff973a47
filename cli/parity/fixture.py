"""A parity file: inputs and outputs of a reference implementation, and the rule that rebuilds its weights.

The weights are not stored: every tensor follows from its name, its shape and the file's seed, on any machine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from .check import Error

__all__ = ["Error", "Fixture", "synthetic"]


def synthetic(name: str, shape: Sequence[int], seed: int) -> Tensor:
    """The tensor of a name: normal numbers, scaled by fan-in, near 1 for norms, small for biases."""
    random = np.random.RandomState((zlib.crc32(name.encode()) ^ seed) & 0x7FFFFFFF)
    count = int(np.prod(shape)) if len(shape) else 1
    values = torch.from_numpy(random.standard_normal(count).astype(np.float32).reshape(tuple(shape)))
    if len(shape) >= 2:
        return values * (1.0 / max(int(np.prod(shape[1:])), 1)) ** 0.5
    if name.endswith("weight"):
        return 1.0 + 0.1 * values
    if name.endswith("running_var"):
        return 1.0 + 0.1 * values.abs()
    return 0.1 * values


class Fixture:
    """One parity file."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt") as file:  # pyright: ignore
            self.tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}
            self.metadata: dict[str, str] = file.metadata()
        self.seed = int(self.metadata["seed"])

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def json(self, key: str) -> Any:
        return json.loads(self.metadata[key])

    @property
    def config(self) -> dict[str, Any]:
        return self.json("config")

    def weights(self, table: str = "shapes") -> dict[str, Tensor]:
        """The synthetic tensors of a table of shapes, with their full names."""
        return {key: synthetic(key, shape, self.seed) for key, shape in self.json(table).items()}

    def part(self, prefix: str, table: str = "shapes") -> dict[str, Tensor]:
        """The tensors below `prefix`, without it."""
        return {key[len(prefix) :]: t for key, t in self.weights(table).items() if key.startswith(prefix)}

    def compare(self, outputs: Mapping[str, Tensor], tolerance: float = 1e-5) -> list[Error]:
        """The greatest difference of each of our outputs from `out.{name}`."""
        errors: list[Error] = []
        for name, ours in outputs.items():
            reference = self[f"out.{name}"].double()
            errors.append(Error(name, float((ours.double() - reference).abs().max()), tolerance))
        return errors
