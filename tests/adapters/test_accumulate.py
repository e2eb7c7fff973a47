"""Adding an attention in place is the same as computing it and adding it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from likeness.pipelines.adapters.accumulate import add_attention, adds_in_place
from likeness.pipelines.adapters.application import Application
from likeness.pipelines.adapters.attachment import Attachment, ModelCall, SiteCall, with_identity
from likeness.pipelines.adapters.diffusers_host import attend
from likeness.pipelines.adapters.family import Family, IdentityAdapter, IdentityTokens
from likeness.pipelines.adapters.injectors import CROSS, KeyValueSite
from likeness.pipelines.adapters.region import Area

BATCH, GRID, WIDTH, HEADS, TOKENS = 2, (5, 7), 24, 3, 4
COUNT = math.prod(GRID)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slowly(x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Token by token and head by head."""
    result, size = x.clone(), WIDTH // HEADS
    for row in range(len(x)):
        for token in range(x.shape[1]):
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                weights = (k[row, :, part] @ q[row, token, part] / math.sqrt(size)).softmax(0)
                result[row, token, part] += mask[row % len(mask), token, 0] * (weights @ v[row, :, part])
    return result


@pytest.mark.parametrize("masks", (0, 1, BATCH))
def test_it_adds_the_masked_attention_into_the_result(masks: int) -> None:
    x, q = numbers(BATCH, COUNT, WIDTH), numbers(BATCH, COUNT, WIDTH, seed=1)
    k, v = numbers(BATCH, TOKENS, WIDTH, seed=2), numbers(BATCH, TOKENS, WIDTH, seed=3)
    mask = numbers(masks, COUNT, 1, seed=4).sigmoid() if masks else None
    expected = slowly(x, q, k, v, torch.ones(1, COUNT, 1) if mask is None else mask)
    address = x.data_ptr()
    add_attention(x, q, k, v, HEADS, mask)
    assert x.data_ptr() == address
    assert torch.allclose(x, expected, atol=1e-6)


def test_a_result_with_gaps_between_its_rows_is_written_where_it_lies() -> None:
    wide = numbers(BATCH, COUNT, 2 * WIDTH)
    x, untouched = wide[..., :WIDTH], wide[..., WIDTH:].clone()
    q, k, v = numbers(BATCH, COUNT, WIDTH), numbers(BATCH, TOKENS, WIDTH), numbers(BATCH, TOKENS, WIDTH)
    expected = slowly(x, q, k, v, torch.ones(1, COUNT, 1))
    add_attention(x, q, k, v, HEADS)
    assert torch.allclose(wide[..., :WIDTH], expected, atol=1e-6)
    assert torch.equal(wide[..., WIDTH:], untouched)


def test_half_precision_and_tensors_that_autograd_watches_keep_the_fused_kernels() -> None:
    x = numbers(1, 4, WIDTH)
    assert adds_in_place(x, x, x)
    assert not adds_in_place(x.bfloat16(), x.bfloat16(), x)
    assert not adds_in_place(x, x, x.half())
    assert not adds_in_place(x.clone().requires_grad_(), x, x)
    with torch.no_grad():
        assert adds_in_place(x.clone().requires_grad_(), x, x)


def site_calls(site: KeyValueSite, people: int, mask: Tensor | None) -> tuple[SiteCall, ...]:
    def build(family: Family, claims: object) -> IdentityAdapter:
        raise TypeError(f"{family.name} is made by the test")

    family = Family("test", "test", lambda checkpoint: False, build)
    adapter = IdentityAdapter(family, "test", "SDXL", torch.nn.Identity(), {1: site})
    tokens = [IdentityTokens(numbers(1, TOKENS, 8, seed=n), numbers(1, TOKENS, 8, seed=9 + n)) for n in range(people)]
    applications = tuple(Application(adapter, pair, 0.8, mask=mask) for pair in tokens)
    call = ModelCall((0, 1), (Area.whole(GRID),) * 2, BATCH, lambda: 1.0, torch.empty(0))
    return Attachment(applications, {1: "input"}).site_calls(call)[CROSS, 1]


@pytest.mark.parametrize("masked", (False, True))
@pytest.mark.parametrize("people", (1, 3))
@torch.no_grad()
def test_people_added_in_place_equal_those_added_by_the_fused_kernels(people: int, masked: bool) -> None:
    torch.manual_seed(0)
    site = KeyValueSite(WIDTH, 8)
    calls = site_calls(site, people, numbers(1, 10, 14).sigmoid() if masked else None)
    x, q = numbers(BATCH, COUNT, WIDTH), numbers(BATCH, COUNT, WIDTH, seed=1)
    expected = x.clone()
    for call in calls:
        k, v = call.payload
        y = attend(q, k, v, HEADS)
        expected += y if call.region is None else y * call.region.at(GRID, y)
    before = x.clone()
    result = with_identity(x, q, calls, GRID, HEADS, attend)
    assert torch.allclose(result, expected, atol=1e-6) and torch.equal(x, before)
    owned = with_identity(x, q, calls, GRID, HEADS, attend, owned=True)
    assert torch.equal(owned, result) and owned.data_ptr() == x.data_ptr()


def test_gradients_flow_where_tokens_are_learnt() -> None:
    torch.manual_seed(0)
    calls = site_calls(KeyValueSite(WIDTH, 8), 1, None)
    x, q = numbers(BATCH, COUNT, WIDTH), numbers(BATCH, COUNT, WIDTH, seed=1).requires_grad_()
    with_identity(x, q, calls, GRID, HEADS, attend, owned=True).square().sum().backward()
    assert q.grad is not None and float(q.grad.abs().sum()) > 0
