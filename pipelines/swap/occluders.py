"""Which occluder: the published networks, or the guess that needs none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError, WrongWeightsError
from ..face import Face
from ..geometry.templates import crop_from_image
from ..geometry.transforms import Matrix
from ..geometry.warp import crop_pictures
from ..onnx_network import OnnxNetwork
from ..registry import Registry
from ..stitch.guess import guess_hidden
from ..stitch.occlusion import Occluder

#: Side of the crops that the networks take.
_SIDE_PX = 256

AUTO, GUESS = "auto", "guess"


@dataclass(frozen=True)
class OccluderKind:
    """A published network. name: for users. weights_id: of its file."""

    name: str
    weights_id: str


#: From the oldest to the newest; "auto" takes the last one whose file is present.
OCCLUDERS: tuple[OccluderKind, ...] = (
    OccluderKind("xseg_1", "facefusion_xseg_1"),
    OccluderKind("xseg_2", "facefusion_xseg_2"),
    OccluderKind("xseg_3", "facefusion_xseg_3"),
)


def occluder_names() -> tuple[str, ...]:
    """What `load_occluder` takes."""
    return (AUTO, GUESS, *(kind.name for kind in OCCLUDERS))


def load_occluder(registry: Registry, choice: str = AUTO) -> Occluder:
    """An occluder by name; "auto" is the newest network present, else the guess.

    Raises MissingWeightsError for a network that is not there, InputError for another name.
    """
    if choice == AUTO:
        present = [kind for kind in OCCLUDERS if registry.find(kind.weights_id) is not None]
        choice = present[-1].name if present else GUESS
    if choice == GUESS:
        return Occluder(GUESS, "Apache-2.0", guess_hidden)
    for kind in OCCLUDERS:
        if kind.name == choice:
            licence = registry.manifest.entry(kind.weights_id).licence
            return Occluder(kind.name, licence, xseg(OnnxNetwork(registry, kind.weights_id)))
    raise InputError(f"There is no occluder {choice!r}: choose one of {', '.join(occluder_names())}.")


def xseg(network: OnnxNetwork) -> Callable[[Tensor, Face], tuple[Tensor, Matrix]]:
    """What DeepFaceLab's XSeg sees as `Occluder.look`.

    The network takes one crop (1, 256, 256, 3), blue first, in [0, 1], and gives how much of each pixel is visible face
    (1, 256, 256, 1). Raises WrongWeightsError for a network of another shape.
    """
    inputs = network.inputs()
    expected = [_SIDE_PX, _SIDE_PX, 3]
    if len(inputs) != 1 or next(iter(inputs.values()))[1:] != expected:
        raise WrongWeightsError(
            f"{network.path} takes {inputs}; an XSeg network takes one crop (batch, {_SIDE_PX}, {_SIDE_PX}, 3): it is "
            "another model under that name. Fetch it anew."
        )
    (name,) = inputs

    def look(picture: Tensor, face: Face) -> tuple[Tensor, Matrix]:
        size = (_SIDE_PX, _SIDE_PX)
        matrix = crop_from_image(face, "ffhq_512", _SIDE_PX)
        crop = crop_pictures(picture[None, ..., :3], (0,), matrix[None], size, padding="border").clamp(0, 1)
        visible = torch.from_numpy(network.run({name: crop.flip(-1).contiguous().numpy()}))
        if tuple(visible.shape) != (1, *size, 1):
            raise WrongWeightsError(
                f"{network.path} gives {tuple(visible.shape)} instead of {(1, *size, 1)}: it is another model under "
                "that name. Fetch it anew."
            )
        # sharpened as where it is used most: what is half visible counts as hidden
        return 1 - (2 * visible[0, :, :, 0] - 1).clamp(0, 1), matrix

    return look
