"""FaceChain-FACT's gated self-attention inside a whole transformer block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ...pipelines.adapters.checkpoint import load_into
from ...pipelines.adapters.fact import make_site
from ...pipelines.adapters.injectors import GatedSelfAttentionSite
from ...pipelines.adapters.perceiver import attend_exactly
from .fixture import Error, Fixture

State = Mapping[str, Tensor]


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def _attention(state: State, name: str, x: Tensor, context: Tensor, heads: int) -> Tensor:
    q, k, v = (
        functional.linear(y, state[f"{name}.to_{part}.weight"])
        for part, y in (("q", x), ("k", context), ("v", context))
    )
    read = attend_exactly(q, k, v, heads)
    return functional.linear(read, state[f"{name}.to_out.0.weight"], state[f"{name}.to_out.0.bias"])


def _feed_forward(state: State, x: Tensor) -> Tensor:
    value, gate = functional.linear(x, state["ff.net.0.proj.weight"], state["ff.net.0.proj.bias"]).chunk(2, dim=-1)
    return functional.linear(value * functional.gelu(gate), state["ff.net.2.weight"], state["ff.net.2.bias"])


def _block(
    state: State, x: Tensor, text: Tensor, heads: int, gated: tuple[GatedSelfAttentionSite, Tensor, float] | None
):
    normed = _norm(state, "norm1", x)
    x = x + _attention(state, "attn1", normed, normed, heads)
    if gated is not None:
        site, faces, weight = gated
        x = x + site.increment(x, x, site.weigh(site.project(faces), weight), heads, attend_exactly)
    x = x + _attention(state, "attn2", _norm(state, "norm2", x), text, heads)
    return x + _feed_forward(state, _norm(state, "norm3", x))


def _site(state: State, alphas: tuple[Tensor, Tensor]) -> tuple[GatedSelfAttentionSite, dict[str, Tensor]]:
    processor = {k.split("processor.")[1]: t for k, t in state.items() if "processor." in k}
    norm = {name.replace("ln.", "norm2."): processor.pop(name) for name in ("ln.weight", "ln.bias")}
    processor |= {"alpha_attn": alphas[0].reshape(()), "alpha_dense": alphas[1].reshape(())}
    site = make_site(processor)
    load_into(site, processor, "processor")
    if not isinstance(site, GatedSelfAttentionSite):
        raise TypeError("unexpected site")
    return site, norm


@torch.no_grad()
def fact_gated_block(path: Path) -> list[Error]:
    f = Fixture(path)
    state, heads = f.part("block."), f.config["heads"]
    x, text, faces = f["in.hidden"], f["in.text"], f["in.face_tokens"]
    attn, dense, zero = f["in.alpha_attn"], f["in.alpha_dense"], torch.zeros(1)
    site, stored_norm = _site(state, (attn, dense))

    def run(photos: int, weight: float, base: State = state, alphas: tuple[Tensor, Tensor] = (attn, dense)) -> Tensor:
        chosen = site if alphas == (attn, dense) else _site(state, alphas)[0]
        return _block(base, x, text, heads, (chosen, faces[:, : f.config["tokens_per_photo"] * photos], weight))

    return f.compare(
        {
            "hidden_plain": _block(state, x, text, heads, None),
            **{f"hidden_photos1_weight_{w}": run(1, w) for w in (0.0, 0.5, 1.0)},
            **{f"hidden_photos2_weight_{w}": run(2, w) for w in (0.0, 0.5, 1.0)},
            "hidden_photos1_weight_1.0_attn_gate_only": run(1, 1.0, alphas=(attn, zero)),
            "hidden_photos1_weight_1.0_dense_gate_only": run(1, 1.0, alphas=(zero, dense)),
            "hidden_photos1_weight_1.0_ckpt_ln": run(1, 1.0, base={**state, **stored_norm}),
        }
    )
