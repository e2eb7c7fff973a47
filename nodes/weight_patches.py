"""The weight changes in an adapter's file, as ComfyUI's model patcher takes them."""

from __future__ import annotations

from typing import Any

import comfy.lora
import comfy.lora_convert
from comfy.weight_adapter.lora import LoRAAdapter

from ..pipelines.adapters.family import IdentityAdapter
from ..pipelines.adapters.lora import comfy_weights
from ..pipelines.errors import InputError
from .model_sites import backbone_of


def weight_patches(model: Any, adapter: IdentityAdapter) -> dict[str, Any]:
    """Name of a weight of the model → its change: the LoRA of every attention, a LoRA by names, and new weights."""
    patches = _named(model, adapter) if adapter.named_lora else {}
    if adapter.lora:
        for name, pair in comfy_weights(adapter.lora, backbone_of(adapter)).items():
            patches[f"diffusion_model.{name}"] = LoRAAdapter(set(), (pair.up, pair.down, None, None, None, None))
    if adapter.replaced:
        sites = backbone_of(adapter).by_number()
        for number, tensors in adapter.replaced.items():
            for name, tensor in tensors.items():
                patches[f"diffusion_model.{sites[number].comfy}.{name}"] = ("set", (tensor,))
    return patches


def _named(model: Any, adapter: IdentityAdapter) -> dict[str, Any]:
    """The LoRA that a file names as LoRA files do; every tensor of it must find its weight."""
    lora = comfy.lora_convert.convert_lora(dict(adapter.named_lora))
    patches = comfy.lora.load_lora(lora, comfy.lora.model_lora_keys_unet(model, {}), log_missing=False)
    used = {key for patch in patches.values() for key in patch.loaded_keys}
    unused = sorted(lora.keys() - used)
    if unused:
        raise InputError(
            f"{adapter.file}: {len(unused)} tensor(s) of its LoRA fit no weight of the model, the first is "
            f"{unused[0]}: it is made for {adapter.backbone}. Connect such a model."
        )
    return patches
