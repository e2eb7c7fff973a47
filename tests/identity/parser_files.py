"""Files of face parsers as they are published, with random weights; and a parser that reads classes from colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from likeness.pipelines.identity.parsing import CLASSES, FaceParser
from likeness.pipelines.runtime import TorchRuntime

Shapes = Iterator[tuple[str, tuple[int, ...]]]
MEAN, STD = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def _norm(name: str, width: int) -> Shapes:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (width,)
    yield f"{name}.num_batches_tracked", ()


def _conv_norm(name: str, inputs: int, outputs: int, kernel: int = 3) -> Shapes:
    yield f"{name}.conv.weight", (outputs, inputs, kernel, kernel)
    yield from _norm(f"{name}.bn", outputs)


def _resnet(name: str) -> Shapes:
    yield f"{name}.conv1.weight", (64, 3, 7, 7)
    yield from _norm(f"{name}.bn1", 64)
    inputs = 64
    for layer, width in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            place = f"{name}.layer{layer}.{block}"
            yield f"{place}.conv1.weight", (width, inputs, 3, 3)
            yield from _norm(f"{place}.bn1", width)
            yield f"{place}.conv2.weight", (width, width, 3, 3)
            yield from _norm(f"{place}.bn2", width)
            if inputs != width:
                yield f"{place}.downsample.0.weight", (width, inputs, 1, 1)
                yield from _norm(f"{place}.downsample.1", width)
            inputs = width


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Key → shape of 79999_iter.pth."""
    shapes = dict(_resnet("cp.resnet"))
    for name, inputs in (("arm16", 256), ("arm32", 512)):
        shapes |= dict(_conv_norm(f"cp.{name}.conv", inputs, 128))
        shapes |= {f"cp.{name}.conv_atten.weight": (128, 128, 1, 1), **dict(_norm(f"cp.{name}.bn_atten", 128))}
    shapes |= dict(_conv_norm("cp.conv_head32", 128, 128)) | dict(_conv_norm("cp.conv_head16", 128, 128))
    shapes |= dict(_conv_norm("cp.conv_avg", 512, 128, 1)) | dict(_conv_norm("ffm.convblk", 256, 256, 1))
    shapes |= {"ffm.conv1.weight": (64, 256, 1, 1), "ffm.conv2.weight": (256, 64, 1, 1)}
    for name, inputs, middle in (("conv_out", 256, 256), ("conv_out16", 128, 64), ("conv_out32", 128, 64)):
        shapes |= dict(_conv_norm(f"{name}.conv", inputs, middle))
        shapes |= {f"{name}.conv_out.weight": (len(CLASSES), middle, 1, 1)}
    return shapes


def published_state(seed: int = 0) -> dict[str, Tensor]:
    """A random state dict whose signals keep their size through the layers."""
    random = torch.Generator().manual_seed(seed)

    def values(key: str, shape: tuple[int, ...]) -> Tensor:
        if not shape:
            return torch.tensor(80000)
        noise = torch.randn(shape, generator=random)
        if len(shape) == 4:
            return noise / (shape[1] * shape[2] * shape[3]) ** 0.5
        return 1 + 0.2 * noise.abs() if key.endswith(("var", "weight")) else 0.2 * noise

    return {key: values(key, shape) for key, shape in published_shapes().items()}


def save_parser(models: Path, seed: int = 0) -> Path:
    """parsing_bisenet.pth below a models folder."""
    path = models / "facexlib" / "parsing_bisenet.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(published_state(seed), path)
    return path


def painted(labels: Tensor) -> Tensor:
    """Labels (N, H, W) → a picture (N, H, W, 3) from which `colour_parser` reads them."""
    red = labels.float() / (len(CLASSES) - 1)
    return torch.stack([red, torch.full_like(red, 0.25), 1 - red], dim=-1)


def colour_parser() -> FaceParser:
    """Says of every pixel the class that its red stands for, with logits that fall with the distance to it."""

    def network(pixels: Tensor) -> Tensor:
        value = (pixels * STD + MEAN)[:, :1] * (len(CLASSES) - 1)
        return -8 * (value - torch.arange(len(CLASSES)).view(1, -1, 1, 1)).abs()

    return FaceParser("by colour", "none", network, TorchRuntime())
