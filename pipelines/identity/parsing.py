"""Face parsing: which part of the face, its hair or its surroundings each pixel of a crop shows.

The published networks are for research and come from the user's own files; without one, outlines from landmarks take
their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError, MissingWeightsError, WrongWeightsError
from ..files.checkpoint import read_checkpoint
from ..onnx_network import OnnxNetwork
from ..registry import Registry, Runtime
from .net_bisenet import build_bisenet

#: The 19 classes in the order of the published networks (CelebAMask-HQ as face-parsing.PyTorch numbers it).
CLASSES = (
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r", "nose", "mouth",
    "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
)  # fmt: skip
#: Part → its classes. "face" is everything inside the face's outline, "head" that with ears, hair and hat.
PARSED_PARTS: dict[str, tuple[str, ...]] = {
    "face": (
        "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "nose", "mouth", "u_lip", "l_lip",
    ),
    "skin": ("skin", "nose"),
    "brows": ("l_brow", "r_brow"),
    "eyes": ("l_eye", "r_eye"),
    "nose": ("nose",),
    "lips": ("u_lip", "l_lip"),
    "mouth_interior": ("mouth",),
    "hair": ("hair",),
    "hat": ("hat",),
    "glasses": ("eye_g",),
    "ears": ("l_ear", "r_ear", "ear_r"),
    "neck": ("neck", "neck_l"),
    "clothes": ("cloth",),
    "background": ("background",),
}  # fmt: skip
#: Side of the crops that the networks were trained on, and how many are parsed at once.
PARSED_SIZE_PX, AT_ONCE = 512, 4
#: Memory that one crop takes inside the network, for the memory manager.
ACTIVATION_BYTES = 250_000_000
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: (n, 3, 512, 512) normalised → (n, 19, 512, 512) logits on the CPU.
Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ParserKind:
    """A published parser. name: for users. weights_id: of its file. load: makes its shared network."""

    name: str
    weights_id: str
    load: Callable[[Registry, str], Network]


def _torch_file(registry: Registry, weights_id: str) -> Network:
    def build(path: Path) -> nn.Module:
        return build_bisenet(read_checkpoint(path).tensors, path.name, len(CLASSES))

    handle = registry.load(weights_id, build)

    def run(pixels: Tensor) -> Tensor:
        registry.runtime.ready(handle, ACTIVATION_BYTES * len(pixels))
        with torch.no_grad():
            return handle.module(pixels.to(handle.device)).float().cpu()

    return run


def _onnx_file(registry: Registry, weights_id: str) -> Network:
    network = OnnxNetwork(registry, weights_id)
    (name,) = network.inputs()

    def run(pixels: Tensor) -> Tensor:
        # the published files take one picture at a time; their first output is the finest
        logits = [torch.from_numpy(network.run({name: pixel[None].contiguous().numpy()})) for pixel in pixels]
        expected = (1, len(CLASSES), *pixels.shape[2:])
        if tuple(logits[0].shape) != expected:
            raise WrongWeightsError(
                f"{network.path} gives {tuple(logits[0].shape)} instead of {expected}: it is another model under that "
                "name. Fetch it anew."
            )
        return torch.cat(logits)

    return run


#: Ordered: "auto" takes the first whose file is present. The first is what PuLID and MasterWeaver were made with.
PARSERS: tuple[ParserKind, ...] = (
    ParserKind("bisenet", "bisenet_face_parsing", _torch_file),
    ParserKind("bisenet_resnet_34", "bisenet_resnet_34", _onnx_file),
    ParserKind("bisenet_resnet_18", "bisenet_resnet_18", _onnx_file),
)
AUTO = "auto"


@dataclass(frozen=True, eq=False)
class FaceParser:
    """A loaded parser. licence: of its file."""

    name: str
    licence: str
    network: Network
    runtime: Runtime

    def probabilities(self, crops: Tensor) -> Tensor:
        """(N, 19, 512, 512) on the CPU: how likely each pixel belongs to each of `CLASSES`, sum 1.

        crops: (N, 512, 512, 3) float in [0, 1], aligned to "ffhq_512". Raises InputError for another shape.
        """
        return torch.cat([part.softmax(1) for part in self._logits(crops)])

    def labels(self, crops: Tensor) -> Tensor:
        """(N, 512, 512) int64: the likeliest class of each pixel, a number in `CLASSES`; crops as above."""
        return torch.cat([part.argmax(1) for part in self._logits(crops)])

    def _logits(self, crops: Tensor) -> list[Tensor]:
        if crops.ndim != 4 or not len(crops) or tuple(crops.shape[1:]) != (PARSED_SIZE_PX, PARSED_SIZE_PX, 3):
            raise InputError(
                f"Face parsing reads crops (N, {PARSED_SIZE_PX}, {PARSED_SIZE_PX}, 3), this is {tuple(crops.shape)}."
            )
        mean, std = (crops.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        normalised = (crops.permute(0, 3, 1, 2).float() - mean) / std
        return [self._run(normalised[at : at + AT_ONCE]) for at in range(0, len(crops), AT_ONCE)]

    def _run(self, pixels: Tensor) -> Tensor:
        self.runtime.check_cancelled()
        return self.network(pixels)


def is_class(labels: Tensor, classes: tuple[str, ...]) -> Tensor:
    """Where labels of any shape are one of `classes`: float in {0, 1} of the same shape."""
    return torch.isin(labels, torch.tensor([CLASSES.index(name) for name in classes])).float()


def parser_names() -> tuple[str, ...]:
    """What `load_parser` takes."""
    return (AUTO, *(kind.name for kind in PARSERS))


def present_parser(registry: Registry) -> FaceParser | None:
    """The best parser whose file is present, or None."""
    kind = next((kind for kind in PARSERS if registry.find(kind.weights_id) is not None), None)
    return None if kind is None else _loaded(registry, kind)


def load_parser(registry: Registry, choice: str = AUTO) -> FaceParser:
    """A parser by name, or the best one present.

    Raises MissingWeightsError that says what to put where, InputError for another name.
    """
    if choice == AUTO:
        found = present_parser(registry)
        if found is not None:
            return found
        best = registry.manifest.entry(PARSERS[0].weights_id)
        raise MissingWeightsError(
            f"There is no face parser yet. Put {best.file} ({best.size_text}) into ComfyUI/models/{best.folder}, or "
            f"fetch it with `./likeness fetch {best.id}`. Licence: {best.licence}."
        )
    for kind in PARSERS:
        if kind.name == choice:
            return _loaded(registry, kind)
    raise InputError(f"There is no face parser {choice!r}: choose one of {', '.join(parser_names())}.")


def _loaded(registry: Registry, kind: ParserKind) -> FaceParser:
    licence = registry.manifest.entry(kind.weights_id).licence
    return FaceParser(kind.name, licence, kind.load(registry, kind.weights_id), registry.runtime)
