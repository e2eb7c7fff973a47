"""Diffusion models of the true layout at the least width ComfyUI's detection allows, with random weights.

Built from state dicts through ComfyUI's own detection, as files would be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

SD15_CONFIG = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 1, 1, 1], "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1,
    "transformer_depth_output": [1] * 9 + [0] * 3, "context_dim": 768, "use_spatial_transformer": True,
    "use_linear_in_transformer": False, "adm_in_channels": None, "num_classes": None, "legacy": False,
    "num_heads": 8, "num_head_channels": -1,
}  # fmt: skip
SDXL_CONFIG = SD15_CONFIG | {
    "num_res_blocks": [2, 2, 2], "channel_mult": [1, 1, 1], "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_middle": 10, "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10], "context_dim": 2048,
    "use_linear_in_transformer": True, "adm_in_channels": 2816, "num_classes": "sequential", "num_heads": -1,
    "num_head_channels": 64,
}  # fmt: skip
FLUX_CONFIG = {
    "in_channels": 16, "out_channels": 16, "vec_in_dim": 32, "context_in_dim": 64, "hidden_size": 128,
    "mlp_ratio": 4.0, "num_heads": 1, "depth": 5, "depth_single_blocks": 6, "axes_dim": [16, 56, 56],
    "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": True, "txt_ids_dims": [],
}  # fmt: skip

#: Width of every attention of the tiny UNets, of the narrow ones, and of the tiny FLUX.
WIDTH, NARROW, FLUX_WIDTH = 320, 64, 128

SD21_CONFIG = SD15_CONFIG | {
    "context_dim": 1024, "use_linear_in_transformer": True, "num_heads": -1, "num_head_channels": 64,
}  # fmt: skip
CONFIGS = {"SD1.5": SD15_CONFIG, "SDXL": SDXL_CONFIG, "SD2.1": SD21_CONFIG}


def random_state(shapes: Iterable[tuple[str, torch.Size]], seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights that keep activations near 1: matrices by fan-in, norms 1, biases 0."""
    pool = torch.randn(1 << 20, generator=torch.Generator().manual_seed(seed))
    state: dict[str, Tensor] = {}
    for number, (name, shape) in enumerate(shapes):
        if len(shape) >= 2:
            count = shape.numel()
            values = pool.roll(number * 7919).repeat(math.ceil(count / len(pool)))[:count].view(shape)
            state[name] = (values / math.sqrt(shape[1:].numel())).to(dtype)
        else:
            state[name] = torch.full(shape, 1.0 if name.endswith("weight") else 0.0, dtype=dtype)
    return state


def unet_state(config: dict[str, Any], seed: int = 1, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    net = UNetModel(**config, device="meta", operations=comfy.ops.disable_weight_init)
    return random_state(((n, t.shape) for n, t in net.state_dict().items()), seed, dtype)


def unet(config: dict[str, Any], seed: int = 1) -> Any:
    """A fresh model patcher."""
    import comfy.sd

    return comfy.sd.load_diffusion_model_state_dict(unet_state(config, seed))


def narrow_unet(kind: str, seed: int = 1) -> Any:
    """A fresh patcher of a UNet that has every site and is too narrow for ComfyUI's detection: its class is given."""
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    classes = comfy.supported_models
    config = {"SD1.5": classes.SD15, "SDXL": classes.SDXL, "SD2.1": classes.SD20}[kind](narrow_config(kind))
    config.set_inference_dtype(torch.float32, None)
    state = unet_state(narrow_config(kind), seed, torch.float32)
    model = config.get_model(state, "")
    model.diffusion_model.load_state_dict(state)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model.eval(), load_device=cpu, offload_device=cpu)


def narrow_config(kind: str) -> dict[str, Any]:
    heads = {"num_heads": -1, "num_head_channels": 16}
    return CONFIGS[kind] | heads | {"model_channels": NARROW}


def flux(seed: int = 1) -> Any:
    import comfy.ops
    import comfy.sd
    from comfy.ldm.flux.model import Flux

    net = Flux(**FLUX_CONFIG, device="meta", operations=comfy.ops.disable_weight_init)
    shapes = ((n, t.shape) for n, t in net.state_dict().items())
    return comfy.sd.load_diffusion_model_state_dict(random_state(shapes, seed, torch.float32))


def controlnet(seed: int = 2, config: dict[str, Any] = SD15_CONFIG) -> Any:
    """A ControlNet of a tiny UNet, SD1.5's unless given."""
    import comfy.cldm.cldm
    import comfy.controlnet
    import comfy.ops

    config = {key: value for key, value in config.items() if key != "out_channels"}
    operations = comfy.ops.disable_weight_init
    net = comfy.cldm.cldm.ControlNet(**config, hint_channels=3, device="meta", operations=operations)
    state = random_state(((n, t.shape) for n, t in net.state_dict().items()), seed, torch.float16)
    return comfy.controlnet.load_controlnet_state_dict(state)


def narrow_controlnet(kind: str, seed: int = 2) -> Any:
    """A ControlNet for `narrow_unet`."""
    import comfy.cldm.cldm
    import comfy.controlnet
    import comfy.ops

    config = {key: value for key, value in narrow_config(kind).items() if key != "out_channels"}
    net = comfy.cldm.cldm.ControlNet(
        **config, hint_channels=3, dtype=torch.float32, operations=comfy.ops.disable_weight_init
    )
    net.load_state_dict(random_state(((n, t.shape) for n, t in net.state_dict().items()), seed, torch.float32))
    return comfy.controlnet.ControlNet(net.eval(), load_device=torch.device("cpu"))


def flux_controlnet(seed: int = 2) -> Any:
    """A ControlNet of the tiny FLUX that reads pictures."""
    import comfy.controlnet
    import comfy.ldm.flux.controlnet
    import comfy.ops

    config = FLUX_CONFIG | {"depth": 2, "depth_single_blocks": 0}
    net = comfy.ldm.flux.controlnet.ControlNetFlux(**config, operations=comfy.ops.disable_weight_init)
    net.load_state_dict(random_state(((n, t.shape) for n, t in net.state_dict().items()), seed, torch.float32))
    return comfy.controlnet.ControlNet(net.eval(), load_device=torch.device("cpu"), extra_conds=["y", "guidance"])


def conditioning(width: int, seed: int, length: int = 77, pooled: int = 1280) -> list[Any]:
    """CONDITIONING as a text encoder gives it."""
    random = torch.Generator().manual_seed(seed)
    text = torch.randn(1, length, width, generator=random)
    return [[text, {"pooled_output": torch.randn(1, pooled, generator=random), "guidance": 3.5}]]


#: Width of the text tokens and of the pooled vector of each tiny model.
TEXT = {"SD1.5": (768, 768), "SD2.1": (1024, 1024), "SDXL": (2048, 1280), "FLUX": (64, 32)}


def sample(model: Any, kind: str, **dials: Any) -> Tensor:
    """What KSampler gives: latents. dials: size (h, w) of the latent, batch, steps, cfg, seed, positive, negative."""
    import comfy.sample

    width, pooled = TEXT[kind]
    height_width = dials.get("size", (8, 8))
    latent = torch.zeros(dials.get("batch", 1), 16 if kind == "FLUX" else 4, *height_width)
    seed = dials.get("seed", 0)
    return comfy.sample.sample(
        model, comfy.sample.prepare_noise(latent, seed), dials.get("steps", 2), dials.get("cfg", 7.0), "euler",
        "normal", dials.get("positive", conditioning(width, 1, pooled=pooled)),
        dials.get("negative", conditioning(width, 2, pooled=pooled)), latent, disable_pbar=True, seed=seed,
    )  # fmt: skip
