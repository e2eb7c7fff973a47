"""Puts identity adapters on ComfyUI's models: the only file that touches a model patcher.

A model with adapters carries one `_ModelAdapters`, which knows all of them and is exchanged as a whole, and at every
site a reader without state. Before each call of the model `_ModelAdapters` hands the readers what they have to add.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import comfy.model_patcher
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ..pipelines.adapters.application import Application, Window, reads_weights
from ..pipelines.adapters.attachment import Attachment, ModelCall
from ..pipelines.adapters.family import IdentityAdapter
from ..pipelines.adapters.injectors import BLOCK, CROSS, MIDDLE
from ..pipelines.errors import InputError
from ..pipelines.lips.dicetalk.network import TalkNetwork
from ..pipelines.lips.dicetalk.svd_names import TRAINING_EPSILON, training_norms
from .comfy_runtime import whole_patcher
from .model_sites import Place, find_places
from .picture_areas import AREAS, areas_of, areas_of_conds
from .site_readers import KEY, BlockReader, CrossReader, MiddleReader, SiteState
from .talk_readers import TALK, TalkReader, TalkReaders, readers_module, sites_of
from .weight_patches import weight_patches

ModelPatcher = comfy.model_patcher.ModelPatcher


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
        call = ModelCall(
            sides, areas_of(options, size, len(sides)), len(x), lambda: float(t[0]), like, lambda: self._sigmas(options)
        )
        calls = self.attachment.site_calls(call)
        return executor(x, t, *front, {**options, KEY: SiteState(calls, size)}, **kwargs)

    def calc_cond_batch(self, executor: Any, model: Any, conds: Any, x: Tensor, t: Tensor, options: Any) -> Any:
        """Around a step: notes which prompts are for a part of the picture, for `apply_model` sees only that part."""
        transformer = {**options["transformer_options"], AREAS: areas_of_conds(conds, x)}
        return executor(model, conds, x, t, {**options, "transformer_options": transformer})


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
        if not isinstance(text, CrossReader):
            attached.set_model_attn2_replace(CrossReader(number, text), *place)


def _read_middle(attached: ModelPatcher, places: Mapping[int, Place]) -> None:
    patches = attached.model_options["transformer_options"].get("patches", {}).get("middle_patch", [])
    if not any(isinstance(patch, MiddleReader) for patch in patches):
        attached.set_model_patch(MiddleReader({place: number for number, place in places.items()}), "middle_patch")


def _read_blocks(attached: ModelPatcher, places: Mapping[int, Place]) -> None:
    for number, place in places.items():
        found = attached.model_options["transformer_options"].get("patches_replace", {}).get("dit", {})
        block = found.get(place[:2])
        if not isinstance(block, BlockReader):
            attached.set_model_patch_replace(BlockReader(number, block), "dit", *place[:2])


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
        by_dtype[key] = (sites, whole_patcher(module))
    return by_dtype[key]


@dataclass(frozen=True, eq=False)
class _OwnWeights:
    """The weight changes of an adapter's file that are on a model. patches: by the name of the weight."""

    strength: float
    patches: Mapping[str, Any]


def _own_key(adapter: IdentityAdapter) -> str:
    return f"{KEY} weights of {adapter.family.name} in {adapter.file}"


def weights_strength(model: ModelPatcher, adapter: IdentityAdapter) -> float | None:
    """The strength at which the weight changes of an adapter's file are on a model; None where they are not."""
    own = model.get_attachment(_own_key(adapter))
    return None if own is None else own.strength


def attach_weights(model: ModelPatcher, adapter: IdentityAdapter, strength: float = 1.0) -> ModelPatcher:
    """A copy of the model with the weight changes of an adapter's file, as ordinary weight patches.

    They are on a model once, however many nodes apply the adapter: the strength furthest from 0 counts, whichever came
    first. strength: of its LoRA; weights of the model that the file brings anew do not depend on it.
    """
    attached, before = model.clone(), model.get_attachment(_own_key(adapter))
    stays = before is not None and abs(before.strength) >= abs(strength)
    patches = weight_patches(model.model, adapter) if strength and not stays else {}
    if not patches:
        return attached
    if before is not None:
        _withdraw(attached, before)
    missing = patches.keys() - set(attached.add_patches(patches, strength))
    if missing:
        raise InputError(
            f"{adapter.file}: the model has no weight {min(missing)} ({len(missing)} missing), which this adapter "
            f"changes: it is made for {adapter.backbone}. Connect such a model."
        )
    attached.set_attachments(_own_key(adapter), _OwnWeights(strength, patches))
    return attached


def _withdraw(attached: ModelPatcher, own: _OwnWeights) -> None:
    """Take patches off a copy of a model; its lists of patches are its own."""
    for name, patch in own.patches.items():
        attached.patches[name] = [entry for entry in attached.patches[name] if entry[1] is not patch]


def with_talk_weights(model: ModelPatcher, network: TalkNetwork, what: str) -> tuple[ModelPatcher, ModelPatcher]:
    """A copy of a video model with a talking network's weights, and the readers under ComfyUI's memory manager.

    what: the file, for messages. Raises InputError for a model that is no Stable Video Diffusion.
    """
    attached = model.clone()
    if not sites_of(model):
        raise InputError(
            f"{what} changes Stable Video Diffusion, the model is another one: load svd_xt with Image Only Checkpoint "
            "Loader and connect its model."
        )
    patches = {f"diffusion_model.{name}": ("set", (tensor,)) for name, tensor in network.weights.items()}
    missing = patches.keys() - set(attached.add_patches(patches))
    if missing:
        raise InputError(
            f"{what}: the model has no weight {min(missing)} ({len(missing)} missing). Load svd_xt or svd_xt_1_1."
        )
    for norm in training_norms():
        attached.add_object_patch(f"diffusion_model.{norm}.eps", TRAINING_EPSILON)
    dtype = model.get_model_object("manual_cast_dtype") or model.model_dtype()
    return attached, whole_patcher(readers_module(network.readers, dtype))


def attach_talk(model: ModelPatcher, readers: TalkReaders) -> ModelPatcher:
    """A copy of a model of `with_talk_weights` that reads the tokens of sound and emotion in its prompts.

    Raises InputError for a model on which another node has replaced the attention.
    """
    attached = model.clone()
    options = attached.model_options["transformer_options"]
    if options.get("patches_replace", {}).get("attn2") or options.get("patches", {}).get(TALK):
        raise InputError(
            "The attention of this video model is replaced already, by another talking head or another pack: connect "
            "the model of Load DICE-Talk as it is."
        )
    attached.set_model_attn2_patch(readers.split)
    attached.set_model_patch(readers.first_features, "input_block_patch")
    attached.set_model_patch(readers, TALK)
    for number, place in sites_of(model).items():
        attached.set_model_attn2_replace(TalkReader(number, readers), *place)
    # replacing an attention has exchanged the options
    options = attached.model_options["transformer_options"]
    wrappers = options.setdefault("wrappers", {}).setdefault(WrappersMP.DIFFUSION_MODEL, {})
    wrappers[TALK] = [readers.diffusion_model]
    return attached
