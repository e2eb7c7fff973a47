"""The perceiver: queries that read a sequence by cross-attention; shared by most identity projectors.

Source: IP-Adapter, ip_adapter/resampler.py (after Flamingo). Parameter names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import WrongWeightsError


def attend_exactly(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention with the softmax in float32; q (B, N, heads·d), k and v (B, T, heads·d) → (B, N, heads·d)."""
    batch, length, width = q.shape
    head_width = width // heads
    q, k, v = (x.view(batch, -1, heads, head_width).transpose(1, 2) for x in (q, k, v))
    scale = head_width**-0.25  # on both sides, as published: the product stays inside the range of half precision
    weights = ((q * scale) @ (k * scale).transpose(-2, -1)).float().softmax(-1).to(v.dtype)
    return (weights @ v).transpose(1, 2).reshape(batch, length, width)


class PerceiverAttention(nn.Module):
    """Queries `latents` read `x`; with `join` the queries also read themselves.

    dim: width of the queries. kv_dim: width of x. inner: heads times head width.
    """

    def __init__(self, dim: int, inner: int, heads: int, kv_dim: int | None = None, join: bool = True) -> None:
        super().__init__()
        kv_dim = dim if kv_dim is None else kv_dim
        self.heads, self.join = heads, join
        self.norm1 = nn.LayerNorm(kv_dim)
        self.norm2 = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(kv_dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def keys_values(self, x: Tensor, latents: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values of x (B, T, kv_dim), followed by those of the normalised latents when given."""
        x = self.norm1(x)
        k, v = self.to_kv(x if latents is None else torch.cat([x, latents], dim=1)).chunk(2, dim=-1)
        return k, v

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        """x (B, T, kv_dim), latents (B, N, dim) → what the latents read, (B, N, dim), without the residual."""
        latents = self.norm2(latents)
        k, v = self.keys_values(x, latents if self.join else None)
        return self.to_out(attend_exactly(self.to_q(latents), k, v, self.heads))


def feed_forward(dim: int, inner: int) -> nn.Sequential:
    """LayerNorm, two linears without bias around a GELU."""
    return nn.Sequential(
        nn.LayerNorm(dim), nn.Linear(dim, inner, bias=False), nn.GELU(), nn.Linear(inner, dim, bias=False)
    )


def perceiver_layer(dim: int, inner: int, heads: int, ff: int) -> nn.ModuleList:
    """Attention and feed-forward, under the names of the published checkpoints."""
    return nn.ModuleList([PerceiverAttention(dim, inner, heads), feed_forward(dim, ff)])


class Perceiver(nn.Module):
    """Layers of attention and feed-forward between `proj_in` (of what is read) and `proj_out` (of the queries).

    dim: width of the queries. inner: heads times head width. embedding: width of what is read. output: width of the
    tokens. ff: inner width of the feed-forward.
    """

    def __init__(self, dim: int, depth: int, inner: int, heads: int, embedding: int, output: int, ff: int) -> None:
        super().__init__()
        self.proj_in = nn.Linear(embedding, dim)
        self.proj_out = nn.Linear(dim, output)
        self.norm_out = nn.LayerNorm(output)
        self.layers = nn.ModuleList(perceiver_layer(dim, inner, heads, ff) for _ in range(depth))

    def forward(self, latents: Tensor, x: Tensor) -> Tensor:
        """latents (B, N, dim), x (B, T, embedding) → tokens (B, N, output)."""
        x = self.proj_in(x)
        for attention, ff in self.layers:  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
            latents = attention(x, latents) + latents
            latents = ff(latents) + latents
        return self.norm_out(self.proj_out(latents))


class Resampler(Perceiver):
    """A perceiver with learned queries (`latents`)."""

    def __init__(
        self, queries: int, dim: int, depth: int, inner: int, heads: int, embedding: int, output: int, ff: int
    ) -> None:
        super().__init__(dim, depth, inner, heads, embedding, output, ff)
        self.latents = nn.Parameter(torch.zeros(1, queries, dim))

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """x (B, T, embedding) → tokens (B, queries, output)."""
        return super().forward(self.latents.expand(len(x), -1, -1), x)


def count_layers(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered entries `{prefix}{i}.` a state dict has, from 0 without a gap."""
    numbers = {int(key[len(prefix) :].split(".")[0]) for key in state if key.startswith(prefix)}
    if numbers != set(range(len(numbers))):
        raise WrongWeightsError(f"The layers {prefix}* are numbered {sorted(numbers)}: the file is incomplete.")
    return len(numbers)


def perceiver_sizes(state: Mapping[str, Tensor], head_width: int, prefix: str = "") -> dict[str, int]:
    """The constructor arguments of `Perceiver` that belong to a state dict; head_width is not in the shapes."""
    first = f"{prefix}layers.0."
    inner, dim = state[f"{first}0.to_q.weight"].shape
    if inner % head_width:
        raise WrongWeightsError(
            f"{first}0.to_q.weight gives {inner} channels, not a multiple of {head_width} per head."
        )
    return {
        "dim": dim,
        "depth": count_layers(state, f"{prefix}layers."),
        "inner": inner,
        "heads": inner // head_width,
        "embedding": state[f"{prefix}proj_in.weight"].shape[1],
        "output": state[f"{prefix}proj_out.weight"].shape[0],
        "ff": state[f"{first}1.1.weight"].shape[0],
    }


def build_resampler(state: Mapping[str, Tensor], head_width: int = 64, prefix: str = "") -> Resampler:
    """A resampler of the sizes that a state dict has under `prefix`; weights are not loaded."""
    return Resampler(queries=state[f"{prefix}latents"].shape[1], **perceiver_sizes(state, head_width, prefix))
