"""Adapters with random weights for the tiny models, one per kind of injection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tiny_models import FLUX_CONFIG, FLUX_WIDTH, WIDTH
from torch import Tensor, nn

from likeness.pipelines.adapters.family import Family, IdentityAdapter, IdentityTokens
from likeness.pipelines.adapters.injectors import (
    CascadeSite,
    GatedSelfAttentionSite,
    KeyValueSite,
    ResidualAttentionSite,
)
from likeness.pipelines.adapters.lora import LoraPair
from likeness.pipelines.backbones.flux import flux_places
from likeness.pipelines.backbones.unet import SD15, SDXL, Backbone

#: Width of PuLID's tokens for the tiny FLUX.
FLUX_TOKENS = 96


def family(name: str) -> Family:
    def build(own: Family, claims: Any) -> IdentityAdapter:
        raise TypeError(f"{own.name} is built by the tests")

    return Family(name, name, lambda checkpoint: False, build)


def fill(module: nn.Module, seed: int) -> nn.Module:
    """Random weights by fan-in; gates open."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        if parameter.ndim >= 2:
            values = torch.randn(parameter.shape, generator=random) / parameter.shape[1:].numel() ** 0.5
        else:
            values = torch.full(parameter.shape, 0.5 if "alpha" in name else float("weight" in name))
        parameter.data.copy_(values)
    return module.eval().requires_grad_(False)


def adapter(kind: str, backbone: Backbone = SD15, seed: int = 5, lora: bool = False) -> IdentityAdapter:
    """kind: "key_value", "cascade", "gated"."""
    context = backbone.context_width
    make: dict[str, Callable[[], nn.Module]] = {
        "key_value": lambda: KeyValueSite(WIDTH, context),
        "cascade": lambda: CascadeSite(WIDTH, context),
        "gated": lambda: GatedSelfAttentionSite(WIDTH, context, 2 * WIDTH),
    }
    sites = {site.number: fill(make[kind](), seed + site.number) for site in backbone.sites}
    pairs = {n: _pairs(n, context, seed) for site in backbone.sites for n in (site.number - 1, site.number)}
    return IdentityAdapter(family(kind), f"{kind}.bin", backbone.name, nn.Identity(), sites, pairs if lora else {})


def _pairs(number: int, context: int, seed: int) -> tuple[LoraPair, ...]:
    random = torch.Generator().manual_seed(seed + number)
    inputs = {"to_q": WIDTH, "to_k": context if number % 2 else WIDTH, "to_out": WIDTH}
    return tuple(
        LoraPair(
            name,
            torch.randn(4, width, generator=random) / width**0.5,
            torch.randn(WIDTH, 4, generator=random) * 0.1,
        )
        for name, width in inputs.items()
    )


def flux_adapter(seed: int = 5) -> IdentityAdapter:
    places = flux_places(FLUX_CONFIG["depth"], FLUX_CONFIG["depth_single_blocks"])
    sites = {n: fill(ResidualAttentionSite(FLUX_WIDTH, FLUX_TOKENS, 64, 4), seed + n) for n in range(places.count)}
    return IdentityAdapter(family("pulid_flux"), "pulid_flux.safetensors", "FLUX", nn.Identity(), sites)


def tokens(width: int, seed: int = 11, count: int = 4) -> IdentityTokens:
    """Of one person."""
    random = torch.Generator().manual_seed(seed)

    def side() -> Tensor:
        return torch.randn(1, count, width, generator=random)

    return IdentityTokens(side(), side())


__all__ = ["FLUX_TOKENS", "SD15", "SDXL", "adapter", "flux_adapter", "tokens"]
