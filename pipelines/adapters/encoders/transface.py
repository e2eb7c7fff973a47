"""TransFace-S, the recogniser whose local tokens FaceChain-FACT reads: what each of 144 patches of a face shows.

A plain pre-norm vision transformer with ReLU6 and no class token. What the published file has besides (the head of the
recogniser, the weights of patches, the token of masked training) plays no part in the local tokens. Sources: TransFace
(Dan et al. 2023); FaceChain, face_adapter/vit.py; names of `ms1mv2_model_TransFace_S.pt`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import WrongWeightsError
from ..checkpoint import Checkpoint, listing, load_into
from ..perceiver import count_layers

#: Of the published file: heads, which no shape shows, and parts that local tokens do not need.
HEADS = 8
UNUSED = ("feature.", "senet.", "mask_token")


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        read = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(read.transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(nn.functional.relu6(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = _Attention(width, heads), _Mlp(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)


class TransFace(nn.Module):
    """(B, 3, 112, 112) in [-1, 1], ArcFace alignment → local tokens (B, 144, 512)."""

    def __init__(self, width: int, inner: int, depth: int, patch: int, patches: int, heads: int = HEADS) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbedding(width, patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, patches, width))
        self.blocks = nn.ModuleList(_Block(width, inner, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch_embed.proj(pixels).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def build_transface(checkpoint: Checkpoint) -> TransFace:
    """The network of the sizes in a file, filled. Raises WrongWeightsError for another file."""
    state = {key: tensor for key, tensor in checkpoint.tensors.items() if not key.startswith(UNUSED)}
    needed = ("patch_embed.proj.weight", "pos_embed", "blocks.0.mlp.fc1.weight")
    if any(key not in state for key in needed):
        raise WrongWeightsError(f"{checkpoint.name} is no TransFace vision transformer, it has {listing(state)}.")
    width, _, patch, _ = state[needed[0]].shape
    depth = count_layers(state, "blocks.")
    with torch.device("meta"):
        network = TransFace(width, state[needed[2]].shape[0], depth, patch, state["pos_embed"].shape[1])
    load_into(network, state, checkpoint.name, "from its publisher")
    return network
