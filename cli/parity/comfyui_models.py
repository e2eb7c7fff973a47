"""The small models of the parity files as ComfyUI's own classes, called through ComfyUI's patcher."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .fixture import Fixture


def start_comfyui() -> None:
    """Make ComfyUI's modules importable in this process, on the CPU; COMFYUI_DIR names its folder."""
    if "comfy.cli_args" in sys.modules:
        return
    folder = os.environ.get("COMFYUI_DIR", "")
    if not (Path(folder) / "comfy").is_dir():
        raise FileNotFoundError(f"COMFYUI_DIR names no ComfyUI folder (it is {folder!r}): run `./likeness parity`.")
    sys.path.insert(0, folder)
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    args.use_pytorch_cross_attention = True


def unet(fixture: Fixture) -> Any:
    """A patcher of the file's UNet with its synthetic weights."""
    import comfy.model_base
    import comfy.supported_models

    sdxl = fixture.json("unet_config")["adm_in_channels"] is not None
    kind = comfy.supported_models.SDXL if sdxl else comfy.supported_models.SD15
    model_class = comfy.model_base.SDXL if sdxl else comfy.model_base.BaseModel
    config = kind(fixture.json("unet_config"))
    config.unet_config = {**fixture.json("unet_config"), "dtype": torch.float32}
    return _patcher(model_class(config), fixture.weights("unet_shapes"))


def flux(fixture: Fixture) -> Any:
    """A patcher of the file's FLUX transformer with its synthetic weights."""
    import comfy.model_base
    import comfy.supported_models

    config = comfy.supported_models.Flux({})
    config.unet_config = {**fixture.config["comfy_flux"], "dtype": torch.float32}
    return _patcher(comfy.model_base.Flux(config), fixture.weights("shapes"))


def video_unet(fixture: Fixture) -> Any:
    """A patcher of ComfyUI's Stable Video Diffusion at the file's sizes, with weights of no meaning."""
    import comfy.model_base
    import comfy.model_patcher
    import comfy.supported_models

    sizes = fixture.config["comfy_unet_config"]
    config = comfy.supported_models.SVD_img2vid(sizes)
    config.unet_config = {**sizes, "dtype": torch.float32}
    cpu = torch.device("cpu")
    model = comfy.model_base.SVD_img2vid(config).eval()
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


def _patcher(model: Any, weights: Mapping[str, Tensor]) -> Any:
    import comfy.model_patcher

    model.diffusion_model.load_state_dict(weights)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model.eval(), load_device=cpu, offload_device=cpu)


def controlnet(fixture: Fixture) -> Any:
    """The file's ControlNet, published in the diffusers layout, as ComfyUI's ControlNet."""
    import comfy.cldm.cldm
    import comfy.controlnet
    import comfy.ops
    import comfy.utils

    config = fixture.json("unet_config")
    config.pop("out_channels")
    net = comfy.cldm.cldm.ControlNet(
        **config, hint_channels=3, dtype=torch.float32, operations=comfy.ops.disable_weight_init
    )
    names = comfy.utils.unet_to_diffusers(config) | _control_names(fixture)
    published = fixture.part("controlnet.", "controlnet_shapes")
    net.load_state_dict({names[key]: tensor for key, tensor in published.items()})
    return comfy.controlnet.ControlNet(net.eval(), load_device=torch.device("cpu"))


def _control_names(fixture: Fixture) -> dict[str, str]:
    """The names of a ControlNet's own layers: diffusers → ComfyUI."""
    names: dict[str, str] = {}
    blocks = len({key.split(".")[2] for key in fixture.json("controlnet_shapes") if ".controlnet_down_blocks." in key})
    hints = len({key.split(".")[3] for key in fixture.json("controlnet_shapes") if "_cond_embedding.blocks." in key})
    for kind in ("weight", "bias"):
        names[f"controlnet_mid_block.{kind}"] = f"middle_block_out.0.{kind}"
        for number in range(blocks):
            names[f"controlnet_down_blocks.{number}.{kind}"] = f"zero_convs.{number}.0.{kind}"
        names[f"controlnet_cond_embedding.conv_in.{kind}"] = f"input_hint_block.0.{kind}"
        for number in range(hints):
            names[f"controlnet_cond_embedding.blocks.{number}.{kind}"] = f"input_hint_block.{2 * number + 2}.{kind}"
        names[f"controlnet_cond_embedding.conv_out.{kind}"] = f"input_hint_block.{2 * hints + 2}.{kind}"
    return names


@torch.inference_mode()
def predict(patcher: Any, fixture: Fixture, control: Any = None) -> Tensor:
    """The network's own prediction (noise or velocity) by `BaseModel.apply_model`, the way a sampler calls it.

    The first row of the file's batch is the conditional side, the second the unconditional one.
    """
    import comfy.model_management

    models = [patcher] if control is None else [patcher, *control.get_models()]
    comfy.model_management.load_models_gpu(models)
    model = patcher.model
    sampling = model.model_sampling
    sigma = (
        fixture["in.timestep"]
        if fixture.metadata.get("unet_config") is None
        else sampling.sigma(fixture["in.timestep"])
    )
    latent = fixture["in.latent"]
    # the inverse of what the sampling does to the input, so that the network sees the file's latent
    scale = sampling.calculate_input(sigma, torch.ones_like(latent))
    x = latent / scale
    inputs: dict[str, Any] = {"c_crossattn": fixture["in.text"]}
    inputs |= {name: fixture[f"in.{name}"] for name in ("y", "guidance") if f"in.{name}" in fixture.tensors}
    options = {**patcher.model_options["transformer_options"], "cond_or_uncond": [0, 1], "sigmas": sigma}
    inputs["transformer_options"] = options
    if control is not None:
        control.pre_run(model, sampling.percent_to_sigma)
        inputs["control"] = control.get_control(x, sigma, inputs, 2, options)
    denoised = model.apply_model(x, sigma, **inputs)
    patcher.cleanup()
    return (x - denoised) / sigma.view(-1, 1, 1, 1)
