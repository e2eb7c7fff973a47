"""Where in one of ComfyUI's models the sites of an adapter are, and whether it is the model they were made for."""

from __future__ import annotations

from typing import Any

from ..pipelines.adapters.application import Application
from ..pipelines.adapters.family import IdentityAdapter
from ..pipelines.backbones.flux import flux_places
from ..pipelines.backbones.unet import UNETS, Backbone
from ..pipelines.errors import InputError

#: ComfyUI's name of a site: (block, number of the block, transformer in it).
Place = tuple[str, int, int]

FLUX = "FLUX"


def backbone_of(adapter: IdentityAdapter) -> Backbone:
    """The UNet that an adapter was made for."""
    return next(backbone for backbone in UNETS if backbone.name == adapter.backbone)


def describe(diffusion_model: Any) -> str:
    """The name of a model for messages."""
    if hasattr(diffusion_model, "double_blocks"):
        return FLUX
    present = _cross_attentions(diffusion_model)
    names = [b.name for b in UNETS if {f"{site.comfy}.attn2" for site in b.sites} == present.keys()]
    return names[0] if names else f"{type(diffusion_model).__name__} with {len(present)} cross-attention(s)"


def find_places(model: Any, application: Application) -> dict[int, Place]:
    """Number of each of the adapter's sites → where it is in the model.

    Raises InputError when the model has not exactly these sites, or text tokens of another width.
    """
    adapter, diffusion_model = application.adapter, model.get_model_object("diffusion_model")
    if adapter.backbone == FLUX:
        return _flux(adapter, diffusion_model)
    backbone, present = backbone_of(adapter), _cross_attentions(diffusion_model)
    if {f"{site.comfy}.attn2" for site in backbone.sites} != present.keys():
        raise _wrong_model(adapter, diffusion_model)
    own, asked = next(iter(present.values())).to_k.in_features, application.tokens.cond.shape[-1]
    if own != asked:
        raise InputError(
            f"{adapter.file} ({adapter.family.title}) makes tokens of width {asked}, the model's text has width {own}: "
            f"the adapter is made for {adapter.backbone}. Connect such a model."
        )
    return {site.number: (site.block, site.id, site.index) for site in backbone.sites if site.number in adapter.sites}


def _flux(adapter: IdentityAdapter, diffusion_model: Any) -> dict[int, Place]:
    if describe(diffusion_model) != FLUX:
        raise _wrong_model(adapter, diffusion_model)
    places = flux_places(len(diffusion_model.double_blocks), len(diffusion_model.single_blocks))
    if places.count != len(adapter.sites):
        raise InputError(
            f"{adapter.file} has {len(adapter.sites)} attention block(s), but this FLUX model "
            f"({len(diffusion_model.double_blocks)} double, {len(diffusion_model.single_blocks)} single blocks) has "
            f"{places.count} places for them. Connect FLUX.1 dev or schnell."
        )
    found: dict[int, Place] = {number: ("double_block", block, 0) for block, number in places.double.items()}
    return found | {number: ("single_block", block, 0) for block, number in places.single.items()}


def _cross_attentions(diffusion_model: Any) -> dict[str, Any]:
    return {name: module for name, module in diffusion_model.named_modules() if name.endswith(".attn2")}


def _wrong_model(adapter: IdentityAdapter, diffusion_model: Any) -> InputError:
    return InputError(
        f"{adapter.file} ({adapter.family.title}) is made for {adapter.backbone}, but the model is "
        f"{describe(diffusion_model)}. Connect a {adapter.backbone} model, or load an adapter for "
        f"{describe(diffusion_model)}."
    )
