"""LivePortrait's networks at their real sizes, read from files as published, against the published implementation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ...pipelines.render.liveportrait.appearance import AppearanceExtractor
from ...pipelines.render.liveportrait.files import read_network
from ...pipelines.render.liveportrait.generator import Generator
from ...pipelines.render.liveportrait.motion import MotionExtractor, rotation_matrix
from ...pipelines.render.liveportrait.retargeting import Retargeting
from ...pipelines.render.liveportrait.warping import WarpingModule
from .check import Check, Error
from .synthetic import noise, weights

Network = TypeVar("Network", bound=nn.Module)

TOLERANCE = 1e-4
#: Degrees are sums of 66 bins.
DEGREE_TOLERANCE = 1e-3
_ROTATION = "out.rotation_pitch11_yaw-23_roll7"
_RETARGETING = {"stitching": "retarget_shoulder", "lip": "retarget_mouth", "eye": "retarget_eye"}


class Reference:
    """A reference file: stored inputs and outputs, and how to rebuild the rest."""

    def __init__(self, file: Path) -> None:
        with safe_open(file, "pt") as stored:
            self.tensors = {key: stored.get_tensor(key) for key in stored.keys()}
            metadata = stored.metadata()
        self.seed = int(metadata["seed"])
        self.shapes: dict[str, dict[str, list[int]]] = json.loads(metadata["shapes"])

    def weights(self, network: str) -> dict[str, Tensor]:
        return weights(self.shapes[network], self.seed)

    def error(self, quantity: str, value: Tensor, tolerance: float = TOLERANCE) -> Error:
        expected = self.tensors[f"out.{quantity}"]
        return Error(quantity, float((value.reshape(expected.shape) - expected).abs().max()), tolerance)


def through_a_file(network: Network, state: Mapping[str, Any]) -> Network:
    """The network filled from a torch file with these tensors, as a user's is."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "published.pth")
        torch.save(dict(state), file)
        return read_network(network, file)


@torch.no_grad()
def compare(file: Path) -> list[Error]:
    reference = Reference(file)
    image = noise("in:lpimg", (1, 3, 256, 256), reference.seed).sigmoid()
    return [
        *_motion(reference, image),
        *_retargeting(reference),
        *_appearance(reference, image),
        *_warp_and_generate(reference),
    ]


def _motion(reference: Reference, image: Tensor) -> list[Error]:
    motion = through_a_file(MotionExtractor(), reference.weights("motion_extractor"))(image)
    values = {
        "motion_kp": motion.keypoints,
        "motion_exp": motion.expression,
        "motion_t": motion.translation,
        "motion_scale": motion.scale,
    }
    for index, name in enumerate(("pitch", "yaw", "roll")):
        values[f"motion_{name}"] = motion.bins[:, index]
    degrees = [
        reference.error(f"{name}_deg", motion.rotation[:, index], DEGREE_TOLERANCE)
        for index, name in enumerate(("pitch", "yaw", "roll"))
    ]
    rotation = rotation_matrix(torch.tensor([[11.0, -23.0, 7.0]]))
    errors = [reference.error(name, value) for name, value in values.items()]
    return [*errors, *degrees, reference.error(_ROTATION.removeprefix("out."), rotation)]


def _retargeting(reference: Reference) -> list[Error]:
    state = {
        own: {
            f"module.{key}": value for key, value in reference.weights(f"stitching_retargeting_module.{theirs}").items()
        }
        for theirs, own in _RETARGETING.items()
    }
    networks = through_a_file(Retargeting(), state)
    return [
        reference.error(theirs, getattr(networks, own)(reference.tensors[f"in.{theirs}"]))
        for theirs, own in _RETARGETING.items()
    ]


def _appearance(reference: Reference, image: Tensor) -> list[Error]:
    network = through_a_file(AppearanceExtractor(), reference.weights("appearance_feature_extractor"))
    return [reference.error("feature_3d_sampled", network(image)[:, :, ::2, ::8, ::8])]


def _warp_and_generate(reference: Reference) -> list[Error]:
    volume = noise("in:f3", (1, 32, 16, 64, 64), reference.seed)
    network = through_a_file(WarpingModule(), reference.weights("warping_module"))
    warped = network(volume, reference.tensors["in.kp_driving"], reference.tensors["in.kp_source"])
    state = reference.weights("spade_generator")
    prefix = "spectral."
    state |= {key.removeprefix(prefix): value for key, value in reference.tensors.items() if key.startswith(prefix)}
    picture = through_a_file(Generator(), state)(warped.features)
    return [
        reference.error("deformation_sampled", warped.deformation[:, ::4, ::16, ::16]),
        reference.error("occlusion_sampled", warped.occlusion[:, :, ::4, ::4]),
        reference.error("warp_out_sampled", warped.features[:, ::8, ::8, ::8]),
        reference.error("image_sampled", picture[:, :, ::8, ::8]),
    ]


CHECK = Check("liveportrait", "LivePortrait's five networks, retargeting, pose angles and rotation", compare)
