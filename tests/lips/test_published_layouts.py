"""The networks have the layout, sizes and numbering of the published files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from likeness.pipelines.errors import WrongWeightsError
from likeness.pipelines.lips.unavglip import ATTENTIONS, build_unavglip, check_fits
from likeness.pipelines.lips.unet import build_unet
from likeness.tests.lips.tiny_lips import adapter_state, tiny_unet

KEYS = json.loads(gzip.decompress(Path(__file__).with_name("published_keys.json.gz").read_bytes()))


def published(name):
    """Tensors without storage, of the published names and shapes."""
    return {key: torch.empty(shape, device="meta") for key, shape in KEYS[name].items()}


def parameters(network):
    return sum(tensor.numel() for tensor in network.parameters())


def test_musetalks_unet_has_its_686_tensors_and_no_other():
    unet = build_unet(published("musetalk_unet"), "unet.pth")
    assert (unet.sizes.inputs, unet.sizes.outputs, unet.sizes.context) == (8, 4, 384)
    assert len(unet.state_dict()) == 686 and parameters(unet) == 849_947_844


def test_unavglip_has_its_339_tensors_and_fits_musetalks_attentions_by_number():
    adapter = build_unavglip(published("unavglip_adapter"), "adapter.pth")
    assert len(adapter.state_dict()) == 339 and parameters(adapter) == 46_460_928
    unet = build_unet(published("musetalk_unet"), "unet.pth")
    assert [attention.number for attention in unet.attentions] == list(range(ATTENTIONS))
    check_fits(adapter, unet, "adapter.pth")


def test_the_attentions_are_counted_down_up_and_middle_as_adapter_files_count():
    unet = build_unet(published("musetalk_unet"), "unet.pth")
    widths = [attention.to_q.in_features for attention in unet.attentions[1::2]]
    assert widths == [320, 320, 640, 640, 1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320, 1280]


def test_an_adapter_for_another_network_is_refused_with_both_sizes():
    state = adapter_state(tiny_unet(context=96))
    with pytest.raises(WrongWeightsError, match="attention 1 with 32 and 96 channels; MuseTalk's has 32 and 384"):
        check_fits(build_unavglip(state, "a.pth"), tiny_unet(), "a.pth")


@pytest.mark.parametrize("change", ["missing", "left over", "shape", "attention"])
def test_a_file_that_is_not_whole_is_refused_and_says_what_differs(change):
    state = adapter_state(tiny_unet())
    if change == "missing":
        del state["image_proj_model.proj_in.bias"]
    elif change == "left over":
        state["ip_adapter.1.to_k_ip.weight"] = torch.zeros(1)
    elif change == "shape":
        state["image_proj_model.norm_out.bias"] = torch.zeros(3)
    else:
        state = {key: tensor for key, tensor in state.items() if not key.startswith("adapter_modules.7.")}
    said = {
        "missing": "proj_in.bias",
        "left over": "ip_adapter.1",
        "shape": "norm_out.bias",
        "attention": "31 attentions",
    }
    with pytest.raises(WrongWeightsError, match=said[change]):
        build_unavglip(state, "a.pth")


def test_the_unusable_published_perceiver_is_refused():
    state = adapter_state(tiny_unet())
    state = {key: tensor for key, tensor in state.items() if ".layers.0.1." not in key}
    state["image_proj_model.layers.0.1.linear1.weight"] = torch.zeros(2048, 64)
    with pytest.raises(WrongWeightsError, match=r"layers\.0\.1\.1\.weight"):
        build_unavglip(state, "a.pth")


def test_another_network_under_the_name_of_the_unet_is_refused():
    with pytest.raises(WrongWeightsError, match="no UNet of Stable Diffusion"):
        build_unet({"encoder.weight": torch.zeros(3, 3)}, "unet.pth")
    state = tiny_unet().state_dict()
    del state["mid_block.resnets.1.conv2.bias"]
    with pytest.raises(WrongWeightsError, match=r"mid_block\.resnets\.1\.conv2\.bias"):
        build_unet(state, "unet.pth")
