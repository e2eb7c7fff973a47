"""The embedded networks: they give what the published ones give, one by one and in batches, and refuse other files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch import Tensor, nn

from likeness.pipelines.errors import WrongWeightsError
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.detection import BlazeFaceDetector
from likeness.pipelines.identity.dlib_recogniser import DlibRecogniser
from likeness.pipelines.identity.net_blazeface import FullRangeDetector, back_camera, short_range
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES, INPUT_LANDMARKS, BlendshapeNetwork
from likeness.pipelines.identity.net_dlib import IdentityNetwork
from likeness.pipelines.identity.net_landmarks import LandmarkNetwork
from likeness.pipelines.identity.net_layers import SameConv, read_weights
from likeness.pipelines.registry import Registry

EMBEDDED = Path(__file__).resolve().parents[2] / "pipelines" / "identity" / "embedded"
ORACLES = load_file(Path(__file__).resolve().parents[1] / "parity" / "fixtures" / "embedded_oracles.safetensors")
#: File, network, side of its input.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "blazeface_full_range": (FullRangeDetector, 192),
    "blazeface_back": (back_camera, 256),
    "blazeface_short": (short_range, 128),
    "face_landmarks_478": (LandmarkNetwork, 256),
    "dlib_resnet_128": (IdentityNetwork, 150),
}


def load(name: str) -> nn.Module:
    return read_weights(NETWORKS[name][0](), EMBEDDED / f"{name}.safetensors")


def outputs(network: nn.Module, pictures: Tensor) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        result = network(pictures)
    return (result,) if isinstance(result, Tensor) else result


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_gives_what_its_members_give(name: str) -> None:
    network, side = load(name), NETWORKS[name][1]
    pictures = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    together = outputs(network, pictures)
    alone = [outputs(network, picture[None]) for picture in pictures]
    for index, output in enumerate(together):
        expected = torch.cat([single[index] for single in alone])
        assert output.shape == expected.shape
        assert (output - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", ["astronaut", "hopper"])
def test_the_identity_of_a_given_chip_is_dlibs(name: str, registry: Registry) -> None:
    chip = torch.from_numpy(ORACLES[f"{name}.chip_150_rgb_u8"]).float()[None] / 255
    vector = DlibRecogniser(registry).embed_chips(chip)
    assert vector.shape == (1, 128)
    assert np.linalg.norm(vector[0] - ORACLES[f"{name}.identity_128"]) <= 0.002


def test_the_identity_network_lets_gradients_through_to_the_pixels() -> None:
    network = load("dlib_resnet_128")
    picture = torch.rand(1, 3, 150, 150, generator=torch.Generator().manual_seed(2), requires_grad=True)
    network(picture).square().sum().backward()
    assert picture.grad is not None and picture.grad.abs().max() > 0


def test_the_landmarker_is_sure_of_a_face_and_sure_that_noise_is_none(astronaut: Tensor) -> None:
    network = load("face_landmarks_478")
    face = nn.functional.interpolate(astronaut[:, 20:190, 140:310].permute(0, 3, 1, 2), (256, 256), mode="bilinear")
    noise = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(3))
    _, presence = outputs(network, torch.cat([face, noise]))
    assert presence[0] > 8 and presence[1] < -2


@pytest.mark.parametrize("name", ["blazeface_full_range", "blazeface_back", "blazeface_short"])
def test_every_detector_puts_its_best_box_on_the_face(name: str, astronaut: Tensor) -> None:
    network, side = load(name), NETWORKS[name][1]
    small = nn.functional.interpolate(astronaut.permute(0, 3, 1, 2), (side, side), mode="bilinear", antialias=True)
    scores, boxes = outputs(network, small * 2 - 1)
    best = boxes[0, scores[0].argmax()] * (512 / side)
    assert scores.sigmoid().max() > 0.8
    assert torch.allclose(best[:2], torch.tensor([225.0, 124.0]), atol=15)
    assert best[4] < best[6], "the person's right eye is on the left of the picture"


def test_the_full_range_detector_takes_inputs_of_any_multiple_of_32(astronaut: Tensor) -> None:
    network = load("blazeface_full_range")
    scores, boxes = outputs(network, astronaut[:, :320, :448].permute(0, 3, 1, 2) * 2 - 1)
    best = boxes[0, scores[0].argmax()]
    assert torch.allclose(best[:2], torch.tensor([225.0, 124.0]), atol=10)


def test_blendshapes_do_not_depend_on_size_and_place_of_the_face() -> None:
    network = read_weights(BlendshapeNetwork(), EMBEDDED / "face_blendshapes_52.safetensors")
    landmarks = torch.from_numpy(ORACLES["hopper.landmarks"])[None]
    here, elsewhere = outputs(network, landmarks)[0], outputs(network, landmarks * 3 + 100)[0]
    assert here.shape == (1, len(BLENDSHAPE_NAMES)) == (1, 52)
    assert len(INPUT_LANDMARKS) == 146
    assert (here - elsewhere).abs().max() < 1e-4
    assert np.abs(here[0].numpy() - ORACLES["hopper.blendshapes"]).mean() < 0.002


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_convolutions_are_padded_as_in_tensorflow(kernel: int, stride: int) -> None:
    convolution = SameConv(1, 1, kernel, stride)
    nn.init.ones_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    total = kernel - stride
    padded = nn.functional.pad(torch.ones(1, 1, 8, 8), [total // 2, total - total // 2] * 2)
    expected = nn.functional.conv2d(padded, torch.ones(1, 1, kernel, kernel), stride=stride)
    assert torch.equal(convolution(torch.ones(1, 1, 8, 8)), expected)
    assert expected.shape[-1] == 8 // stride


def test_a_file_with_other_tensors_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"stem.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WrongWeightsError, match=re.escape(str(path))) as raised:
        read_weights(LandmarkNetwork(), path)
    assert "LandmarkNetwork" in str(raised.value)


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes((EMBEDDED / "blazeface_short.safetensors").read_bytes()[:5000])
    with pytest.raises(WrongWeightsError, match="cut.safetensors"):
        read_weights(short_range(), path)


def test_two_analyses_share_their_networks(registry: Registry, analysis: FaceAnalysis) -> None:
    assert isinstance(analysis.detector, BlazeFaceDetector)
    handle = registry.load("blazeface_short", lambda path: pytest.fail(f"{path} was read again"))
    assert handle is registry.load("blazeface_short", lambda path: pytest.fail(f"{path} was read again"))
