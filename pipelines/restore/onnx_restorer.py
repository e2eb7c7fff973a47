"""Restorers that are one ONNX network, whatever its inputs are called: a picture, and perhaps a fidelity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import WrongWeightsError
from ..onnx_network import OnnxNetwork
from ..registry import Registry

#: Crops that go through a network of a free batch size in one call.
_BATCH = 8


class OnnxRestorer:
    """See `RestorerNetwork`. size: side of the crops in px. Raises WrongWeightsError for another network's file."""

    def __init__(self, registry: Registry, weights_id: str, size: int) -> None:
        self._runtime = registry.runtime
        self._network = OnnxNetwork(registry, weights_id)
        inputs = self._network.inputs()
        pictures = [name for name, shape in inputs.items() if len(shape) == 4]
        others = [name for name in inputs if name not in pictures]
        if len(pictures) != 1 or len(others) > 1:
            raise WrongWeightsError(
                f"{self._network.path} has the inputs {', '.join(f'{k} {v}' for k, v in inputs.items())}; a restorer "
                "takes one picture and perhaps one number. It is another model under that name: fetch it anew."
            )
        shape = inputs[pictures[0]]
        if any(isinstance(got, int) and got != need for got, need in zip(shape[1:], (3, size, size), strict=True)):
            raise WrongWeightsError(
                f"{self._network.path} takes {shape}, {weights_id} is (batch, 3, {size}, {size}): another model under "
                "that name. Fetch it anew."
            )
        self._picture, self._number = pictures[0], others[0] if others else None
        self._is_fixed = isinstance(shape[0], int) and shape[0] > 0
        self._batch = shape[0] if self._is_fixed else _BATCH

    def restore(self, crops: Tensor, fidelity: float) -> Tensor:
        """As the protocol says; a cancel is noticed between batches."""
        signed = (crops.permute(0, 3, 1, 2) * 2 - 1).contiguous().cpu().numpy()
        done: list[Tensor] = []
        for start in range(0, len(signed), self._batch):
            self._runtime.check_cancelled()
            done.append(self._run(signed[start : start + self._batch], fidelity))
        return torch.cat(done).to(crops.device) if done else crops

    def _run(self, signed: Any, fidelity: float) -> Tensor:
        count = len(signed)
        if self._is_fixed and count < self._batch:
            signed = np.concatenate([signed, np.repeat(signed[-1:], self._batch - count, 0)])
        values = {self._picture: signed}
        if self._number is not None:
            values[self._number] = np.array([fidelity])
        result = self._network.run(values)[:count]
        if result.ndim != 4 or result.shape[1] != 3 or result.shape[2] != result.shape[3]:
            raise WrongWeightsError(
                f"{self._network.path} gives {result.shape} for {signed.shape}; a restorer gives (batch, 3, side, "
                "side). It is another model under that name: fetch it anew."
            )
        return (torch.from_numpy(result).permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1).contiguous()
