"""What an attention site adds, against formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from likeness.pipelines.adapters.injectors import (
    CascadeSite,
    GatedSelfAttentionSite,
    Injection,
    KeyValueSite,
    ResidualAttentionSite,
    identity_attention,
    orthogonal_part,
    styled,
)
from likeness.pipelines.adapters.lora import comfy_weights, diffusers_weights, split_lora
from likeness.pipelines.adapters.perceiver import attend_exactly
from likeness.pipelines.backbones.flux import flux_places
from likeness.pipelines.backbones.unet import SD15, SDXL
from likeness.pipelines.errors import WrongWeightsError

WIDTH, CONTEXT, HEADS = 32, 24, 4


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sites() -> dict[str, Injection]:
    torch.manual_seed(5)
    made = {
        "key_value": KeyValueSite(WIDTH, CONTEXT),
        "cascade": CascadeSite(WIDTH, CONTEXT),
        "gated": GatedSelfAttentionSite(WIDTH, CONTEXT, 64),
        "residual": ResidualAttentionSite(WIDTH, CONTEXT, 16, 2),
    }
    made["gated"].alpha_attn.data.fill_(0.7)
    made["gated"].alpha_dense.data.fill_(-0.4)
    for site in made.values():
        site.requires_grad_(False)
    return made


KINDS = tuple(sites())
Q, X, TOKENS = numbers(2, 9, WIDTH), numbers(2, 9, WIDTH, seed=2), numbers(2, 6, CONTEXT, seed=3)


def increment(kind: str, gain: float = 1.0, tokens: Tensor = TOKENS, rows: slice = slice(None)) -> Tensor:
    site = sites()[kind]
    payload = site.weigh(site.project(tokens), gain)
    return site.increment(Q[rows], X[rows], tuple(part[rows] for part in payload), HEADS, attend_exactly)


@pytest.mark.parametrize("kind", ("key_value", "cascade", "residual"))
def test_a_strength_inside_the_payload_is_the_strength_of_the_increment(kind: str) -> None:
    torch.testing.assert_close(increment(kind, 0.3), 0.3 * increment(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_strength_zero_adds_exactly_nothing(kind: str) -> None:
    assert torch.equal(increment(kind, 0.0), torch.zeros(2, 9, WIDTH))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_its_rows_one_by_one(kind: str) -> None:
    rows = torch.cat([increment(kind, rows=slice(0, 1)), increment(kind, rows=slice(1, 2))])
    torch.testing.assert_close(increment(kind), rows)


def test_the_query_of_the_cascade_is_made_from_the_text_result_and_not_from_the_layers_input() -> None:
    site = sites()["cascade"]
    k, v = site.project(TOKENS)
    torch.testing.assert_close(increment("cascade"), attend_exactly(site.to_q_wplus(X), k, v, HEADS))
    parallel = attend_exactly(Q, k, v, HEADS)
    assert (increment("cascade") - parallel).abs().max() > 0.05


def test_the_gated_site_equals_the_published_order_of_two_gated_residuals() -> None:
    site, strength = sites()["gated"], 0.6
    both = site.norm1(torch.cat([X, site.linear(TOKENS)], dim=1))
    read = attend_exactly(site.attn.to_q(both), site.attn.to_k(both), site.attn.to_v(both), HEADS)
    x = X + strength * site.alpha_attn.tanh() * site.attn.to_out[0](read)[:, : X.shape[1]]
    x = x + strength * site.alpha_dense.tanh() * site.ff(site.norm2(x))
    torch.testing.assert_close(X + increment("gated", strength), x)


def test_closed_gates_add_nothing_at_any_strength() -> None:
    site = GatedSelfAttentionSite(WIDTH, CONTEXT, 64).requires_grad_(False)
    added = site.increment(X, X, site.project(TOKENS), HEADS, attend_exactly)
    assert torch.equal(added, torch.zeros_like(X))


def test_the_gated_site_reads_all_photos_whatever_their_number() -> None:
    one, three = numbers(2, 16, CONTEXT), numbers(2, 48, CONTEXT)
    assert increment("gated", tokens=one).shape == increment("gated", tokens=three).shape == X.shape


def test_what_ortho_adds_is_orthogonal_to_the_text_result_in_every_channel() -> None:
    y = increment("key_value")
    added = styled("ortho", X, y, Q, Q, HEADS)
    assert (added * X).sum(-2).abs().max() < 1e-4
    assert ((y * X).sum(-2).abs() > 1e-2).any()
    torch.testing.assert_close(added + orthogonal_part(X, y), y)


def test_ortho_v2_keeps_the_part_along_the_text_where_the_identity_is_looked_at() -> None:
    site = sites()["key_value"]
    k, _ = site.project(TOKENS)
    y = increment("key_value")
    share = identity_attention(Q, k, HEADS)
    expected = y + (share - 1) * orthogonal_part(X, y)
    torch.testing.assert_close(styled("ortho_v2", X, y, Q, k, HEADS), expected)
    zeros = torch.cat([k, torch.zeros(2, 8, WIDTH)], dim=1)
    assert (identity_attention(Q, zeros, HEADS) < share).all()


def test_the_attention_of_ortho_v2_is_not_divided_by_the_root_of_the_width() -> None:
    k = numbers(1, 6, 8, seed=4)
    q = numbers(1, 3, 8)
    expected = (q @ k.transpose(1, 2)).softmax(-1)[..., :5].sum(-1, keepdim=True)
    torch.testing.assert_close(identity_attention(q, k, heads=1), expected)


@pytest.mark.parametrize("style", ("ortho", "ortho_v2"))
def test_styles_are_linear_in_the_increment_and_finite_where_the_text_says_nothing(style: str) -> None:
    y = increment("key_value")
    half = styled(style, X, 0.5 * y, Q, Q, HEADS)
    torch.testing.assert_close(half, 0.5 * styled(style, X, y, Q, Q, HEADS))
    silent = styled(style, torch.zeros_like(X), y, Q, Q, HEADS)
    torch.testing.assert_close(silent, y)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
@pytest.mark.parametrize("kind", KINDS)
def test_large_activations_in_half_precision_give_no_nan(kind: str, dtype: torch.dtype) -> None:
    site = sites()[kind]
    assert isinstance(site, nn.Module)
    site.to(dtype)
    x, q = 300 * X.to(dtype), 60 * Q.to(dtype)
    payload = site.project(TOKENS.to(dtype))
    y = site.increment(q, x, payload, HEADS, attend_exactly)
    assert y.dtype == dtype
    assert torch.isfinite(y).all()
    for style in ("ortho", "ortho_v2"):
        if site.slot == "cross":
            assert torch.isfinite(styled(style, x, y, q, payload[0], HEADS)).all()


def test_gradients_reach_the_site_and_its_tokens() -> None:
    for site in sites().values():
        assert isinstance(site, nn.Module)
        site.requires_grad_(True)
        tokens = TOKENS.clone().requires_grad_()
        site.increment(Q, X, site.project(tokens), HEADS, attend_exactly).square().sum().backward()
        assert tokens.grad is not None and tokens.grad.abs().max() > 0
        assert all(p.grad is not None for p in site.parameters())


def test_injections_after_flux_blocks_have_one_running_number_over_both_lists() -> None:
    published = flux_places()
    assert list(published.double) == list(range(0, 19, 2))
    assert list(published.single) == list(range(0, 38, 4))
    assert list(published.double.values()) == list(range(10))
    assert list(published.single.values()) == list(range(10, 20))
    assert flux_places(5, 6).count == 5


def test_lora_pairs_are_split_from_the_sites_and_placed_by_parity_of_their_number() -> None:
    layers = {
        "0.to_q_lora.down.weight": numbers(2, 8), "0.to_q_lora.up.weight": numbers(8, 2),
        "31.to_out_lora.down.weight": numbers(2, 8), "31.to_out_lora.up.weight": numbers(8, 2),
        "31.to_k_ip.weight": numbers(8, 8),
    }  # fmt: skip
    lora, rest = split_lora(layers)
    assert list(rest) == ["31.to_k_ip.weight"]
    assert set(comfy_weights(lora, SD15)) == {
        "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",
        "middle_block.1.transformer_blocks.0.attn2.to_out.0.weight",
    }
    assert set(diffusers_weights(lora, SDXL)) == {
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        "down_blocks.2.attentions.1.transformer_blocks.1.attn2.to_out.0.weight",
    }
    torch.testing.assert_close(lora[0][0].delta(), layers["0.to_q_lora.up.weight"] @ layers["0.to_q_lora.down.weight"])


def test_half_a_lora_pair_is_refused() -> None:
    with pytest.raises(WrongWeightsError, match="0.to_q_lora.down.weight"):
        split_lora({"0.to_q_lora.down.weight": numbers(2, 8)})
