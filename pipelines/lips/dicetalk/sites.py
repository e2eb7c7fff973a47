"""How the tokens of sound and emotion enter one cross-attention of the denoising network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..unet import attend

#: The two kinds of tokens in the order of the published files.
SOUND, EMOTION = 0, 1
KINDS = 2


class TokenReaders(nn.Module):
    """Keys and values of both kinds of tokens, under the published names; the query is the attention's own."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.to_k_ip = nn.ModuleList(nn.Linear(context, width, bias=False) for _ in range(KINDS))
        self.to_v_ip = nn.ModuleList(nn.Linear(context, width, bias=False) for _ in range(KINDS))

    def increment(self, q: Tensor, tokens: Sequence[Tensor], scales: Sequence[float], heads: int) -> Tensor:
        """What is added to the attention to the picture, before the output layer.

        q: (B, N, W). tokens: per kind (B, T, context). Concretely Σ scale · Attn(q, to_k_ip(tokens), to_v_ip(tokens)).
        """
        out = torch.zeros_like(q)
        for to_k, to_v, kind, scale in zip(self.to_k_ip, self.to_v_ip, tokens, scales, strict=True):
            if scale:
                out = out + scale * attend(q, to_k(kind), to_v(kind), heads)
        return out


def readers_of(state: Mapping[str, Tensor]) -> TokenReaders:
    """An empty module for the tensors of one attention's processor. Raises KeyError for one that is missing."""
    width, context = state[f"to_k_ip.{SOUND}.weight"].shape
    return TokenReaders(width, context)
