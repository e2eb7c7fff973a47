"""A network that arrives with the pack: shared through the registry, run in batches of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import Registry
from .net_layers import read_weights

#: Activations of the embedded networks per input pixel: the widest layers, with room for the copies torch makes.
_BYTES_PER_PIXEL = 400
#: Pixels of one network call: bounds its memory at about 0.8 GB.
_MAX_PIXELS = 1 << 21


class EmbeddedNetwork:
    """Holds the shared model of a weights id; calling it runs the model."""

    def __init__(self, registry: Registry, weights_id: str, build: Callable[[], nn.Module]) -> None:
        def read(path: Any) -> nn.Module:
            return read_weights(build(), path).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

        self._handle = registry.load(weights_id, read)
        self._runtime = registry.runtime

    def __call__(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Every output for pictures (N, H, W, C) or for other inputs (N, ...), on the CPU as float32.

        All N go through the network in one call, or in as few as its memory allows.
        """
        chunk = max(1, _MAX_PIXELS // max(1, pictures[0].numel() // pictures.shape[-1]))
        parts: list[tuple[Tensor, ...]] = []
        with torch.inference_mode():
            for part in pictures.split(chunk):
                self._runtime.check_cancelled()
                self._runtime.ready(self._handle, _BYTES_PER_PIXEL * part.numel() // part.shape[-1])
                outputs = self._handle.module(self._as_input(part))
                outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
                parts.append(tuple(output.float().cpu() for output in outputs))
        return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))

    def _as_input(self, part: Tensor) -> Tensor:
        part = part.to(self._handle.device, torch.float32)
        if part.ndim != 4:
            return part
        return part.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
