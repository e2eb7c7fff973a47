"""GFPGAN 1.2 to 1.4 (Wang et al. 2021, arXiv 2101.04061): a face generator led by the worn face."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..registry import Registry
from .onnx_restorer import OnnxRestorer
from .restorer import PublishedFile, Restorer, RestorerNetwork
from .torch_network import TorchRestorer, build_with_spandrel

_LICENCE = "Apache-2.0; parts (StyleGAN2, DFDNet) are non-commercial"
_SIZE = 512


def _call(module: Any, crops: Tensor, _: float) -> Tensor:
    # the stored noise: the same picture always gives the same result, and a video does not flicker
    return module(crops, return_rgb=False, randomize_noise=False)[0]


def _torch(registry: Registry, weights_id: str) -> RestorerNetwork:
    return TorchRestorer(registry, weights_id, lambda path: build_with_spandrel(path, "GFPGAN"), _call)


def _onnx(registry: Registry, weights_id: str) -> RestorerNetwork:
    return OnnxRestorer(registry, weights_id, _SIZE)


GFPGAN_14 = Restorer(
    "gfpgan_1.4",
    "GFPGAN 1.4, natural and steady",
    _LICENCE,
    _SIZE,
    (
        PublishedFile("gfpgan_v1.4", _torch),
        PublishedFile("gfpgan_1.4_onnx", _onnx),
        PublishedFile("gfpgan_v1.4_onnx", _onnx),
    ),
)

GFPGAN_13 = Restorer(
    "gfpgan_1.3",
    "GFPGAN 1.3, smoother",
    _LICENCE,
    _SIZE,
    (PublishedFile("gfpgan_v1.3", _torch), PublishedFile("gfpgan_1.3_onnx", _onnx)),
)

GFPGAN_12 = Restorer(
    "gfpgan_1.2", "GFPGAN 1.2, sharper, with make-up", _LICENCE, _SIZE, (PublishedFile("gfpgan_1.2_onnx", _onnx),)
)
