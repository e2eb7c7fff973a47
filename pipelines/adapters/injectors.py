"""How identity enters an attention site: one module per site, pure tensor maths, for any host.

A site works in three steps. `project` turns identity tokens into a payload once per sampling (keys, values and
whatever else does not depend on the picture). `weigh` puts the strength into the payload, a few small products per
change of strength instead of one large product per call. `increment` is what a call adds; the host adds it, times
the region's mask. All increments of a site are made from the same text result, so their order does not matter.

Tokens and payloads are batch first: a host picks rows (which are conditional, which not) by indexing every tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from .perceiver import PerceiverAttention

Payload = tuple[Tensor, ...]
#: (q, k, v, heads) → attention result; all (B, N, heads·d). The host gives its own attention function.
Attend = Callable[[Tensor, Tensor, Tensor, int], Tensor]

#: Where in a transformer block a site acts: on the result of the text attention, between self-attention and
#: cross-attention, or after a whole block (FLUX).
CROSS, MIDDLE, BLOCK = "cross", "middle", "block"


class Injection(Protocol):
    """One site of one adapter."""

    slot: str

    def project(self, tokens: Tensor) -> Payload:
        """tokens (R, T, C) → tensors with R rows each."""
        ...

    def weigh(self, payload: Payload, gain: float) -> Payload:
        """The payload of an increment that is `gain` times as strong."""
        ...

    def increment(self, q: Tensor, x: Tensor, payload: Payload, heads: int, attend: Attend) -> Tensor:
        """What this call adds.

        q: (B, N, W) the projected query of the site (its input where the slot is not CROSS). x: (B, N, W) the text
        attention's result before the output layer (CROSS), or the block's hidden state. Returns (B, N, W).
        """
        ...


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without bias."""
    return nn.Linear(inputs, outputs, bias=False)


class KeyValueSite(nn.Module):
    """Additive cross-attention: strength · Attn(q, to_k(tokens), to_v(tokens)), the query shared with the text.

    IP-Adapter, InstantID, FaceID, PuLID, ConsistentID and MasterWeaver; they differ in the names of the two layers.
    """

    slot = CROSS

    def __init__(self, width: int, context: int, key: str = "to_k_ip", value: str = "to_v_ip") -> None:
        super().__init__()
        self.key_name, self.value_name = key, value
        self.add_module(key, linear(context, width))
        self.add_module(value, linear(context, width))

    def project(self, tokens: Tensor) -> Payload:
        return self.get_submodule(self.key_name)(tokens), self.get_submodule(self.value_name)(tokens)

    def weigh(self, payload: Payload, gain: float) -> Payload:
        """The attention is linear in its values: the strength is theirs."""
        k, v = payload
        return k, v * gain

    def increment(self, q: Tensor, x: Tensor, payload: Payload, heads: int, attend: Attend) -> Tensor:
        return attend(q, payload[0], payload[1], heads)


class CascadeSite(nn.Module):
    """Query cascade: the identity's query is made from the text attention's result, not from the layer's input.

    h + strength · Attn(to_q_wplus(h), to_k_wplus(tokens), to_v_wplus(tokens)). Source: W+ Adapter.
    """

    slot = CROSS

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.to_k_wplus = linear(context, width)
        self.to_v_wplus = linear(context, width)
        self.to_q_wplus = linear(width, width)

    def project(self, tokens: Tensor) -> Payload:
        return self.to_k_wplus(tokens), self.to_v_wplus(tokens)

    def weigh(self, payload: Payload, gain: float) -> Payload:
        """The attention is linear in its values: the strength is theirs."""
        k, v = payload
        return k, v * gain

    def increment(self, q: Tensor, x: Tensor, payload: Payload, heads: int, attend: Attend) -> Tensor:
        return attend(self.to_q_wplus(x), payload[0], payload[1], heads)


class _OutputAttention(nn.Module):
    """The four layers of the gated attention under their published names."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = linear(width, width), linear(width, width), linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])


class _GatedLinearUnit(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * nn.functional.gelu(gate)


class _GatedFeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([_GatedLinearUnit(width, inner), nn.Identity(), nn.Linear(inner, width)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.net:
            x = layer(x)
        return x


class GatedSelfAttentionSite(nn.Module):
    """Gated self-attention over picture and face tokens, then a gated feed-forward, before the cross-attention.

    x += s·tanh(alpha_attn)·SelfAttn(norm1([x; linear(face)]))[:N]; x += s·tanh(alpha_dense)·FF(norm2(x)).
    Source: FaceChain-FACT (after GLIGEN). Keys and values of the face tokens do not depend on the picture and are
    projected once.
    """

    slot = MIDDLE

    def __init__(self, width: int, context: int, ff_inner: int) -> None:
        super().__init__()
        self.linear = nn.Linear(context, width)
        self.attn = _OutputAttention(width)
        self.ff = _GatedFeedForward(width, ff_inner)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.alpha_attn = nn.Parameter(torch.zeros(()))
        self.alpha_dense = nn.Parameter(torch.zeros(()))

    def project(self, tokens: Tensor) -> Payload:
        """Keys and values of the face tokens, and the gate's strength per row."""
        faces = self.norm1(self.linear(tokens))
        return self.attn.to_k(faces), self.attn.to_v(faces), faces.new_ones(len(faces), 1, 1)

    def weigh(self, payload: Payload, gain: float) -> Payload:
        """The strength stands before both gates."""
        k, v, gate = payload
        return k, v, gate * gain

    def increment(self, q: Tensor, x: Tensor, payload: Payload, heads: int, attend: Attend) -> Tensor:
        """Both residuals, the second made from the state after the first."""
        face_k, face_v, gate = payload
        normed = self.norm1(x)
        k = torch.cat([self.attn.to_k(normed), face_k], dim=1)
        v = torch.cat([self.attn.to_v(normed), face_v], dim=1)
        read = self.attn.to_out[0](attend(self.attn.to_q(normed), k, v, heads))
        first = gate * self.alpha_attn.tanh() * read
        return first + gate * self.alpha_dense.tanh() * self.ff(self.norm2(x + first))


class ResidualAttentionSite(PerceiverAttention):
    """A whole cross-attention with its own query and output layer, added after a transformer block of FLUX.

    strength · to_out(Attn(to_q(norm2(x)), to_kv(norm1(tokens)))). Source: PuLID for FLUX.
    """

    slot = BLOCK

    def __init__(self, width: int, context: int, inner: int, heads: int) -> None:
        super().__init__(width, inner, heads, kv_dim=context, join=False)

    def project(self, tokens: Tensor) -> Payload:
        return self.keys_values(tokens)

    def weigh(self, payload: Payload, gain: float) -> Payload:
        """The attention is linear in its values: the strength is theirs."""
        k, v = payload
        return k, v * gain

    def increment(self, q: Tensor, x: Tensor, payload: Payload, heads: int, attend: Attend) -> Tensor:
        """heads is not read: this attention has its own number of heads."""
        return self.to_out(attend(self.to_q(self.norm2(x)), payload[0], payload[1], self.heads))


#: What becomes of an additive increment y next to the text result x.
STYLES = ("plain", "ortho", "ortho_v2")
#: PuLID's `ortho_v2` looks at the attention that these first identity tokens get.
ORTHO_TOKENS = 5


def orthogonal_part(x: Tensor, y: Tensor) -> Tensor:
    """The part of y along x: p = Σ(x·y) / Σ(x·x) · x, sums over the tokens, per channel, in float32."""
    x32, y32 = x.float(), y.float()
    power = (x32 * x32).sum(-2, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)  # a silent channel has p = 0
    ratio = (x32 * y32).sum(-2, keepdim=True) / power
    return ratio * x32


def identity_attention(q: Tensor, k: Tensor, heads: int, tokens: int = ORTHO_TOKENS) -> Tensor:
    """(B, N, 1): how much of the attention the first identity tokens get, mean over the heads.

    softmax(q kᵀ) without the usual division by √d, as published.
    """
    batch, _, width = q.shape
    q, k = (z.view(batch, -1, heads, width // heads).transpose(1, 2).float() for z in (q, k))
    return (q @ k.transpose(-2, -1)).softmax(-1).mean(1)[..., :tokens].sum(-1, keepdim=True)


def styled(style: str, x: Tensor, y: Tensor, q: Tensor, k: Tensor, heads: int) -> Tensor:
    """The increment y in one of STYLES: y, y - p, or y + (a - 1)·p with p of `orthogonal_part`, a of
    `identity_attention`. Linear in y, so a strength inside y stays a strength. Source: PuLID, attention_processor.py.
    """
    if style == "plain":
        return y
    along = orthogonal_part(x, y)
    if style == "ortho":
        return (y.float() - along).to(y.dtype)
    share = identity_attention(q, k, heads)
    return (y.float() + (share - 1) * along).to(y.dtype)
