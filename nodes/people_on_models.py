"""What the nodes of adapters share: the parts of a graph that an adapter reads, and people put into a model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..pipelines.adapters.application import Application, Window
from ..pipelines.adapters.family import IdentityAdapter
from ..pipelines.adapters.features import Sources
from ..pipelines.adapters.people import brings_weights_only
from ..pipelines.errors import InputError
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.parsing import FaceParser
from .attach import attach, attach_weights, weights_strength
from .comfy_runtime import shared_registry
from .model_sites import describe
from .vision_towers import connected_features, tower_of

#: A window that contains no noise level.
NEVER = Window(0.0, 1.0)


def people_sources(
    clip_vision: Any = None,
    analysis: FaceAnalysis | None = None,
    masks: Tensor | None = None,
    features: Any = None,
    parser: FaceParser | None = None,
) -> Sources:
    """Where what an adapter needs to know comes from, by what is connected."""
    return Sources(shared_registry(), tower_of(clip_vision), analysis, masks, connected_features(features), parser)


def window_of(model: Any, start: float, end: float) -> Window:
    """The part of the sampling between two fractions of it, in the model's own noise levels."""
    if start >= end:
        return NEVER
    sampling = model.get_model_object("model_sampling")
    return Window(
        float("inf") if start <= 0 else float(sampling.percent_to_sigma(start)),
        0.0 if end >= 1 else float(sampling.percent_to_sigma(end)),
    )


def require_backbone(model: Any, adapter: IdentityAdapter) -> None:
    """Raise InputError for a model that the adapter was not trained for, before anything else is asked of the user."""
    found = describe(model.get_model_object("diffusion_model"))
    if found != adapter.backbone:
        raise InputError(
            f"{adapter.file} ({adapter.family.title}) is made for {adapter.backbone}, but the model is {found}. "
            f"Connect a {adapter.backbone} model, or load an adapter for {found}."
        )


def put_into_model(
    model: Any, adapter: IdentityAdapter, applications: tuple[Application, ...], lora_strength: float
) -> tuple[Any, str]:
    """A copy of the model with every person in it and once the weight changes of the adapter's own file, and what is
    to be said of these when another node has brought them already.
    """
    patched = model.clone()
    for application in applications:
        patched = attach(patched, application)
    before = weights_strength(model, adapter)
    if applications or brings_weights_only(adapter):
        patched = attach_weights(patched, adapter, lora_strength)
    if before is None or not lora_strength:
        return patched, ""
    now = weights_strength(patched, adapter)
    said = "it stays so" if now == before else f"now it is at {now:g}"
    return patched, f"\nThe LoRA of {adapter.file} was on the model already, at {before:g}: {said}, and acts once."


def chained(
    net: Any, conditionings: tuple[list[Any], ...], picture: Tensor, strength: float, window: tuple[float, float]
) -> list[list[Any]]:
    """The conditionings with a control net behind those that they have already.

    One copy of the net serves every entry with the same chain, so that ComfyUI runs both sides in one batch.
    """
    behind: dict[Any, Any] = {}
    result: list[list[Any]] = []
    for conditioning in conditionings:
        entries: list[Any] = []
        for tokens, values in conditioning:
            before = values.get("control")
            if before not in behind:
                behind[before] = net.copy().set_cond_hint(picture.movedim(-1, 1), strength, window)
                behind[before].set_previous_controlnet(before)
            entries.append([tokens, {**values, "control": behind[before], "control_apply_to_uncond": False}])
        result.append(entries)
    return result
