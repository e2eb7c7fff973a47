"""What an identity costs in a cross-attention of SDXL at 1024 px, in bare attentions against its tokens; one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..pipelines.adapters.application import Application
from ..pipelines.adapters.attachment import Attachment, ModelCall, SiteCall, with_identity
from ..pipelines.adapters.family import Family, IdentityAdapter, IdentityTokens
from ..pipelines.adapters.injectors import CROSS, KeyValueSite
from ..pipelines.adapters.region import Area
from .figure import Figure

#: (width, heads, side of the token grid): the two kinds of cross-attention of SDXL at 1024 px.
SHAPES = ((1280, 20, 32), (640, 10, 64))
BATCH, TOKENS, CONTEXT = 2, 16, 2048
ROUNDS = 30
STEPS = 30


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """PyTorch's attention as ComfyUI calls it."""
    q, k, v = (z.view(len(z), -1, heads, z.shape[-1] // heads).transpose(1, 2) for z in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def measure() -> list[Figure]:
    """Ratios to one bare attention of the same query against 16 tokens, and the work that repeats from step to step."""
    with torch.inference_mode():
        return [figure for shape in SHAPES for figure in _site(*shape)] + [_projections()]


def _site(width: int, heads: int, side: int) -> list[Figure]:
    random = torch.Generator().manual_seed(0)
    q, x = (torch.randn(BATCH, side * side, width, generator=random) for _ in range(2))
    one, masked, two = (_calls(width, side, *dials) for dials in ((1, False), (1, True), (2, False)))
    k, v = one[0].payload
    grid = (side, side)
    bare, bare_two, *ours = fastest(
        lambda: attend(q, k, v, heads),
        lambda: attend(q, k, v, heads).add_(attend(q, k, v, heads)),
        *(
            lambda calls=calls: with_identity(x, q, calls, grid, heads, attend, owned=True)
            for calls in (one, masked, two)
        ),
    )
    name = f"{side * side} tokens of width {width}"
    return [
        Figure(f"{name}: one bare attention", 1e3 * bare, None, unit="ms"),
        Figure(f"{name}: one identity, in bare attentions", ours[0] / bare, 1.15, unit="x"),
        Figure(f"{name}: one identity with a mask", ours[1] / bare, 1.3, unit="x"),
        Figure(f"{name}: two identities, in two attentions and a blend", ours[2] / bare_two, 1.15, unit="x"),
    ]


def fastest(*functions: Callable[[], object]) -> list[float]:
    """The least time of each in seconds; they take turns, so that a busy moment meets all of them."""
    best = [float("inf")] * len(functions)
    for _ in range(ROUNDS):
        for number, function in enumerate(functions):
            function()  # the memory it needs is then at hand, whatever ran before it
            start = time.perf_counter()
            function()
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def _adapter(site: KeyValueSite) -> IdentityAdapter:
    def build(family: Family, claims: object) -> IdentityAdapter:
        raise TypeError(f"{family.name} is made by the benchmark")

    family = Family("benchmark", "benchmark", lambda checkpoint: False, build)
    return IdentityAdapter(family, "benchmark", "SDXL", nn.Identity(), {1: site})


def _attachment(site: KeyValueSite, people: int, mask: Tensor | None) -> Attachment:
    adapter = _adapter(site)
    tokens = IdentityTokens(torch.randn(1, TOKENS, CONTEXT), torch.randn(1, TOKENS, CONTEXT))
    return Attachment(tuple(Application(adapter, tokens, 0.8, mask=mask) for _ in range(people)), {1: "input"})


def _call(side: int) -> ModelCall:
    areas = (Area.whole((side, side)),) * 2
    return ModelCall((1, 0), areas, BATCH, lambda: 1.0, torch.empty(0))


def _calls(width: int, side: int, people: int, masked: bool) -> Sequence[SiteCall]:
    mask = torch.rand(1, 8 * side, 8 * side) if masked else None
    return _attachment(KeyValueSite(width, CONTEXT), people, mask).site_calls(_call(side))[CROSS, 1]


class _Counted(KeyValueSite):
    """A site that knows how often its keys and values were projected."""

    projections = 0

    def project(self, tokens: Tensor) -> tuple[Tensor, ...]:
        self.projections += 1
        return super().project(tokens)


def _projections() -> Figure:
    counted = _Counted(SHAPES[0][0], CONTEXT)
    attachment = _attachment(counted, 1, None)
    for _ in range(STEPS):
        attachment.site_calls(_call(SHAPES[0][2]))
    return Figure(f"projections of keys and values per site in {STEPS} steps", counted.projections, 1)
