"""An adapter on several people at once: the tokens of each, and what every one of them adds to a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..backbones.unet import UNETS
from ..errors import InputError
from ..identity.identity import Identity
from .application import Application, Window
from .family import Features, IdentityAdapter, IdentityTokens, TokenOptions, make_tokens
from .features import Sources, person_features
from .layout import PeopleRegions
from .library import LoadedAdapter
from .schedule import StepCurve

#: The choice that lets the family decide.
PUBLISHED = "as published"
#: Zero tokens behind the identity's in the two published modes of PuLID for SDXL.
ZERO_TOKENS = {"plain": 0, "ortho": 16, "ortho_v2": 8}
#: Families whose published style is not plain.
STYLED_FAMILIES = {"pulid_v1": "ortho_v2", "pulid_v1.1": "ortho_v2"}
#: Block groups of each kind of model, by the name users see.
UNET_GROUPS = {"input": "input", "middle": "middle", "output": "output"}
FLUX_GROUPS = {"double": "double_block", "single": "single_block"}


@dataclass(frozen=True)
class TokenDials:
    """How tokens are made.

    combine: of several references, one of family.COMBINE_MODES or PUBLISHED. structure: Plus v2's weight of the
    picture. noise: share in [0, 1] of uniform noise in the unconditional side's vector, drawn with `seed` from a
    generator of its own. style: one of injectors.STYLES or PUBLISHED. zero_tokens: behind the identity's, -1 for as
    many as published with the style.
    """

    combine: str = PUBLISHED
    structure: float = 1.0
    noise: float = 0.0
    seed: int = 0
    style: str = PUBLISHED
    zero_tokens: int = -1


@dataclass(frozen=True, eq=False)
class ModelDials:
    """How an adapter acts on a model; see `Application`. blocks: factor by the name in UNET_GROUPS or FLUX_GROUPS.

    skip_middle: leave the middle block out, as older packs do. mask: (M, H, W), for everybody. lora_strength: of the
    LoRA in the adapter's file, which the host applies as a change of weights.
    """

    strength: float = 1.0
    window: Window = Window()
    blocks: Mapping[str, float] = field(default_factory=dict[str, float])
    curve: StepCurve | None = None
    skip_middle: bool = False
    mask: Tensor | None = None
    lora_strength: float = 1.0


def people_of(identities: Sequence[Identity], regions: PeopleRegions | None) -> PeopleRegions:
    """Everybody, with their regions where there are some. Raises InputError when people come both ways."""
    if regions is not None and identities:
        raise InputError(
            f"{len(identities)} identity(ies) are connected and regions with {len(regions.people)} people as well: "
            "the regions know their people, so disconnect the identities."
        )
    return PeopleRegions(tuple(identities)) if regions is None else regions


def brings_weights_only(adapter: IdentityAdapter) -> bool:
    """Whether an adapter acts on the prompt and changes the model by its LoRA alone."""
    return adapter.family.tokens is None and bool(adapter.lora or adapter.named_lora)


def style_of(adapter: IdentityAdapter, dials: TokenDials) -> tuple[str, int]:
    """The attention style and the number of zero tokens. Raises InputError where the adapter has no such attention."""
    name = adapter.family.name
    style = STYLED_FAMILIES.get(name, "plain") if dials.style == PUBLISHED else dials.style
    if style != "plain" and adapter.backbone == "FLUX":
        raise InputError(
            f"{adapter.family.title} adds whole attention blocks, which have no style {style!r}: choose plain."
        )
    published = ZERO_TOKENS.get(style, 0) if name in STYLED_FAMILIES else 0
    return style, published if dials.zero_tokens < 0 else dials.zero_tokens


def person_tokens(
    loaded: LoadedAdapter, identity: Identity, sources: Sources, dials: TokenDials
) -> tuple[IdentityTokens, str]:
    """The attention tokens of one person on the CPU in float32, and a text that says from what.

    Raises what `person_features` and `make_tokens` raise.
    """
    features, text = person_features(loaded.adapter.family, identity, sources)
    adapter = loaded.ready()  # after the towers, which may have taken its place on the device
    options = TokenOptions(
        "" if dials.combine == PUBLISHED else dials.combine,
        dials.structure,
        _noise(features, adapter.family.title, dials),
    )
    tokens = make_tokens(adapter, features, options)
    _, zeros = style_of(adapter, dials)
    both = IdentityTokens(_with_zeros(tokens.cond, zeros), _with_zeros(tokens.uncond, zeros))
    count = both.cond.shape[1]
    behind = f" ({zeros} of them zero)" if zeros else ""
    return both, f"{identity.name}: {len(identity)} reference(s), {text}; {count} tokens{behind}"


def _with_zeros(tokens: Tensor, count: int) -> Tensor:
    tokens = tokens.float().cpu()
    return torch.cat([tokens, tokens.new_zeros(len(tokens), count, tokens.shape[-1])], dim=1)


def _noise(features: Features, title: str, dials: TokenDials) -> Tensor | None:
    if dials.noise == 0:
        return None
    if features.vectors is None:
        raise InputError(
            f"{title} reads pictures, not a vector: there is nothing to put noise {dials.noise} into. Set noise to 0."
        )
    generator = torch.Generator().manual_seed(dials.seed)
    return dials.noise * torch.rand(1, features.vectors.shape[-1], generator=generator)


def block_factors(adapter: IdentityAdapter, blocks: Mapping[str, float]) -> dict[str, float]:
    """Strength per block group under the names that a host groups sites by. Raises InputError for foreign names."""
    groups = FLUX_GROUPS if adapter.backbone == "FLUX" else UNET_GROUPS
    foreign = sorted(set(blocks) - set(groups))
    if foreign:
        raise InputError(
            f"{adapter.family.title} is for {adapter.backbone}, whose blocks are {', '.join(groups)}, not "
            f"{', '.join(foreign)}: choose the other kind of blocks."
        )
    return {groups[name]: factor for name, factor in blocks.items()}


def middle_sites(adapter: IdentityAdapter) -> frozenset[int]:
    """Numbers of the sites in the middle block; none where the model has no such block."""
    backbone = next((unet for unet in UNETS if unet.name == adapter.backbone), None)
    sites = backbone.sites if backbone is not None else ()
    return frozenset(site.number for site in sites if site.block == "middle")


def apply_people(
    loaded: LoadedAdapter, regions: PeopleRegions, sources: Sources, tokens: TokenDials, model: ModelDials
) -> tuple[tuple[Application, ...], str]:
    """What every person adds to a model, and a report.

    Empty where nothing is to be done: strength 0, a window that never opens. Raises InputError for people without an
    adapter that acts on the attention, and what `person_tokens` raises.
    """
    adapter = loaded.adapter
    if brings_weights_only(adapter):
        said = f"its LoRA at {model.lora_strength:g}; the people come in by Identity Conditioning."
        return (), f"{adapter.family.title} ({adapter.file}): {said}"
    if adapter.family.tokens is None:
        raise InputError(
            f"{adapter.family.title} changes the prompt's tokens, not the attention: use Identity Conditioning."
        )
    if not regions.people:
        raise InputError("There is nobody to put into the model: connect at least one identity, or regions.")
    if model.strength == 0 or model.window.never:
        why = "strength is 0" if model.strength == 0 else "its window never opens"
        return (), f"{adapter.family.title} does nothing: {why}. The model passes unchanged."
    style, _ = style_of(adapter, tokens)
    factors = block_factors(adapter, model.blocks)
    without = middle_sites(adapter) if model.skip_middle else frozenset[int]()
    made: list[Application] = []
    lines: list[str] = []
    for identity, own in regions.pairs():
        person, text = person_tokens(loaded, identity, sources, tokens)
        mask = joined_masks(own, model.mask)
        made.append(
            Application(adapter, person, model.strength, model.window, factors, model.curve, mask, style, without)
        )
        lines.append(f"{text}; {_where(mask)}")
    return tuple(made), "\n".join([_headline(adapter, model, style, without), *lines])


def joined_masks(own: Tensor | None, everybody: Tensor | None) -> Tensor | None:
    """A person's region inside the mask for all, both (M, H, W) in [0, 1]. Raises InputError for different sizes."""
    if own is None or everybody is None:
        return everybody if own is None else own
    if own.shape[-2:] != everybody.shape[-2:]:
        raise InputError(
            f"The mask is {everybody.shape[-1]} × {everybody.shape[-2]} px, the regions are {own.shape[-1]} × "
            f"{own.shape[-2]} px: give them the same size."
        )
    return own * everybody


def _where(mask: Tensor | None) -> str:
    return "everywhere" if mask is None else f"on {100 * float(mask.mean()):.0f} % of the picture"


def _headline(adapter: IdentityAdapter, model: ModelDials, style: str, without: frozenset[int]) -> str:
    reached = len(adapter.sites) - len(without & set(adapter.sites))
    text = f"{adapter.family.title} ({adapter.file}) on {reached} of {len(adapter.sites)} attentions of "
    text += f"{adapter.backbone}, strength {model.strength:g}, style {style}"
    changed = {name: factor for name, factor in model.blocks.items() if factor != 1}
    if changed:
        text += ", blocks " + ", ".join(f"{name} × {factor:g}" for name, factor in changed.items())
    if adapter.lora or adapter.named_lora:
        text += f", LoRA {model.lora_strength:g}"
    if not model.window.always:
        start = "the start" if model.window.sigma_start == math.inf else f"sigma {model.window.sigma_start:.3g}"
        text += f", from {start} to sigma {model.window.sigma_end:.3g}"
    return f"{text}{', along a curve' if model.curve is not None else ''}."
