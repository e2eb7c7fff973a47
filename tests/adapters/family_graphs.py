"""One graph per adapter family: our nodes between ComfyUI's own, on the narrow models, in any setup."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import comfy.sd
import folder_paths
import torch
from sample_people import somebody
from tiny_files import EVA_FILE, write_files
from tiny_models import NARROW, TEXT, flux, flux_controlnet, narrow_controlnet, narrow_unet, random_state
from tiny_text import TinyClip, clip_vision

from likeness.nodes.adapter_conditioning import ApplyIdentityControl, IdentityConditioning
from likeness.nodes.adapters import ApplyIdentityAdapter, LoadIdentityAdapter
from likeness.nodes.comfy_runtime import register_folders, shared_registry
from likeness.nodes.protection import register_protected_folder
from likeness.nodes.regions import IdentityRegions, IdentitySchedule
from likeness.pipelines.identity.identity import Identity
from nodes import ControlNetApplyAdvanced, KSampler

#: The recognisers that families were trained with.
RECOGNISERS = ("arcface_glintr100", "arcface_w600k_r50", "arcface_arc2face")
DIALS: dict[str, Any] = {
    "start": 0.0, "end": 1.0, "blocks": {"blocks": "all alike"}, "combine": "as published", "style": "as published",
    "zero_tokens": -1, "structure": 1.0, "noise": 0.0, "uncond_seed": 0, "legacy_skip_middle": False,
}  # fmt: skip
#: Latent sizes: 64 × 64 px, 72 × 104 px, which no level of a UNet halves evenly, and 80 × 112 px.
SQUARE, ODD, EVEN = (8, 8), (9, 13), (10, 14)


@dataclass(frozen=True)
class Entry:
    """A family as its user meets it.

    file: below models. kind: of the model. text: of the prompt with a person in it, "" where the prompt stays.
    attention: whether it acts on the model. given: shape of the features of an encoder that is connected.
    """

    file: str
    kind: str
    text: str = ""
    attention: bool = True
    tower: int = 0
    given: tuple[int, ...] = ()
    trigger: str = "img"
    family: str = "auto"


@dataclass(frozen=True)
class Setup:
    """What the rest of the graph is."""

    cfg: float = 7.0
    size: tuple[int, int] = SQUARE
    batch: int = 1
    lora: bool = False
    lora_first: bool = False
    control: bool = False
    people: int = 1
    regions: bool = False
    sequential: bool = False
    schedule: str = ""
    steps: int = 1


@cache
def files() -> Path:
    """The folder of the adapters' files, known to ComfyUI."""
    models = Path(folder_paths.models_dir)
    register_folders()
    register_protected_folder()
    write_files(models, (EVA_FILE,))
    registry = shared_registry()
    entries = tuple(
        replace(entry, size_bytes=None, sha256=None) if entry.id.startswith("eva02") else entry
        for entry in registry.manifest.entries
    )
    registry.manifest = replace(registry.manifest, entries=entries)
    return models


def fresh_model(kind: str) -> Any:
    return flux() if kind == "FLUX" else narrow_unet(kind)


@cache
def base(kind: str) -> Any:
    """One model for all graphs of a kind: nothing may change it."""
    return fresh_model(kind)


@cache
def clip(kind: str) -> TinyClip:
    return TinyClip(kind)


@cache
def person(number: int) -> Identity:
    return somebody(("Ada", "Grace")[number], references=1, seed=number, encoders=RECOGNISERS)


def load(entry: Entry) -> Any:
    """Load Identity Adapter's first output."""
    write_files(files(), (entry.file,), NARROW)
    folder_paths.filename_list_cache.clear()
    return LoadIdentityAdapter.execute(entry.file, entry.family).args[0]


def given(entry: Entry, seed: int = 0) -> Any:
    """A CLIP_VISION_OUTPUT of an encoder that another pack runs, for one reference picture."""
    if not entry.given:
        return None
    random = torch.Generator().manual_seed(seed)
    return {"penultimate_hidden_states": torch.randn(1, *entry.given, generator=random)}


def people(setup: Setup) -> dict[str, Identity]:
    return {f"identity{number}": person(number) for number in range(setup.people)}


def halves(setup: Setup) -> Any:
    """Identity Regions of the left and the right half of the picture."""
    height, width = (8 * side for side in setup.size)
    masks = torch.zeros(2, height, width)
    masks[0, :, : width // 2], masks[1, :, width // 2 :] = 1, 1
    source = {"source": "masks", "masks": masks}
    return IdentityRegions.execute(people(setup), source, {"assign": "as given"}, 0.0).args[0]


def scheduled(setup: Setup) -> Any:
    if not setup.schedule:
        return None
    curve: dict[str, Any] = {"curve": "points", "points": setup.schedule}
    return IdentitySchedule.execute(curve, 0).args[0]


def applied(model: Any, entry: Entry, adapter: Any, setup: Setup, strength: float, **dials: Any) -> Any:
    """The model of Apply Identity Adapter."""
    return apply_node(model, entry, adapter, setup, strength, **dials)[0]


def apply_node(model: Any, entry: Entry, adapter: Any, setup: Setup, strength: float, **dials: Any) -> tuple[Any, str]:
    """Apply Identity Adapter; at strength 0 its LoRA is at 0 as well."""
    who: dict[str, Any] = {"identities": people(setup)}
    if setup.regions:
        who = {"identities": {}, "regions": halves(setup)}
    lora = dials.pop("lora_strength", 1.0 if strength else 0.0)
    return ApplyIdentityAdapter.execute(
        model=model, adapter=adapter, strength=strength, lora_strength=lora, schedule=scheduled(setup),
        clip_vision=clip_vision(entry.tower) if entry.tower else None, features=given(entry),
        **who, **(DIALS | dials),
    ).args  # fmt: skip


def prompt(entry: Entry, adapter: Any, setup: Setup, text: str, delay: float = 0.0) -> Any:
    """Identity Conditioning."""
    vision = clip_vision(entry.tower) if entry.tower else None
    return IdentityConditioning.execute(
        clip=clip(entry.kind), adapter=adapter, identities=people(setup), text=text, trigger=entry.trigger, delay=delay,
        clip_vision=vision, features=given(entry),
    ).args[0]  # fmt: skip


def plain_prompt(kind: str, text: str) -> Any:
    return clip(kind).encode_from_tokens_scheduled(clip(kind).tokenize(text))


@cache
def lora_file(kind: str) -> dict[str, torch.Tensor]:
    """A LoRA as users load them: one layer of the model."""
    name, width = "diffusion_model.middle_block.1.transformer_blocks.0.attn2", NARROW
    context = TEXT[kind][0]
    if kind == "FLUX":
        name, width, context = "diffusion_model.double_blocks.1.img_attn.proj", 128, 128
        shapes = {f"{name}.lora_down.weight": (4, context), f"{name}.lora_up.weight": (width, 4)}
    else:
        shapes = {f"{name}.to_v.lora_down.weight": (4, context), f"{name}.to_v.lora_up.weight": (width, 4)}
    return random_state(((key, torch.Size(shape)) for key, shape in shapes.items()), 9, torch.float32)


def with_lora(model: Any, kind: str) -> Any:
    changed = comfy.sd.load_lora_for_models(model, None, lora_file(kind), 1.0, 1.0)[0]
    assert len(changed.patches) > 0
    return changed


@cache
def control_net(kind: str) -> Any:
    return flux_controlnet() if kind == "FLUX" else narrow_controlnet(kind)


@cache
def hint(seed: int = 4) -> torch.Tensor:
    return torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(seed))


def controlled(kind: str, positive: Any, negative: Any) -> tuple[Any, Any]:
    net = control_net(kind)
    return ControlNetApplyAdvanced().apply_controlnet(positive, negative, net, hint(), 0.7, 0.0, 1.0)


def sampled(model: Any, kind: str, positive: Any, negative: Any, setup: Setup) -> torch.Tensor:
    """KSampler's latents."""
    channels = 16 if kind == "FLUX" else 4
    latent = {"samples": torch.zeros(setup.batch, channels, *setup.size)}
    model = model.clone()
    if setup.sequential:
        model.get_free_memory = lambda device: 0  # as a card that is nearly full
    return KSampler().sample(model, 5, setup.steps, setup.cfg, "euler", "normal", positive, negative, latent)[0][
        "samples"
    ]


def graph(entry: Entry, adapter: Any, setup: Setup, strength: float, model: Any = None, **dials: Any) -> torch.Tensor:
    """The whole graph. At strength 0 the prompt is the one without the person."""
    kind = entry.kind
    model = base(kind) if model is None else model
    if setup.lora and setup.lora_first:
        model = with_lora(model, kind)
    if entry.attention:
        model = applied(model, entry, adapter, setup, strength, **dials)
    if setup.lora and not setup.lora_first:
        model = with_lora(model, kind)
    text = entry.text or "a photo of a woman"
    if entry.text and strength:
        positive = prompt(entry, adapter, setup, text)
    else:
        positive = plain_prompt(kind, plain_text(entry))
    negative = plain_prompt(kind, "blurry")
    if "identitynet" in entry.trigger:
        positive, negative = identity_control(entry, adapter, setup, positive, negative, strength)
    if setup.control:
        positive, negative = controlled(kind, positive, negative)
    return sampled(model, kind, positive, negative, setup)


def plain_text(entry: Entry) -> str:
    """The prompt without its trigger words."""
    words = (entry.text or "a photo of a woman").split()
    return " ".join(word for word in words if word != entry.trigger)


def identity_control(
    entry: Entry, adapter: Any, setup: Setup, positive: Any, negative: Any, strength: float
) -> tuple[Any, Any]:
    """Apply Identity Control with a five-point picture."""
    who: dict[str, Any] = {"regions": halves(setup)} if setup.regions else {"identity": person(0)}
    net = narrow_controlnet(entry.kind, seed=6)
    outputs = ApplyIdentityControl.execute(
        positive=positive, negative=negative, control_net=net, adapter=adapter, strength=strength, start=0.0, end=1.0,
        combine="as published", picture=hint(7), **who,
    ).args  # fmt: skip
    return outputs[0], outputs[1]
