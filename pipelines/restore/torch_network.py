"""Restorers that are torch networks: batches of crops in [-1, 1] on the registry's device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MissingPackageError, WrongWeightsError
from ..files.checkpoint import read_checkpoint
from ..registry import Registry

#: Crops that go through a network in one call.
BATCH = 8

#: Memory that one 512 px crop takes on its way, measured with GFPGAN and CodeFormer.
_ACTIVATION_BYTES = 1_200_000_000

#: The restored crops (N, 3, S, S) of (N, 3, S, S), both in [-1, 1], and the fidelity.
Call = Callable[[Any, Tensor, float], Tensor]


class TorchRestorer:
    """See `RestorerNetwork`. build: makes the module of a file. call: runs it."""

    def __init__(self, registry: Registry, weights_id: str, build: Callable[[Path], nn.Module], call: Call) -> None:
        self._runtime = registry.runtime
        self._handle = registry.load(weights_id, build)
        self._call = call

    def restore(self, crops: Tensor, fidelity: float) -> Tensor:
        """As the protocol says; a cancel is noticed between batches."""
        done: list[Tensor] = []
        for batch in crops.split(BATCH):
            self._runtime.check_cancelled()
            self._runtime.ready(self._handle, _ACTIVATION_BYTES * len(batch))
            signed = (batch.to(self._handle.device).permute(0, 3, 1, 2) * 2 - 1).contiguous()
            with torch.no_grad():
                result = self._call(self._handle.module, signed, fidelity)
            done.append((result.float().permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1).to(crops.device))
        return torch.cat(done) if done else crops


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a published restorer, the averaged ones where a file has both. Raises as `read_checkpoint`."""
    checkpoint = read_checkpoint(path)
    return checkpoint.part("params_ema.") or checkpoint.part("params.") or dict(checkpoint.tensors)


def build_with_spandrel(path: Path, architecture: str) -> nn.Module:
    """A module of spandrel's, which must recognise the file as this architecture.

    Raises MissingPackageError, and WrongWeightsError for a file of something else.
    """
    try:
        import spandrel
    except ImportError as error:
        raise MissingPackageError(
            f"{path.name} needs the package spandrel, which comes with ComfyUI: `pip install spandrel`, then restart."
        ) from error
    tensors = read_tensors(path)
    wrong = f"{path} is no {architecture}{{}}. It is another model under that name, or cut off: fetch it anew."
    try:
        # strict, so that every key of the file is used and none is missing
        found = spandrel.ModelLoader().load_from_state_dict(tensors)
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, IndexError) as error:
        reason = str(error).partition("\n")[0] or "spandrel knows no network with such keys"
        raise WrongWeightsError(wrong.format(f" ({reason})")) from error
    if found.architecture.id != architecture:
        raise WrongWeightsError(wrong.format(f", spandrel finds {found.architecture.name} in it"))
    return found.model
