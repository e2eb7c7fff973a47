"""CodeFormer (Zhou et al. 2022, arXiv 2206.11253): faces out of a code book, with a dial for fidelity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files.checkpoint import load_into
from ..registry import Registry
from .codeformer_network import CodeFormerNetwork
from .onnx_restorer import OnnxRestorer
from .restorer import PublishedFile, Restorer, RestorerNetwork
from .torch_network import TorchRestorer, read_tensors

_SIZE = 512


def build_codeformer(path: Path) -> nn.Module:
    """The network of a published file. Raises WrongWeightsError, UnsafeFileError."""
    with torch.device("meta"):
        network = CodeFormerNetwork()
    load_into(network, read_tensors(path), f"{path} was read as CodeFormer", "or use another restorer")
    return network


def _call(module: Any, crops: Tensor, fidelity: float) -> Tensor:
    return module(crops, fidelity)


def _torch(registry: Registry, weights_id: str) -> RestorerNetwork:
    return TorchRestorer(registry, weights_id, build_codeformer, _call)


def _onnx(registry: Registry, weights_id: str) -> RestorerNetwork:
    return OnnxRestorer(registry, weights_id, _SIZE)


CODEFORMER = Restorer(
    "codeformer",
    "CodeFormer, strong, with fidelity",
    "S-Lab License 1.0: non-commercial",
    _SIZE,
    (
        PublishedFile("codeformer", _torch),
        PublishedFile("codeformer_onnx", _onnx),
        PublishedFile("codeformer_fp16_onnx", _onnx),
    ),
    has_fidelity=True,
)
