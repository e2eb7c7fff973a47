"""PhotoMaker v1 and v2 for SDXL: pictures fused into the class word before the trigger word.

The file brings its own CLIP tower and a LoRA for the UNet. v1 makes one token per picture from two pooled projections;
v2 makes two from the raw face vector reading the tower's last hidden state.
Source: PhotoMaker, photomaker/model.py, model_v2.py, pipeline.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError
from .checkpoint import Checkpoint, Claims, load_into
from .encoders.clip import ClipVisionTower, build_vision_tower
from .family import Family, Features, IdentityAdapter, VectorNeed, VisionNeed
from .fuse import FuseModule, build_fuse
from .perceiver import Perceiver, perceiver_sizes


class FaceQueries(nn.Module):
    """v2's queries: tokens of the face vector plus what they read in the picture."""

    def __init__(self, vector: int, hidden: int, tokens: int, width: int, perceiver: Perceiver) -> None:
        super().__init__()
        self.width = width
        self.token_proj = nn.Sequential(nn.Linear(vector, hidden), nn.GELU(), nn.Linear(hidden, tokens * width))
        self.token_norm = nn.LayerNorm(width)
        self.perceiver_resampler = perceiver

    def forward(self, vectors: Tensor, hidden: Tensor) -> Tensor:
        """vectors (R, 512) raw, hidden (R, n, c) → (R, 2, width)."""
        tokens = self.token_norm(self.token_proj(vectors).view(len(vectors), -1, self.width))
        return tokens + self.perceiver_resampler(tokens, hidden)


def build_queries(state: Mapping[str, Tensor], head_width: int = 128) -> FaceQueries:
    """v2's queries of the sizes in a state dict, with its weights."""
    width = state["token_norm.weight"].shape[0]
    hidden, vector = state["token_proj.0.weight"].shape
    perceiver = Perceiver(**perceiver_sizes(state, head_width, "perceiver_resampler."))
    queries = FaceQueries(vector, hidden, state["token_proj.2.weight"].shape[0] // width, width, perceiver)
    load_into(queries, state, "qformer_perceiver")
    return queries


class PictureEncoder(nn.Module):
    """The id encoder of both versions, with the published names; `qformer_perceiver` only in v2."""

    def __init__(
        self, tower: ClipVisionTower, widths: tuple[int, int, int], fuse: FuseModule, queries: FaceQueries | None
    ) -> None:
        super().__init__()
        width, first, second = widths
        self.vision_model = tower
        self.visual_projection = nn.Linear(width, first, bias=False)
        self.visual_projection_2 = nn.Linear(width, second, bias=False)
        self.fuse_module = fuse
        if queries is not None:
            self.qformer_perceiver = queries

    def forward(self, pixels: Tensor, vectors: Tensor | None = None) -> Tensor:
        """pixels (R, 3, 224, 224), vectors (R, 512) raw for v2 → tokens (R, 1 or 2, 2048)."""
        last, pooled, _ = self.vision_model(pixels)
        if not hasattr(self, "qformer_perceiver"):
            return torch.cat([self.visual_projection(pooled), self.visual_projection_2(pooled)], dim=-1).unsqueeze(1)
        if vectors is None:
            raise InputError("PhotoMaker v2 needs the raw vector of the face beside the picture.")
        return self.qformer_perceiver(vectors, last)


def picture_tokens(encoder: nn.Module, features: Features) -> Tensor:
    """(R · tokens, 2048): the tokens of all references in order, as many as the class word must be repeated."""
    return encoder(features.need_vision("PhotoMaker"), features.vectors).flatten(0, 1)


def _matches(checkpoint: Checkpoint, version: int) -> bool:
    return (
        checkpoint.has("id_encoder.fuse_module.")
        and "id_encoder.visual_projection_2.weight" in checkpoint
        and checkpoint.has("id_encoder.qformer_perceiver.") == (version == 2)
    )


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    state = {key: t for key, t in claims.take("id_encoder.").items() if not key.endswith("position_ids")}
    queries = None
    if "qformer_perceiver.token_norm.weight" in state:
        prefix = "qformer_perceiver."
        queries = build_queries({key[len(prefix) :]: t for key, t in state.items() if key.startswith(prefix)})
    first, width = state["visual_projection.weight"].shape
    widths = (width, first, state["visual_projection_2.weight"].shape[0])
    tower = build_vision_tower(state, "vision_model.")
    encoder = PictureEncoder(tower, widths, build_fuse(state, "fuse_module."), queries)
    load_into(encoder, state, claims.checkpoint.name)
    named = claims.take("lora_weights.") if claims.checkpoint.has("lora_weights.") else {}
    return IdentityAdapter(family, claims.checkpoint.name, "SDXL", encoder, named_lora=named)


V1 = Family(
    "photomaker_v1", "PhotoMaker v1", lambda c: _matches(c, 1), _build,
    vision=VisionNeed("own", "pixels", "face_224", 224),
)  # fmt: skip
V2 = Family(
    "photomaker_v2", "PhotoMaker v2", lambda c: _matches(c, 2), _build,
    vector=VectorNeed("arcface_w600k_r50", unit=False), vision=VisionNeed("own", "pixels", "face_224", 224),
)  # fmt: skip
