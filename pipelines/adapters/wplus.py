"""W+ Adapter for SD1.5: the StyleGAN code of a face as four tokens, read by a query made from the text result.

The unconditional side is the projection of a zero code: the LayerNorm's bias, not zero tokens.
Source: W+ Adapter, w_plus_adapter/w_plus_adapter.py, attention_processor.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .checkpoint import Claims, load_into
from .family import (
    Family,
    Features,
    IdentityAdapter,
    IdentityTokens,
    TokenOptions,
    VisionNeed,
    combine_tokens,
    mean_rows,
)
from .injectors import CascadeSite
from .sites import SiteState, build_sites

#: Rows of the code that each token is made from.
ROW_GROUPS = ((0, 4), (4, 8), (8, 12), (12, 18))


class CodeTokens(nn.Module):
    """A w+ code as four tokens: one bias-free linear per group of rows, one shared LayerNorm."""

    def __init__(self, width: int, row_width: int = 512) -> None:
        super().__init__()
        for number, (first, last) in enumerate(ROW_GROUPS):
            self.add_module(f"proj_{number}", nn.Linear((last - first) * row_width, width, bias=False))
        self.norm = nn.LayerNorm(width)

    def forward(self, codes: Tensor) -> Tensor:
        """(R, 18, 512) → (R, 4, width)."""
        tokens = [
            self.get_submodule(f"proj_{number}")(codes[:, first:last].flatten(1))
            for number, (first, last) in enumerate(ROW_GROUPS)
        ]
        return self.norm(torch.stack(tokens, dim=1))


def build_projector(state: Mapping[str, Tensor]) -> CodeTokens:
    """The projector of the sizes in a state dict, with its weights."""
    width, inputs = state["proj_0.weight"].shape
    projector = CodeTokens(width, inputs // (ROW_GROUPS[0][1] - ROW_GROUPS[0][0]))
    load_into(projector, state, "w_proj")
    return projector


def wplus_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens of `features.vision` (R, 18, 512), the w+ codes."""
    codes = features.need_vision("The W+ Adapter")
    if options.combine == "mean vector":
        codes = mean_rows(codes, features.weights)
    sides = (projector(codes), projector(torch.zeros_like(codes)))
    return IdentityTokens(*(combine_tokens(side, options.combine, features.weights) for side in sides))


def _site(state: SiteState) -> nn.Module:
    width, context = state["to_k_wplus.weight"].shape
    return CascadeSite(width, context)


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    what = f"{claims.checkpoint.name} ({family.title})"
    projector = build_projector(claims.take("w_proj."))
    backbone, sites = build_sites(claims.take("wplus_adapter."), _site, what)
    return IdentityAdapter(family, claims.checkpoint.name, backbone.name, projector, sites)


WPLUS = Family(
    "wplus", "W+ Adapter", lambda c: c.has("w_proj.") and c.has("wplus_adapter."), _build, wplus_tokens,
    vision=VisionNeed("e4e_ffhq", "tokens", "ffhq_256", 256),
)  # fmt: skip
