"""PuLID for SDXL (1.0 and 1.1) and for FLUX.1.

A raw face vector joined with the unit class vector of EVA02-CLIP, and five depths of EVA02's hidden states, become
10 (1.0) or 32 (1.1, FLUX) tokens. SDXL adds them by cross-attention, FLUX by whole attention blocks of its own.
Source: PuLID, pulid/encoders.py, encoders_transformer.py, attention_processor.py, flux/model.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError, WrongWeightsError
from .checkpoint import Checkpoint, Claims, load_into
from .family import Family, Features, IdentityAdapter, IdentityTokens, TokenOptions, VectorNeed, VisionNeed, mean_rows
from .injectors import ResidualAttentionSite
from .perceiver import perceiver_layer
from .sites import build_sites, group_by_number, key_value_maker

#: Depths of the vision tower that are read.
LEVELS = 5
VECTOR = VectorNeed("arcface_glintr100", unit=False)
VISION = VisionNeed("eva02_clip_l_336", "levels", "pulid_face", 336)


def mapping(state: Mapping[str, Tensor], name: str) -> nn.Sequential:
    """Three linears with LayerNorm and LeakyReLU between, of the sizes that a state dict has below `name`."""
    sizes = [state[f"{name}.{number}.weight"].shape for number in (0, 3, 6)]
    first, second, third = (nn.Linear(inputs, outputs) for outputs, inputs in sizes)
    return nn.Sequential(
        first, nn.LayerNorm(first.out_features), nn.LeakyReLU(),
        second, nn.LayerNorm(second.out_features), nn.LeakyReLU(), third,
    )  # fmt: skip


class VectorEncoder(nn.Module):
    """PuLID 1.0: 5 tokens of the vector and one per depth (class token plus mean of the patches), in this order."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.width = state["mapping_0.6.weight"].shape[0]
        self.body = mapping(state, "body")
        for level in range(LEVELS):
            for name in (f"mapping_{level}", f"mapping_patch_{level}"):
                self.add_module(name, mapping(state, name))

    def forward(self, vector: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """vector (B, F, 1280) with F = 1 face, levels 5 × (B, n, 1024) class token first → (B, 10, width)."""
        if vector.shape[1] != 1:
            raise InputError("PuLID 1.0 reads one face; combine several references by 'mean tokens'.")
        tokens = [self.body(vector[:, 0]).view(len(vector), -1, self.width)]
        for number, level in enumerate(levels):
            whole = self.get_submodule(f"mapping_{number}")(level[:, :1])
            patches = self.get_submodule(f"mapping_patch_{number}")(level[:, 1:])
            tokens.append(whole + patches.mean(dim=1, keepdim=True))
        return torch.cat(tokens, dim=1)


class QueryEncoder(nn.Module):
    """PuLID 1.1 and FLUX (IDFormer): learned queries and the vector's own tokens read one depth after another.

    Several faces are read together: their vector tokens are joined, and so are their hidden states.
    """

    def __init__(self, state: Mapping[str, Tensor], head_width: int = 64) -> None:
        super().__init__()
        _, queries, dim = state["latents"].shape
        inner = state["layers.0.0.to_q.weight"].shape[0]
        depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("layers."))
        if depth % LEVELS:
            raise WrongWeightsError(f"{depth} layers cannot be divided among {LEVELS} depths of the vision tower.")
        self.dim = dim
        self.latents = nn.Parameter(torch.zeros(1, queries, dim))
        self.proj_out = nn.Parameter(torch.zeros(tuple(state["proj_out"].shape)))
        ff = state["layers.0.1.1.weight"].shape[0]
        self.layers = nn.ModuleList(perceiver_layer(dim, inner, inner // head_width, ff) for _ in range(depth))
        for level in range(LEVELS):
            self.add_module(f"mapping_{level}", mapping(state, f"mapping_{level}"))
        self.id_embedding_mapping = mapping(state, "id_embedding_mapping")

    def forward(self, vector: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """vector (B, F, 1280), levels 5 × (B, F·n, 1024) → (B, queries, width); F faces are read together."""
        faces = self.id_embedding_mapping(vector).reshape(len(vector), -1, self.dim)
        latents = torch.cat([self.latents.expand(len(vector), -1, -1), faces], dim=1)
        per_level = len(self.layers) // LEVELS
        for number, level in enumerate(levels):
            context = torch.cat([faces, self.get_submodule(f"mapping_{number}")(level)], dim=1)
            for layer in list(self.layers)[number * per_level : (number + 1) * per_level]:
                attention, ff = cast(nn.ModuleList, layer)
                latents = attention(context, latents) + latents
                latents = ff(latents) + latents
        return latents[:, : self.latents.shape[1]] @ self.proj_out


def join_vectors(raw: Tensor, unit_class: Tensor) -> Tensor:
    """What the encoders call the vector: the recogniser's raw 512 and the unit class vector of EVA02, (R, 1280)."""
    return torch.cat([raw, unit_class.to(raw)], dim=-1)


def pulid_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens from `features.vectors` (R, 1280, see `join_vectors`) and 5 levels; the other side reads zeros."""
    vectors = features.need_vectors("PuLID")
    if len(features.levels) != LEVELS:
        raise InputError(
            f"PuLID needs {LEVELS} depths of EVA02-CLIP's hidden states, {len(features.levels)} were given."
        )
    blank = torch.zeros_like(vectors) if options.uncond_vector is None else options.uncond_vector.expand_as(vectors)
    zeros = tuple(torch.zeros_like(level) for level in features.levels)

    def side(vector: Tensor, levels: tuple[Tensor, ...]) -> Tensor:
        if options.combine == "join tokens":  # the reference's way: all faces in one reading
            return projector(vector.unsqueeze(0), [level.reshape(1, -1, level.shape[-1]) for level in levels])
        if options.combine == "mean vector":
            vector = mean_rows(vector, features.weights).expand_as(vector)
        return mean_rows(projector(vector.unsqueeze(1), levels), features.weights)

    return IdentityTokens(side(vectors, features.levels), side(blank, zeros))


#: (prefix of the encoder, prefix of the attention, names of its layers) in the published file and in conversions.
_SDXL_LAYOUTS = (
    ("id_adapter.", "id_adapter_attn_layers.", "id_to_k", "id_to_v"),
    ("image_proj.", "ip_adapter.", "to_k_ip", "to_v_ip"),
)


def _layout(checkpoint: Checkpoint, first: str) -> tuple[str, str, str, str] | None:
    """The layout in which the encoder has the key `first`."""
    return next((layout for layout in _SDXL_LAYOUTS if f"{layout[0]}{first}" in checkpoint), None)


def _build_sdxl(family: Family, claims: Claims, first: str, encoder: type[VectorEncoder] | type[QueryEncoder]):
    layout = _layout(claims.checkpoint, first)
    if layout is None:
        raise WrongWeightsError(f"{claims.checkpoint.name} has no PuLID encoder ({first}): choose another family.")
    what = f"{claims.checkpoint.name} ({family.title})"
    encoder_prefix, sites_prefix, key, value = layout
    state = claims.take(encoder_prefix)
    projector = encoder(state)
    load_into(projector, state, what)
    backbone, sites = build_sites(claims.take(sites_prefix), key_value_maker(key, value), what)
    return IdentityAdapter(family, claims.checkpoint.name, backbone.name, projector, sites)


def build_flux_sites(layers: Mapping[str, Tensor], what: str, head_width: int = 128) -> dict[int, nn.Module]:
    """The attention blocks of PuLID for FLUX by running number."""
    sites: dict[int, nn.Module] = {}
    for number, state in group_by_number(layers, what).items():
        inner, width = state["to_q.weight"].shape
        site = ResidualAttentionSite(width, state["to_kv.weight"].shape[1], inner, inner // head_width)
        load_into(site, state, f"{what}, block {number}")
        sites[number] = site
    return sites


def _build_flux(family: Family, claims: Claims) -> IdentityAdapter:
    what = f"{claims.checkpoint.name} ({family.title})"
    state = claims.take("pulid_encoder.")
    projector = QueryEncoder(state)
    load_into(projector, state, what)
    sites = build_flux_sites(claims.take("pulid_ca."), what)
    return IdentityAdapter(family, claims.checkpoint.name, "FLUX", projector, sites)


V1 = Family(
    "pulid_v1", "PuLID 1.0", lambda c: _layout(c, "mapping_patch_0.0.weight") is not None,
    lambda family, claims: _build_sdxl(family, claims, "mapping_patch_0.0.weight", VectorEncoder),
    pulid_tokens, VECTOR, VISION, combine="mean tokens",
)  # fmt: skip
V11 = Family(
    "pulid_v1.1", "PuLID 1.1", lambda c: _layout(c, "id_embedding_mapping.0.weight") is not None,
    lambda family, claims: _build_sdxl(family, claims, "id_embedding_mapping.0.weight", QueryEncoder),
    pulid_tokens, VECTOR, VISION, combine="join tokens",
)  # fmt: skip
FLUX = Family(
    "pulid_flux", "PuLID for FLUX", lambda c: c.has("pulid_encoder.") and c.has("pulid_ca."), _build_flux,
    pulid_tokens, VECTOR, VISION, combine="join tokens",
)  # fmt: skip
