"""The weight changes that adapter files bring, on a diffusers UNet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..errors import InputError
from .family import IdentityAdapter
from .lora import LoraPair, diffusers_weights
from .sites import backbone_of


def attach_weights(model: nn.Module, adapter: IdentityAdapter, strength: float = 1.0) -> list[RemovableHandle]:
    """Let the adapter's weight changes act until their handles are removed.

    Every layer with a LoRA adds strength · up(down(x)); norms that the file brings stand in for the model's own. An
    adapter's `named_lora` (PhotoMaker) is for `pipeline.load_lora_weights`.
    """
    if strength == 0 or not (adapter.lora or adapter.replaced):
        return []
    layers, backbone = dict(model.named_modules()), backbone_of(adapter)

    def layer(name: str) -> nn.Module:
        if name not in layers:
            raise InputError(f"{adapter.file} changes {name}, which the model does not have: it is for another model.")
        return layers[name]

    handles: list[RemovableHandle] = []
    for name, pair in diffusers_weights(adapter.lora, backbone).items():
        changed = layer(name.removesuffix(".weight"))
        handles.append(changed.register_forward_hook(_low_rank(pair, strength, next(changed.parameters()))))
    for number, weights in adapter.replaced.items():
        changed = layer(f"{backbone.by_number()[number].diffusers}.norm2")
        handles.append(changed.register_forward_hook(_other_norm(weights, next(changed.parameters()))))
    return handles


def _other_norm(weights: Mapping[str, Tensor], like: Tensor) -> Callable[[Any, Any, Tensor], Tensor]:
    weight, bias = weights["norm2.weight"].to(like), weights["norm2.bias"].to(like)

    def norm(own: nn.LayerNorm, args: tuple[Tensor, ...], _: Tensor) -> Tensor:
        return nn.functional.layer_norm(args[0], own.normalized_shape, weight, bias, own.eps)

    return norm


def _low_rank(pair: LoraPair, strength: float, weight: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    down, up = pair.down.to(weight), strength * pair.up.to(weight)

    def change(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + nn.functional.linear(nn.functional.linear(args[0], down), up)

    return change
