"""The vision tower of EVA02-CLIP, which PuLID reads at five depths.

Pre-norm blocks with a norm inside the attention (sub-LN), SwiGLU, rotary positions on the patches beside absolute
ones. Source: EVA-CLIP (Sun et al. 2023), eva_clip/eva_vit_model.py; names of `EVA02_CLIP_L_336_psz14_s6B.pt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint, load_into
from ..perceiver import count_layers

#: PuLID reads the input of these blocks.
PULID_BLOCKS = (4, 8, 12, 16, 20)
#: The grid of the resolution that the rotary positions were trained at (224 px, patch 14).
TRAINED_GRID = 16
#: Channels per head in the published tower.
HEAD_WIDTH = 64


def rotary(grid: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine (grid², head_width): the first half of a head turns with the row, the second with the column.

    Positions are scaled to TRAINED_GRID; frequencies 1 / 10000^(2j / (head_width / 2)), each on a pair of channels.
    """
    half = head_width // 2
    frequencies = 1.0 / 10000.0 ** (torch.arange(0, half, 2).float() / half)
    angles = torch.outer(torch.arange(grid) / grid * TRAINED_GRID, frequencies).repeat_interleave(2, dim=-1)
    rows = angles[:, None].expand(grid, grid, half)
    columns = angles[None].expand(grid, grid, half)
    both = torch.cat([rows, columns], dim=-1).view(grid * grid, head_width)
    return both.cos(), both.sin()


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs of channels of every token but the first (the class token); x (B, heads, 1 + n, d)."""
    patches = x[:, :, 1:]
    first, second = patches.unflatten(-1, (-1, 2)).unbind(-1)
    turned = patches * cos + torch.stack([-second, first], dim=-1).flatten(-2) * sin
    return torch.cat([x[:, :, :1], turned.to(x.dtype)], dim=2)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.inner_attn_ln = nn.LayerNorm(width, eps=1e-6)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            nn.functional.linear(x, layer.weight, bias).view(batch, length, self.heads, -1).transpose(1, 2)
            for layer, bias in ((self.q_proj, self.q_bias), (self.k_proj, None), (self.v_proj, self.v_bias))
        )
        q = turn(q, cos, sin) * (width // self.heads) ** -0.5
        read = (q @ turn(k, cos, sin).transpose(-2, -1)).softmax(-1) @ v
        return self.proj(self.inner_attn_ln(read.transpose(1, 2).reshape(batch, length, width)))


class _SwiGlu(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(width, inner), nn.Linear(width, inner)
        self.ffn_ln = nn.LayerNorm(inner, eps=1e-6)
        self.w3 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.w3(self.ffn_ln(nn.functional.silu(self.w1(x)) * self.w2(x)))


class _Block(nn.Module):
    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.mlp = _SwiGlu(width, inner)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)


@dataclass(frozen=True, eq=False)
class EvaFeatures:
    """embedding: (B, D) class vector through the head, not normalised. levels: hidden states asked for, each
    (B, 1 + n, width), class token first. last: the last block's output, before the norm.
    """

    embedding: Tensor
    levels: tuple[Tensor, ...]
    last: Tensor

    @property
    def unit_embedding(self) -> Tensor:
        """What PuLID joins with the recogniser's vector."""
        return nn.functional.normalize(self.embedding.float(), dim=-1)


class Eva02Vision(nn.Module):
    """EVA02-CLIP's vision tower, with the names below `visual.`."""

    def __init__(self, width: int, inner: int, heads: int, depth: int, patch: int, grid: int, output: int) -> None:
        super().__init__()
        self.grid, self.head_width = grid, width // heads
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.patch_embed = _PatchEmbedding(width, patch)
        self.blocks = nn.ModuleList(_Block(width, inner, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, output)

    def forward(self, pixels: Tensor, blocks: tuple[int, ...] = PULID_BLOCKS) -> EvaFeatures:
        """pixels (B, 3, S, S), normalised as CLIP does; blocks: the inputs of which to return as levels."""
        x = self.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        cos, sin = (table.to(x.device) for table in rotary(self.grid, self.head_width))
        levels: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            if number in blocks:
                levels.append(x)
            x = block(x, cos, sin)
        return EvaFeatures(self.head(self.norm(x)[:, 0]), tuple(levels), x)


def build_eva02(state: Mapping[str, Tensor], head_width: int = HEAD_WIDTH) -> Eva02Vision:
    """The tower of the sizes in a state dict (keys below `visual.`), filled.

    The rotary tables that the published file also holds are computed, not read.
    """
    state = {key: tensor for key, tensor in state.items() if "rope.freqs_" not in key}
    width, _, patch, _ = state["patch_embed.proj.weight"].shape
    tower = Eva02Vision(
        width,
        state["blocks.0.mlp.w1.weight"].shape[0],
        width // head_width,
        count_layers(state, "blocks."),
        patch,
        round((state["pos_embed"].shape[1] - 1) ** 0.5),
        state["head.weight"].shape[0],
    )
    load_into(tower, state, "EVA02-CLIP")
    return tower


def build_eva02_from(checkpoint: Checkpoint) -> Eva02Vision:
    """The tower of the published CLIP file, whose text tower and temperature are not needed."""
    return build_eva02(checkpoint.part("visual."))
