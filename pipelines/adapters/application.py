"""An adapter applied to one person with the dials of one node."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from .family import IdentityAdapter, IdentityTokens
from .injectors import STYLES, Injection, KeyValueSite, Payload
from .schedule import StepCurve, step_of


@dataclass(frozen=True)
class Window:
    """The part of the sampling in which an adapter acts: sigma_end <= sigma <= sigma_start. By default, all of it."""

    sigma_start: float = math.inf
    sigma_end: float = 0.0

    @property
    def always(self) -> bool:
        return self.sigma_start == math.inf and self.sigma_end <= 0

    @property
    def never(self) -> bool:
        return self.sigma_end >= self.sigma_start

    def contains(self, sigma: float) -> bool:
        return not self.never and self.sigma_end <= sigma <= self.sigma_start


@dataclass(frozen=True, eq=False)
class Application:
    """What one node asks for; immutable, shared by every branch that comes after it.

    tokens: of one person. strength: 1 as published, 0 off. group_strengths: factor per block group ("input",
    "middle", "output"; "double_block", "single_block" for FLUX), 1 where absent. curve: factor by step. mask:
    (M, H, W) region of the person, or everywhere. style: one of injectors.STYLES. without: numbers of sites that are
    left out.
    """

    adapter: IdentityAdapter
    tokens: IdentityTokens
    strength: float = 1.0
    window: Window = Window()
    group_strengths: Mapping[str, float] = field(default_factory=dict[str, float])
    curve: StepCurve | None = None
    mask: Tensor | None = None
    style: str = "plain"
    without: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise InputError(f"Unknown attention style {self.style!r}: choose one of {', '.join(STYLES)}.")
        if not math.isfinite(self.strength):
            raise InputError(f"The strength of an identity must be a number, not {self.strength}.")

    @property
    def sites(self) -> dict[int, Injection]:
        """The sites that are reached, by number."""
        return {n: cast(Injection, site) for n, site in self.adapter.sites.items() if n not in self.without}

    @property
    def off(self) -> bool:
        """Whether it can never act: then a model stays exactly as it is."""
        return self.strength == 0 or self.window.never or not self.sites

    @property
    def constant(self) -> bool:
        """Whether it is equally strong at every step, so that nobody needs to know the step."""
        return self.window.always and self.curve is None

    def gain(self, sigma: float, sigmas: Callable[[], Sequence[float]]) -> float:
        """The strength in a model call; 0 outside the window.

        sigma: of the call. sigmas: gives those of the sampling, descending; asked for only by a curve.
        """
        if not self.window.contains(sigma):
            return 0.0
        if self.curve is None:
            return self.strength
        schedule = sigmas()
        return self.strength * self.curve.factor(step_of(sigma, schedule), len(schedule) - 1)


class Prepared:
    """The payloads of one application on one device: projected once, weighed when the strength changes."""

    #: Arrangements kept: cond and uncond apart or together, before and after a change of strength.
    KEPT = 8

    def __init__(self, application: Application, groups: Mapping[int, str], like: Tensor) -> None:
        self._factors = {n: application.group_strengths.get(groups[n], 1.0) for n in application.sites}
        tokens = application.tokens.rows()
        self._sites = application.sites
        self._payloads = {n: _project(site, tokens, like) for n, site in self._sites.items()}
        self._arranged: dict[tuple[tuple[int, ...], float], dict[int, Payload]] = {}

    def payloads(self, rows: tuple[int, ...], gain: float) -> dict[int, Payload]:
        """By site, for a batch whose rows are conditional (0) or unconditional (1)."""
        key = (rows, gain)
        if key not in self._arranged:
            if len(self._arranged) == self.KEPT:
                del self._arranged[next(iter(self._arranged))]
            self._arranged[key] = self._arrange(rows, gain)
        return self._arranged[key]

    def _arrange(self, rows: tuple[int, ...], gain: float) -> dict[int, Payload]:
        arranged: dict[int, Payload] = {}
        for number, payload in self._payloads.items():
            strength = gain * self._factors[number]
            if strength:
                weighed = self._sites[number].weigh(payload, strength)
                index = torch.tensor(rows, device=payload[0].device)
                arranged[number] = tuple(tensor.index_select(0, index) for tensor in weighed)
        return arranged


def reads_weights(site: object) -> bool:
    """Whether a site's weights take part in every call; the others are only read by `project`."""
    return not isinstance(site, KeyValueSite)


def _project(site: Injection, tokens: Tensor, like: Tensor) -> Payload:
    """In the dtype in which the site computes: that of its weights, or of the model where they take no part."""
    weight = next(cast(nn.Module, site).parameters())
    dtype = weight.dtype if reads_weights(site) else like.dtype
    return tuple(tensor.to(like.device, dtype) for tensor in site.project(tokens.to(weight)))
