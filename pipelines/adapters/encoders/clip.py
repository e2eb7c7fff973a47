"""CLIP's two towers under the names of their transformers checkpoints, for adapters that bring their own tower.

Pre-norm blocks with quick GELU, LayerNorm eps 1e-5. Source: CLIP (Radford et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..perceiver import count_layers


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.q_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            layer(x).view(batch, length, self.heads, -1).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        read = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(read.transpose(1, 2).reshape(batch, length, width))


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))


class _Layer(nn.Module):
    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = _Mlp(width, inner)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), causal)
        return x + self.mlp(self.layer_norm2(x))


class _Encoder(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(width, inner, heads) for _ in range(depth))

    def forward(self, x: Tensor, causal: bool) -> list[Tensor]:
        """The input and the output of every layer."""
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1], causal))
        return states


class _TextEmbeddings(nn.Module):
    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(length, width)


class ClipTextTower(nn.Module):
    """CLIP's text tower below `text_model.`: token embeddings → last hidden state after the final norm."""

    def __init__(self, vocabulary: int, length: int, width: int, inner: int, heads: int, depth: int) -> None:
        super().__init__()
        self.embeddings = _TextEmbeddings(vocabulary, length, width)
        self.encoder = _Encoder(width, inner, heads, depth)
        self.final_layer_norm = nn.LayerNorm(width)

    def embed(self, ids: Tensor) -> Tensor:
        """(B, T) token ids → (B, T, width) token embeddings, positions not yet added."""
        return self.embeddings.token_embedding(ids)

    def forward(self, embedded: Tensor) -> Tensor:
        """(B, T, width) token embeddings → (B, T, width)."""
        positions = self.embeddings.position_embedding.weight[: embedded.shape[1]]
        return self.final_layer_norm(self.encoder(embedded + positions, causal=True)[-1])


class _VisionEmbeddings(nn.Module):
    def __init__(self, width: int, patch: int, positions: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch, bias=False)
        self.position_embedding = nn.Embedding(positions, width)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_embedding.expand(len(pixels), 1, -1), patches], dim=1)
        return tokens + self.position_embedding.weight


class ClipVisionTower(nn.Module):
    """CLIP's vision tower below `vision_model.` (`pre_layrnorm` is spelled as published)."""

    def __init__(self, width: int, inner: int, heads: int, depth: int, patch: int, positions: int) -> None:
        super().__init__()
        self.embeddings = _VisionEmbeddings(width, patch, positions)
        self.pre_layrnorm = nn.LayerNorm(width)
        self.encoder = _Encoder(width, inner, heads, depth)
        self.post_layernorm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """pixels (B, 3, S, S), normalised as CLIP does → last hidden state (no norm), pooled (normed), penultimate."""
        states = self.encoder(self.pre_layrnorm(self.embeddings(pixels)), causal=False)
        return states[-1], self.post_layernorm(states[-1][:, 0]), states[-2]


#: Channels per attention head in every published CLIP-L tower.
HEAD_WIDTH = 64


def build_text_tower(state: Mapping[str, Tensor], heads: int | None = None) -> ClipTextTower:
    """A text tower of the sizes in a state dict (keys below `text_model.`); not filled."""
    vocabulary, width = state["embeddings.token_embedding.weight"].shape
    return ClipTextTower(
        vocabulary,
        state["embeddings.position_embedding.weight"].shape[0],
        width,
        state["encoder.layers.0.mlp.fc1.weight"].shape[0],
        heads or width // HEAD_WIDTH,
        count_layers(state, "encoder.layers."),
    )


def build_vision_tower(state: Mapping[str, Tensor], prefix: str = "", heads: int | None = None) -> ClipVisionTower:
    """A vision tower of the sizes in a state dict (keys below `{prefix}`); not filled."""
    width, _, patch, _ = state[f"{prefix}embeddings.patch_embedding.weight"].shape
    return ClipVisionTower(
        width,
        state[f"{prefix}encoder.layers.0.mlp.fc1.weight"].shape[0],
        heads or width // HEAD_WIDTH,
        count_layers(state, f"{prefix}encoder.layers."),
        patch,
        state[f"{prefix}embeddings.position_embedding.weight"].shape[0],
    )
