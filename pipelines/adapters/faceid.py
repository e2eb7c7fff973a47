"""IP-Adapter FaceID for SD1.5 and SDXL: plain, Plus, Plus v2, Portrait and Portrait unnorm.

The recogniser's vector becomes tokens; Plus lets them read the picture of the face as well. Plain, Plus and Plus v2
carry a LoRA for every attention. Plus and Plus v2 have the same tensors: the file's name tells them apart.
Source: IP-Adapter, ip_adapter/ip_adapter_faceid.py and ip_adapter_faceid_separate.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from .checkpoint import Checkpoint, Claims, load_into
from .family import (
    Family,
    Features,
    IdentityAdapter,
    IdentityTokens,
    TokenOptions,
    VectorNeed,
    VisionNeed,
    combine_tokens,
    mean_rows,
)
from .lora import split_lora
from .perceiver import Perceiver, build_resampler, perceiver_sizes
from .sites import build_sites, key_value_maker

RECOGNISER = "arcface_w600k_r50"


class VectorTokens(nn.Module):
    """A recogniser's vector as tokens. vector: its width. tokens: how many. width: of a token."""

    def __init__(self, vector: int, hidden: int, tokens: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.proj = nn.Sequential(nn.Linear(vector, hidden), nn.GELU(), nn.Linear(hidden, tokens * width))
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor) -> Tensor:
        """(R, vector) → (R, tokens, width)."""
        return self.norm(self.proj(vectors).view(len(vectors), -1, self.width))


class VectorAndPictureTokens(VectorTokens):
    """The vector's tokens read the hidden states of a vision model (Plus)."""

    def __init__(self, vector: int, hidden: int, tokens: int, width: int, perceiver: Perceiver) -> None:
        super().__init__(vector, hidden, tokens, width)
        self.perceiver_resampler = perceiver

    def parts(self, vectors: Tensor, vision: Tensor) -> tuple[Tensor, Tensor]:
        """vectors (R, vector), vision (R, n, c) → the vector's tokens, what they read in the picture."""
        tokens = VectorTokens.forward(self, vectors)
        return tokens, self.perceiver_resampler(tokens, vision)

    def plus(self, vectors: Tensor, vision: Tensor) -> Tensor:
        """Plus: only what was read."""
        return self.parts(vectors, vision)[1]

    def plus_v2(self, vectors: Tensor, vision: Tensor, structure: float = 1.0) -> Tensor:
        """Plus v2: the vector's tokens plus `structure` times what was read."""
        tokens, read = self.parts(vectors, vision)
        return tokens + structure * read


def build_projector(state: Mapping[str, Tensor], head_width: int = 64) -> VectorTokens:
    """The projector of the sizes in a state dict (`proj`, `norm`, perhaps `perceiver_resampler`), with its weights."""
    width = state["norm.weight"].shape[0]
    hidden, vector = state["proj.0.weight"].shape
    tokens = state["proj.2.weight"].shape[0] // width
    if "perceiver_resampler.proj_in.weight" in state:
        perceiver = Perceiver(**perceiver_sizes(state, head_width, "perceiver_resampler."))
        projector: VectorTokens = VectorAndPictureTokens(vector, hidden, tokens, width, perceiver)
    else:
        projector = VectorTokens(vector, hidden, tokens, width)
    load_into(projector, state, "image_proj")
    return projector


def _uncond_vectors(vectors: Tensor, options: TokenOptions) -> Tensor:
    if options.uncond_vector is None:
        return torch.zeros_like(vectors)
    return options.uncond_vector.to(vectors).expand_as(vectors)


def vector_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens of a projector that reads vectors only; the other side is the projection of zeros, not zeros."""
    mode, vectors = options.combine, features.need_vectors("This adapter")
    if mode == "mean vector":
        vectors = mean_rows(vectors, features.weights)
    cond, uncond = projector(vectors), projector(_uncond_vectors(vectors, options))
    return IdentityTokens(*(combine_tokens(side, mode, features.weights) for side in (cond, uncond)))


def _picture_tokens(projector: nn.Module, features: Features, options: TokenOptions, v2: bool) -> IdentityTokens:
    projector, mode = cast(VectorAndPictureTokens, projector), options.combine
    vectors, vision = features.need_vectors("FaceID Plus"), features.need_vision("FaceID Plus")
    blank = features.need_blank("FaceID Plus").expand(len(vision), -1, -1)
    if mode == "mean vector":  # every picture is still read, with the mean of the vectors
        vectors = mean_rows(vectors, features.weights).expand(len(vision), -1)

    def side(v: Tensor, picture: Tensor) -> Tensor:
        tokens = projector.plus_v2(v, picture, options.structure) if v2 else projector.plus(v, picture)
        return combine_tokens(tokens, mode, features.weights)

    return IdentityTokens(side(vectors, vision), side(_uncond_vectors(vectors, options), blank))


def plus_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens of Plus: what the vector's tokens read; the other side reads an all-zero picture with a zero vector."""
    return _picture_tokens(projector, features, options, v2=False)


def plus_v2_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens of Plus v2, `options.structure` being the weight of what was read."""
    return _picture_tokens(projector, features, options, v2=True)


def _matches(checkpoint: Checkpoint, perceiver: bool, lora: bool) -> bool:
    return (
        "image_proj.proj.2.weight" in checkpoint
        and "image_proj.norm.weight" in checkpoint
        and checkpoint.has("image_proj.perceiver_resampler.") == perceiver
        and ("ip_adapter.0.to_q_lora.down.weight" in checkpoint) == lora
        and checkpoint.has("ip_adapter.")
    )


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    what = f"{claims.checkpoint.name} ({family.title})"
    projector = build_projector(claims.take("image_proj."))
    lora, rest = split_lora(claims.take("ip_adapter."))
    backbone, sites = build_sites(rest, key_value_maker("to_k_ip", "to_v_ip"), what)
    return IdentityAdapter(family, claims.checkpoint.name, backbone.name, projector, sites, lora)


def matches_resampler(checkpoint: Checkpoint) -> bool:
    """A resampler over a 512-d vector with SDXL sites: InstantID or Portrait unnorm, told apart by name."""
    width = checkpoint.tensors.get("image_proj.proj_in.weight")
    return (
        "image_proj.latents" in checkpoint
        and width is not None
        and width.shape[1] == 512
        and checkpoint.has("ip_adapter.")
    )


def build_resampler_adapter(family: Family, claims: Claims) -> IdentityAdapter:
    """An adapter of a resampler over the vector and additive sites."""
    what = f"{claims.checkpoint.name} ({family.title})"
    state = claims.take("image_proj.")
    projector = build_resampler(state)
    load_into(projector, state, what)
    backbone, sites = build_sites(claims.take("ip_adapter."), key_value_maker("to_k_ip", "to_v_ip"), what)
    return IdentityAdapter(family, claims.checkpoint.name, backbone.name, projector, sites)


def resampler_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens of a resampler that reads one vector as a sequence of length 1."""
    return vector_tokens(_OneVector(projector), features, options)


class _OneVector(nn.Module):
    def __init__(self, resampler: nn.Module) -> None:
        super().__init__()
        self.resampler = resampler

    def forward(self, vectors: Tensor) -> Tensor:
        return self.resampler(vectors.unsqueeze(1))


_FACE = VisionNeed("clip_vit_h", "penultimate", "arcface_224", 224)
_UNIT = VectorNeed(RECOGNISER, unit=True)

PLAIN = Family(
    "faceid", "IP-Adapter FaceID", lambda c: _matches(c, perceiver=False, lora=True), _build, vector_tokens, _UNIT
)
PLUS_V2 = Family(
    "faceid_plusv2", "IP-Adapter FaceID Plus v2", lambda c: _matches(c, perceiver=True, lora=True), _build,
    plus_v2_tokens, _UNIT, _FACE, file_marks=("plusv2", "plus_v2", "plus-v2"), combine="mean tokens",
)  # fmt: skip
PLUS = Family(
    "faceid_plus", "IP-Adapter FaceID Plus", lambda c: _matches(c, perceiver=True, lora=True), _build, plus_tokens,
    _UNIT, _FACE, file_marks=("plus",), combine="mean tokens",
)  # fmt: skip
PORTRAIT = Family(
    "faceid_portrait", "IP-Adapter FaceID Portrait", lambda c: _matches(c, perceiver=False, lora=False), _build,
    vector_tokens, _UNIT, combine="join tokens",
)  # fmt: skip
PORTRAIT_UNNORM = Family(
    "faceid_portrait_unnorm", "IP-Adapter FaceID Portrait unnorm", matches_resampler, build_resampler_adapter,
    resampler_tokens, VectorNeed(RECOGNISER, unit=False), file_marks=("unnorm", "portrait"),
)  # fmt: skip
