"""RestoreFormer (Wang et al. 2022, arXiv 2201.06374) and RestoreFormer++ (2023, arXiv 2308.07228)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..registry import Registry
from .onnx_restorer import OnnxRestorer
from .restorer import PublishedFile, Restorer, RestorerNetwork
from .torch_network import TorchRestorer, build_with_spandrel

_SIZE = 512


def _call(module: Any, crops: Tensor, _: float) -> Tensor:
    return module(crops)[0]


def _torch(registry: Registry, weights_id: str) -> RestorerNetwork:
    return TorchRestorer(registry, weights_id, lambda path: build_with_spandrel(path, "RestoreFormer"), _call)


def _onnx(registry: Registry, weights_id: str) -> RestorerNetwork:
    return OnnxRestorer(registry, weights_id, _SIZE)


RESTOREFORMER = Restorer(
    "restoreformer", "RestoreFormer", "Apache-2.0", _SIZE, (PublishedFile("restoreformer", _torch),)
)

RESTOREFORMER_PLUS_PLUS = Restorer(
    "restoreformer_plus_plus",
    "RestoreFormer++, detailed",
    "Apache-2.0",
    _SIZE,
    (
        PublishedFile("restoreformer_plus_plus_onnx", _onnx),
        PublishedFile("restoreformer_plus_plus_fp16_onnx", _onnx),
    ),
)
