"""MasterWeaver for SD1.5: three slots of 16 tokens from CLIP features of face-masked pictures.

Its resampler has one residual per layer and reads itself once more after the output norm; empty slots hold the tokens
of a zero picture. Source: MasterWeaver, masterweaver/resampler.py, pipeline.py, attention_processor.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from .checkpoint import Claims, load_into
from .family import Family, Features, IdentityAdapter, IdentityTokens, TokenOptions, VisionNeed, join_rows, mean_rows
from .perceiver import PerceiverAttention, Resampler, perceiver_sizes
from .sites import build_sites, key_value_maker

#: References that the attention was trained with.
SLOTS = 3


class SingleResidualResampler(Resampler):
    """latents = ff(attn(x, latents)) + latents per layer; after the output norm, latents += attn(latents, latents)."""

    def __init__(self, queries: int, head_width: int, **sizes: int) -> None:
        super().__init__(queries=queries, **sizes)
        output, inner = sizes["output"], sizes["inner"]
        self.final_attn = PerceiverAttention(output, inner, inner // head_width, join=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, n, embedding) → tokens (B, queries, output)."""
        x = self.proj_in(x)
        latents = self.latents.expand(len(x), -1, -1)
        for layer in self.layers:
            attention, ff = cast(nn.ModuleList, layer)
            latents = ff(attention(x, latents)) + latents
        latents = self.norm_out(self.proj_out(latents))
        return self.final_attn(latents, latents) + latents


def build_projector(state: Mapping[str, Tensor], head_width: int = 64) -> SingleResidualResampler:
    """The resampler of the sizes in a state dict, with its weights."""
    sizes = perceiver_sizes(state, head_width)
    projector = SingleResidualResampler(queries=state["latents"].shape[1], head_width=head_width, **sizes)
    load_into(projector, state, "id_encoder")
    return projector


def masterweaver_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """(1, 48, width): one slot per reference, then slots of a zero picture; the other side has only those."""
    vision, blank = features.need_vision("MasterWeaver"), projector(features.need_blank("MasterWeaver"))
    tokens = projector(vision)
    if options.combine != "join tokens":
        tokens = mean_rows(tokens, features.weights)
    if len(tokens) > SLOTS:
        raise InputError(
            f"MasterWeaver has {SLOTS} slots and {len(tokens)} references were given: "
            "give the best three, or combine them by 'mean tokens'."
        )
    empty = blank.expand(SLOTS - len(tokens), -1, -1)
    return IdentityTokens(join_rows(torch.cat([tokens, empty])), join_rows(blank.expand(SLOTS, -1, -1)))


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    what = f"{claims.checkpoint.name} ({family.title})"
    projector = build_projector(claims.take("id_encoder."))
    maker = key_value_maker("to_k_img", "to_v_img")
    backbone, sites = build_sites(claims.take("adapter_modules."), maker, what)
    return IdentityAdapter(family, claims.checkpoint.name, backbone.name, projector, sites)


MASTERWEAVER = Family(
    "masterweaver", "MasterWeaver", lambda c: "id_encoder.final_attn.to_q.weight" in c, _build, masterweaver_tokens,
    vision=VisionNeed("clip_vit_l", "penultimate", "ffhq_face_only", 224), combine="join tokens",
)  # fmt: skip
