"""Fusion of identity tokens into prompt tokens: the module that FastComposer, PhotoMaker and ConsistentID share.

Source: FastComposer, fastcomposer/model.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError


class FuseMlp(nn.Module):
    """LayerNorm, two linears around a GELU, with or without a residual."""

    def __init__(self, width: int, output: int, hidden: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.layernorm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, output)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc2(nn.functional.gelu(self.fc1(self.layernorm(x))))
        return y + x if self.residual else y


class FuseModule(nn.Module):
    """Replaces prompt tokens by prompt token and identity token seen together. width: of the text tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp1 = FuseMlp(2 * width, width, width, residual=False)
        self.mlp2 = FuseMlp(width, width, width, residual=True)
        self.layer_norm = nn.LayerNorm(width)

    def fuse(self, tokens: Tensor, identity: Tensor) -> Tensor:
        """tokens, identity: (N, width) row by row → (N, width)."""
        joined = self.mlp1(torch.cat([tokens, identity], dim=-1)) + tokens
        return self.layer_norm(self.mlp2(joined))

    def forward(self, prompt: Tensor, identity: Tensor, positions: Tensor) -> Tensor:
        """The prompt with the tokens at `positions` fused with the identity.

        prompt: (B, T, width). identity: (N, width), in the order of the positions (first prompt first).
        positions: (B, T) bool with N true entries. Raises InputError when the numbers differ.
        """
        positions = positions.bool()
        count = int(positions.sum())
        if count != len(identity):
            raise InputError(
                f"The prompt marks {count} token(s) for the identity but there are {len(identity)} identity token(s): "
                "repeat the class word once per reference and token, or give as many references as the prompt marks."
            )
        fused = self.fuse(prompt[positions], identity.to(prompt.dtype))
        prompt = prompt.clone()
        prompt[positions] = fused.to(prompt.dtype)
        return prompt


def build_fuse(state: Mapping[str, Tensor], prefix: str = "") -> FuseModule:
    """A fusion module of the width that a state dict has under `prefix`; weights are not loaded."""
    return FuseModule(state[f"{prefix}layer_norm.weight"].shape[0])
