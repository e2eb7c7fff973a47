"""Puts identity adapters on a diffusers UNet or FLUX transformer, for scripts and batches without ComfyUI.

Everything is a torch hook on the model's own layers: no attention processor is replaced, so LoRAs, other processors
and compiled attention stay, and `remove` gives the untouched model back. diffusers itself is not imported.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..backbones.flux import flux_places
from ..errors import InputError
from .application import Application
from .attachment import Attachment, ModelCall, SiteCall, SiteCalls, with_identity
from .family import IdentityAdapter
from .injectors import BLOCK, CROSS, MIDDLE
from .region import Area, Grid
from .sites import backbone_of

#: diffusers puts the unconditional half of a guided batch first.
GUIDED, UNGUIDED = (1, 0), (0,)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention by torch's own kernels; q (B, N, heads·d), k and v (B, T, heads·d)."""
    batch, length, width = q.shape
    q, k, v = (x.view(batch, -1, heads, width // heads).transpose(1, 2) for x in (q, k, v))
    read = nn.functional.scaled_dot_product_attention(q, k, v)
    return read.transpose(1, 2).reshape(batch, length, width)


def discrete_sigma(alphas_cumprod: Tensor) -> Callable[[float], float]:
    """Timestep → sigma for models that predict noise; alphas_cumprod (1000,) of the pipeline's scheduler."""
    table = [float(sigma) for sigma in ((1 - alphas_cumprod) / alphas_cumprod).sqrt()]

    def sigma_at(timestep: float) -> float:
        return table[max(0, min(round(timestep), len(table) - 1))]

    return sigma_at


def flow_sigma(timestep: float) -> float:
    """Timestep → sigma for FLUX, whose transformer is called with timesteps from 0 to 1."""
    return timestep


@dataclass(eq=False)
class Attached:
    """Adapters on one model.

    sides: per chunk of a batch 0 for conditional, 1 for unconditional; GUIDED where a pipeline doubles the batch,
    UNGUIDED where it does not. sigma: timestep → sigma, asked for only by windows and curves.
    """

    attachment: Attachment
    sides: tuple[int, ...]
    sigma: Callable[[float], float] | None
    handles: list[RemovableHandle] = field(default_factory=list[RemovableHandle])
    _calls: SiteCalls = field(default_factory=dict[tuple[str, int], tuple[SiteCall, ...]])
    _grids: dict[int, Grid] = field(default_factory=dict[int, Grid])
    _added: dict[int, Tensor] = field(default_factory=dict[int, Tensor])

    def remove(self) -> None:
        """Take the adapters off the model and forget what was made for them."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
        self.attachment.cleanup()
        self._calls, self._grids = {}, {}
        self._added.clear()

    def begin(self, like: Tensor, batch: int, size: Grid, timestep: Any) -> None:
        """Before a call of the model: what every site adds."""
        if batch % len(self.sides):
            raise InputError(
                f"A batch of {batch} cannot be divided among {len(self.sides)} sides (unconditional first): set "
                "`sides` to UNGUIDED where the pipeline runs without guidance."
            )
        empty = torch.empty(0, device=like.device, dtype=like.dtype)
        call = ModelCall(
            self.sides, (Area.whole(size),) * len(self.sides), batch, lambda: self._sigma_at(timestep), empty
        )
        self._calls = self.attachment.site_calls(call)
        self._grids = {math.prod(grid): grid for grid in _halvings(size)}

    def at(self, slot: str, number: int) -> tuple[SiteCall, ...]:
        return self._calls.get((slot, number), ())

    def grid(self, tokens: int) -> Grid:
        """The grid of so many tokens; only regions ask what it is."""
        return self._grids.get(tokens, (1, tokens))

    def _sigma_at(self, timestep: Any) -> float:
        if self.sigma is None:
            raise InputError("A window or a curve needs `sigma`: give discrete_sigma(scheduler.alphas_cumprod).")
        return self.sigma(float(torch.as_tensor(timestep).flatten()[0]))

    def keep(self, number: int, added: Tensor) -> None:
        self._added[number] = added

    def kept(self, number: int) -> Tensor | None:
        return self._added.pop(number, None)


def _halvings(size: Grid) -> list[Grid]:
    return [(math.ceil(size[0] / 2**level), math.ceil(size[1] / 2**level)) for level in range(5)]


def attach(
    model: nn.Module,
    applications: Sequence[Application],
    sides: tuple[int, ...] = GUIDED,
    sigma: Callable[[float], float] | None = None,
) -> Attached:
    """Put adapters on a diffusers UNet2DConditionModel or FluxTransformer2DModel until `remove`.

    Raises InputError when an adapter is made for another model.
    """
    is_flux = hasattr(model, "single_transformer_blocks")
    weight = next(model.parameters())
    own = [replace(a, adapter=_adapter_like(a.adapter, weight)) for a in applications if not a.off]
    groups: dict[int, str] = {}
    attached = Attached(Attachment(tuple(own), groups), sides, sigma)
    for application in own:
        groups.update(_flux_groups(model, application) if is_flux else _unet_groups(model, application))
    numbers = {(site.slot, number) for application in own for number, site in application.sites.items()}
    if is_flux:
        _hook_flux(model, attached)
    else:
        _hook_unet(model, attached, numbers)
    return attached


def _adapter_like(adapter: IdentityAdapter, weight: Tensor) -> IdentityAdapter:
    """The adapter with its sites on the device and in the dtype of the model."""
    sites = {number: copy.deepcopy(site).to(weight) for number, site in adapter.sites.items()}
    return replace(adapter, sites=sites)


def _unet_groups(model: nn.Module, application: Application) -> dict[int, str]:
    backbone = backbone_of(application.adapter)
    present = {name.removesuffix(".attn2") for name, _ in model.named_modules() if name.endswith(".attn2")}
    if present != set(backbone.by_diffusers()):
        raise InputError(
            f"{application.adapter.file} ({application.adapter.family.title}) is made for {backbone.name} with "
            f"{len(backbone.sites)} cross-attentions, but the UNet has {len(present)} of them or in other places."
        )
    return {site.number: site.block for site in backbone.sites}


def _hook_unet(model: nn.Module, attached: Attached, numbers: set[tuple[str, int]]) -> None:
    def begin(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        sample, timestep = _argument(args, kwargs, 0, "sample"), _argument(args, kwargs, 1, "timestep")
        attached.begin(sample, len(sample), (sample.shape[-2], sample.shape[-1]), timestep)

    attached.handles.append(model.register_forward_pre_hook(begin, with_kwargs=True))
    blocks = dict(model.named_modules())
    for backbone in {a.adapter.backbone: backbone_of(a.adapter) for a in attached.attachment.applications}.values():
        for site in backbone.sites:
            block = blocks[site.diffusers]
            if (CROSS, site.number) in numbers:
                _hook_cross(block.get_submodule("attn2"), attached, site.number)
            if (MIDDLE, site.number) in numbers:
                _hook_middle(block, attached, site.number)


def _hook_cross(attention: Any, attached: Attached, number: int) -> None:
    """The query is what `to_q` gave, the text's result is what the output layer is about to read."""
    queries: list[Tensor] = []

    def query(_: nn.Module, __: Any, output: Tensor) -> None:
        if attached.at(CROSS, number):
            queries.append(output)

    def result(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if not queries:
            return None
        text, calls = args[0], attached.at(CROSS, number)
        grid = attached.grid(text.shape[1])
        added = with_identity(text, queries.pop(), calls, grid, attention.heads, attend, owned=True)
        return (added, *args[1:])

    attached.handles.append(attention.to_q.register_forward_hook(query))
    attached.handles.append(attention.to_out[0].register_forward_pre_hook(result))


def _hook_middle(block: Any, attached: Attached, number: int) -> None:
    """The residual around the cross-attention starts before its norm: what is added there is added behind it too."""

    def before_norm(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        calls, x = attached.at(MIDDLE, number), args[0]
        if not calls:
            return None
        changed = with_identity(x, x, calls, attached.grid(x.shape[1]), block.attn2.heads, attend)
        attached.keep(number, changed - x)
        return (changed, *args[1:])

    def behind(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
        added = attached.kept(number)
        return None if added is None else output + added

    attached.handles.append(block.norm2.register_forward_pre_hook(before_norm))
    attached.handles.append(block.attn2.register_forward_hook(behind))


def _flux_groups(model: Any, application: Application) -> dict[int, str]:
    places = flux_places(len(model.transformer_blocks), len(model.single_transformer_blocks))
    adapter = application.adapter
    if adapter.backbone != "FLUX" or len(adapter.sites) != places.count:
        raise InputError(
            f"{adapter.file} ({adapter.family.title}) is made for {adapter.backbone} and has {len(adapter.sites)} "
            f"sites, but the model is a FLUX transformer with {places.count} places."
        )
    double = {number: "double" for number in places.double.values()}
    return double | {number: "single" for number in places.single.values()}


def _hook_flux(model: Any, attached: Attached) -> None:
    def begin(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        packed, timestep = _argument(args, kwargs, 0, "hidden_states"), _argument(args, kwargs, 3, "timestep")
        regions = any(a.mask is not None for a in attached.attachment.applications)
        size = _flux_size(_argument(args, kwargs, 4, "img_ids")) if regions else (2, 2 * packed.shape[1])
        attached.begin(packed, len(packed), size, timestep)

    attached.handles.append(model.register_forward_pre_hook(begin, with_kwargs=True))
    places = flux_places(len(model.transformer_blocks), len(model.single_transformer_blocks))
    for blocks, numbers in (
        (model.transformer_blocks, places.double),
        (model.single_transformer_blocks, places.single),
    ):
        for block, number in numbers.items():
            _hook_block(blocks[block], attached, number)


def _flux_size(img_ids: Tensor) -> Grid:
    """Size of the latent, whose 2 × 2 patches are the tokens."""
    rows, columns = (img_ids.reshape(-1, 3)[:, axis].max().int() + 1 for axis in (1, 2))
    return 2 * int(rows), 2 * int(columns)


def _hook_block(block: nn.Module, attached: Attached, number: int) -> None:
    def after(_: nn.Module, __: Any, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
        calls = attached.at(BLOCK, number)
        if not calls:
            return None
        text, picture = output
        return text, with_identity(picture, picture, calls, attached.grid(picture.shape[1]), 0, attend)

    attached.handles.append(block.register_forward_hook(after))


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str) -> Any:
    return args[place] if len(args) > place else kwargs[name]
