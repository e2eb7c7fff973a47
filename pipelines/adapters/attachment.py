"""All adapters of one model: what every attention site has to add in one call of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import InputError
from .accumulate import adding_to, adds_in_place
from .application import Application, Prepared
from .injectors import Attend, Injection, KeyValueSite, Payload, styled
from .region import Area, Grid, Region


@dataclass(frozen=True, eq=False)
class SiteCall:
    """One increment of one site in one call of the model."""

    site: Injection
    payload: Payload
    style: str
    region: Region | None


#: By slot and number of the site, in the order in which the adapters were added; sites without any are absent.
SiteCalls = Mapping[tuple[str, int], tuple[SiteCall, ...]]


def _no_sigmas() -> Sequence[float]:
    raise InputError(
        "A strength that follows a curve over the steps needs the sampling's sigmas, and whoever calls the model does "
        "not give them: use a sampler of ComfyUI, or a start and an end instead of a curve."
    )


@dataclass(frozen=True, eq=False)
class ModelCall:
    """What a host knows when it calls the model.

    sides: per chunk of the batch 0 for conditional, 1 for unconditional. areas: per chunk the part of the picture
    that it shows. batch: rows of the batch. sigma: asked for only when a strength depends on the step, because
    reading it waits for the device. like: a tensor on the device and in the dtype of the attention. sigmas: of the
    whole sampling, for strengths that follow a curve over its steps.
    """

    sides: tuple[int, ...]
    areas: tuple[Area, ...]
    batch: int
    sigma: Callable[[], float]
    like: Tensor
    sigmas: Callable[[], Sequence[float]] = _no_sigmas

    @property
    def pictures(self) -> int:
        """How many pictures each chunk holds."""
        return self.batch // len(self.sides)

    @property
    def rows(self) -> tuple[int, ...]:
        """The side of every row."""
        return tuple(side for side in self.sides for _ in range(self.pictures))


@dataclass(eq=False)
class Attachment:
    """The applications on one model. Adding one makes another attachment, so that branches never see each other.

    groups: number of a site → its block group.
    """

    applications: tuple[Application, ...]
    groups: Mapping[int, str]
    _prepared: dict[tuple[int, torch.device, torch.dtype], Prepared] = field(default_factory=dict, init=False)
    _regions: dict[tuple[int, tuple[Area, ...], int, torch.device, torch.dtype], Region] = field(
        default_factory=dict, init=False
    )
    _last: dict[object, SiteCalls] = field(default_factory=dict, init=False)

    def site_calls(self, call: ModelCall) -> SiteCalls:
        """What every site adds; the same object as long as nothing changes from step to step."""
        sigma = 0.0 if all(a.constant for a in self.applications) else call.sigma()
        gains = tuple(a.strength if a.constant else a.gain(sigma, call.sigmas) for a in self.applications)
        key = (gains, call.sides, call.areas, call.batch, call.like.device, call.like.dtype)
        if key not in self._last:
            if len(self._last) == Prepared.KEPT:
                del self._last[next(iter(self._last))]
            self._last[key] = self._site_calls(call, gains)
        return self._last[key]

    def cleanup(self) -> None:
        """Forget everything that was made for a sampling."""
        self._prepared.clear()
        self._regions.clear()
        self._last.clear()

    def _site_calls(self, call: ModelCall, gains: tuple[float, ...]) -> SiteCalls:
        calls: dict[tuple[str, int], tuple[SiteCall, ...]] = {}
        for number, (application, gain) in enumerate(zip(self.applications, gains, strict=True)):
            if gain == 0:
                continue
            region = self._region(number, application, call)
            sites = application.sites
            payloads = self._prepare(number, application, call.like).payloads(call.rows, gain)
            for site_number, payload in payloads.items():
                site = sites[site_number]
                place = (site.slot, site_number)
                calls[place] = (*calls.get(place, ()), SiteCall(site, payload, application.style, region))
        return calls

    def _prepare(self, number: int, application: Application, like: Tensor) -> Prepared:
        key = (number, like.device, like.dtype)
        if key not in self._prepared:
            self._prepared[key] = Prepared(application, self.groups, like)
        return self._prepared[key]

    def _region(self, number: int, application: Application, call: ModelCall) -> Region | None:
        if application.mask is None:
            return None
        key = (number, call.areas, call.pictures, call.like.device, call.like.dtype)
        if key not in self._regions:
            region = Region(application.mask, call.areas, call.pictures)
            region.prepare(call.like)
            self._regions[key] = region
        return self._regions[key]


def with_identity(
    x: Tensor, q: Tensor, calls: tuple[SiteCall, ...], grid: Grid, heads: int, attend: Attend, owned: bool = False
) -> Tensor:
    """The result of a site with every identity added: x + Σ mask · increment, all increments made from the same x.

    x, q: as `Injection.increment` reads them. grid: (h, w) of the tokens. owned: nobody else holds x, so that it may
    become the result.
    """
    if calls and all(_adds_in_place(call, x, q) for call in calls):
        total = x if owned else x.clone()
        for call in calls:
            mask = None if call.region is None else call.region.at(grid, x)
            call.site.increment(q, x, call.payload, heads, adding_to(total, mask))
        return total
    total = x
    for call in calls:
        dtype = call.payload[0].dtype
        y = call.site.increment(q.to(dtype), x.to(dtype), call.payload, heads, attend).to(x.dtype)
        if call.style != "plain":
            y = styled(call.style, x, y, q, call.payload[0], heads)
        if call.region is not None:
            y = _owned(y).mul_(call.region.at(grid, y))
        total = _owned(y).add_(total)
    return total


def _adds_in_place(call: SiteCall, x: Tensor, q: Tensor) -> bool:
    """Only these increments are the attention itself, need nothing but the query, and get nothing but a mask."""
    return isinstance(call.site, KeyValueSite) and call.style == "plain" and adds_in_place(x, q, call.payload[0])


def _owned(increment: Tensor) -> Tensor:
    """The increment, which nobody else holds, for arithmetic in place; a copy where autograd may still need it."""
    return increment.clone() if increment.requires_grad else increment
