"""Puts identity adapters on ComfyUI's models: the only file that touches a model patcher.

A model with adapters carries one `_ModelAdapters`, which knows all of them and is exchanged as a whole, and at every
site a reader without state. Before each call of the model `_ModelAdapters` hands the readers what they have to add.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import comfy.model_management
import comfy.model_patcher
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ..pipelines.adapters.application import Application, Window, reads_weights
from ..pipelines.adapters.attachment import Attachment, ModelCall, SiteCalls, with_identity
from ..pipelines.adapters.family import IdentityAdapter
from ..pipelines.adapters.injectors import BLOCK, CROSS, MIDDLE, Attend
from ..pipelines.adapters.region import Area
from ..pipelines.errors import InputError
from .model_sites import Place, find_places
from .weight_patches import weight_patches

#: Our entries in a model's options: the adapters or the state of a call, and the prompts for parts of the picture.
KEY, AREAS = "likeness", "likeness_areas"

ModelPatcher = comfy.model_patcher.ModelPatcher


@dataclass(frozen=True, eq=False)
class _State:
    """What the readers find in the options of one call."""

    calls: SiteCalls
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _ModelAdapters:
    """All adapters of one model. ComfyUI finds `models` and `cleanup` on every entry of a model's patches."""

    attachment: Attachment
    held: tuple[ModelPatcher, ...]
    schedules: dict[int, tuple[Tensor, tuple[float, ...]]] = field(default_factory=dict)

    def models(self) -> list[ModelPatcher]:
        """The adapters' weights, which ComfyUI counts, loads and frees with the model."""
        return list(self.held)

    def cleanup(self) -> None:
        """After a sampling."""
        self.attachment.cleanup()
        self.schedules.clear()

    def _sigmas(self, options: Mapping[str, Any]) -> tuple[float, ...]:
        """Of the sampling, brought to the host once."""
        sigmas = options["sample_sigmas"]
        if id(sigmas) not in self.schedules:  # the tensor is kept, so that its id stays its own
            self.schedules[id(sigmas)] = (sigmas, tuple(sigmas.tolist()))
        return self.schedules[id(sigmas)][1]

    def apply_model(self, executor: Any, x: Tensor, t: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Around `BaseModel.apply_model`: what is decided once per call is decided here, outside the attention."""
        *front, options = args  # c_concat, c_crossattn, control, transformer_options
        like = torch.empty(0, device=x.device, dtype=executor.class_obj.get_dtype_inference())
        sides = tuple(0 if side == 0 else 1 for side in options.get("cond_or_uncond", (0,)))
        size = (x.shape[-2], x.shape[-1])
        known = options.get(AREAS, {})
        areas = tuple(known.get(name, Area.whole(size)) for name in options.get("uuids", range(len(sides))))
        call = ModelCall(sides, areas, len(x), lambda: float(t[0]), like, lambda: self._sigmas(options))
        calls = self.attachment.site_calls(call)
        return executor(x, t, *front, {**options, KEY: _State(calls, size)}, **kwargs)

    def calc_cond_batch(self, executor: Any, model: Any, conds: Any, x: Tensor, t: Tensor, options: Any) -> Any:
        """Around a step: notes which prompts are for a part of the picture, for `apply_model` sees only that part."""
        areas = {c["uuid"]: _area(c["area"], x) for cond in conds if cond for c in cond if c.get("area") is not None}
        transformer = {**options["transformer_options"], AREAS: areas}
        return executor(model, conds, x, t, {**options, "transformer_options": transformer})


def _area(area: Any, x: Tensor) -> Area:
    """ComfyUI's (height, width, top, left), cut off at the picture's border as ComfyUI does."""
    half = len(area) // 2  # video has frames in front of both pairs
    height, width, top, left = *area[half - 2 : half], *area[-2:]
    full = (x.shape[-2], x.shape[-1])
    return Area(top, left, min(height, full[0] - top), min(width, full[1] - left), full)


def _state(options: Mapping[str, Any]) -> _State:
    if KEY not in options:
        raise InputError(
            "The model has identity adapters but was called without BaseModel.apply_model, by a node that replaces "
            "ComfyUI's way to call a model. Remove that node, or apply the identity after it."
        )
    return options[KEY]


def _attend(options: Mapping[str, Any]) -> Attend:
    def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        precision = options.get("attn_precision")
        return optimized_attention(q, k, v, heads, attn_precision=precision, transformer_options=options)

    return attend


@dataclass(frozen=True, eq=False)
class _CrossReader:
    """Stands in for the text attention of one site: computes it, or lets another pack's patch do so, and adds."""

    number: int
    text: Callable[..., Tensor] | None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        attend, heads = _attend(options), options["n_heads"]
        state = _state(options)
        if self.text is None:
            x = attend(q, k, v, heads)
        else:  # it may call another reader in turn, which must not add everything a second time
            x = self.text(q, k, v, {**options, KEY: _State({}, state.size)})
        calls = state.calls.get((CROSS, self.number), ())
        return with_identity(x, q, calls, _grid(options), heads, attend, owned=self.text is None)


@dataclass(frozen=True, eq=False)
class _MiddleReader:
    """Between self-attention and cross-attention of every block. numbers: of the sites by (block, id, index)."""

    numbers: Mapping[Place, int]

    def __call__(self, x: Tensor, options: dict[str, Any]) -> Tensor:
        number = self.numbers.get((*options["block"], options["block_index"]))
        calls = () if number is None else _state(options).calls.get((MIDDLE, number), ())
        return with_identity(x, x, calls, _grid(options), options["n_heads"], _attend(options))


@dataclass(frozen=True, eq=False)
class _BlockReader:
    """After a whole block of FLUX, on the tokens of the picture; text and reference pictures stay as they are."""

    number: int
    block: Callable[..., dict[str, Tensor]] | None

    def __call__(self, args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Tensor]:
        options = args["transformer_options"]
        state = _state(options)
        if self.block is None:
            result = extra["original_block"](args)
        else:
            result = self.block({**args, "transformer_options": {**options, KEY: _State({}, state.size)}}, extra)
        calls = state.calls.get((BLOCK, self.number), ())
        if not calls:
            return result
        first = 0 if "txt" in args else options["img_slice"][0]
        grid = ((state.size[0] + 1) // 2, (state.size[1] + 1) // 2)
        head, picture, tail = result["img"].split_with_sizes(_parts(result["img"], first, grid), dim=1)
        picture = with_identity(picture, picture, calls, grid, 0, _attend(options))
        return {**result, "img": torch.cat([head, picture, tail], dim=1)}


def _parts(tokens: Tensor, first: int, grid: tuple[int, int]) -> list[int]:
    """How many tokens there are before, of and after the picture."""
    count = grid[0] * grid[1]
    return [first, count, tokens.shape[1] - first - count]


def _grid(options: Mapping[str, Any]) -> tuple[int, int]:
    height, width = options["activations_shape"][-2:]
    return height, width


def attach(model: ModelPatcher, application: Application) -> ModelPatcher:
    """A copy of the model with one more adapter; the model itself does not change.

    Raises InputError when the adapter is made for another model.
    """
    places = find_places(model, application)
    attached = model.clone()
    if application.off:
        return attached
    dtype = model.get_model_object("manual_cast_dtype") or model.model_dtype()
    sites, held = _held(application.adapter, dtype)
    application = replace(application, adapter=replace(application.adapter, sites=sites))
    options = attached.model_options["transformer_options"]
    entries = options.get("patches", {}).get(KEY, [])
    applications, models, groups = (application,), (held,), {number: place[0] for number, place in places.items()}
    if entries:
        before = entries[0]
        applications = (*before.attachment.applications, *applications)
        models = (*before.held, *models)
        groups = {**before.attachment.groups, **groups}
    _exchange(options, _ModelAdapters(Attachment(applications, groups), models))
    slots = {site.slot for site in application.sites.values()}
    for slot in sorted(slots):
        _READERS[slot](attached, {number: places[number] for number in application.sites})
    return attached


def window_of(model: ModelPatcher, start: float, end: float) -> Window:
    """The window between two fractions of the model's noise schedule, as ComfyUI's start and end percent mean it."""
    sampling = model.get_model_object("model_sampling")
    first = math.inf if start <= 0 else float(sampling.percent_to_sigma(start))
    return Window(first, 0.0 if end >= 1 else float(sampling.percent_to_sigma(end)))


def _exchange(options: dict[str, Any], adapters: _ModelAdapters) -> None:
    """`options` are the clone's own, three levels deep."""
    options.setdefault("patches", {})[KEY] = [adapters]
    wrappers = options.setdefault("wrappers", {})
    wrappers.setdefault(WrappersMP.APPLY_MODEL, {})[KEY] = [adapters.apply_model]
    wrappers.setdefault(WrappersMP.CALC_COND_BATCH, {})[KEY] = [adapters.calc_cond_batch]


def _read_cross(attached: ModelPatcher, places: Mapping[int, Place]) -> None:
    for number, place in places.items():
        found = attached.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})
        # ComfyUI looks for the most specific name only: a patch for the whole block must be passed on
        text = found.get(place, found.get(place[:2]))
        if not isinstance(text, _CrossReader):
            attached.set_model_attn2_replace(_CrossReader(number, text), *place)


def _read_middle(attached: ModelPatcher, places: Mapping[int, Place]) -> None:
    patches = attached.model_options["transformer_options"].get("patches", {}).get("middle_patch", [])
    if not any(isinstance(patch, _MiddleReader) for patch in patches):
        attached.set_model_patch(_MiddleReader({place: number for number, place in places.items()}), "middle_patch")


def _read_blocks(attached: ModelPatcher, places: Mapping[int, Place]) -> None:
    for number, place in places.items():
        found = attached.model_options["transformer_options"].get("patches_replace", {}).get("dit", {})
        block = found.get(place[:2])
        if not isinstance(block, _BlockReader):
            attached.set_model_patch_replace(_BlockReader(number, block), "dit", *place[:2])


_READERS = {CROSS: _read_cross, MIDDLE: _read_middle, BLOCK: _read_blocks}

#: Adapter → its sites in a dtype and what ComfyUI's memory manager holds of them. Forgets adapters that nobody has.
_HELD: WeakKeyDictionary[IdentityAdapter, dict[torch.dtype | None, tuple[dict[int, nn.Module], ModelPatcher]]]
_HELD = WeakKeyDictionary()


def _held(adapter: IdentityAdapter, dtype: torch.dtype) -> tuple[dict[int, nn.Module], ModelPatcher]:
    """The sites of an adapter for a model that computes in `dtype`.

    Weights that are only read before the sampling keep the dtype of their file; those that take part in every step
    have the model's.
    """
    kept = not any(map(reads_weights, adapter.sites.values()))
    by_dtype = _HELD.setdefault(adapter, {})
    key = None if kept else dtype
    if key not in by_dtype:
        sites = {number: site if kept else copy.deepcopy(site).to(dtype) for number, site in adapter.sites.items()}
        module = nn.ModuleDict({str(number): site for number, site in sites.items()}).eval().requires_grad_(False)
        # the plain patcher: these modules are called as they are, not through operations that move weights in parts
        patcher = ModelPatcher(
            module, comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
        )
        by_dtype[key] = (sites, patcher)
    return by_dtype[key]


def attach_weights(model: ModelPatcher, adapter: IdentityAdapter, strength: float = 1.0) -> ModelPatcher:
    """A copy of the model with the weight changes of an adapter's file, as ordinary weight patches.

    strength: of its LoRA; weights of the model that the file brings anew do not depend on it.
    """
    attached = model.clone()
    patches = weight_patches(model.model, adapter) if strength else {}
    if not patches:
        return attached
    missing = patches.keys() - set(attached.add_patches(patches, strength))
    if missing:
        raise InputError(
            f"{adapter.file}: the model has no weight {min(missing)} ({len(missing)} missing), which this adapter "
            f"changes: it is made for {adapter.backbone}. Connect such a model."
        )
    return attached
