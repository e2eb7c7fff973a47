"""Nodes that load an identity adapter and put people into a model with it."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.adapters.families import AUTO, family_names
from ..pipelines.adapters.family import COMBINE_MODES
from ..pipelines.adapters.injectors import STYLES
from ..pipelines.adapters.layout import PeopleRegions
from ..pipelines.adapters.library import LoadedAdapter, describe_adapter, load_shared
from ..pipelines.adapters.people import (
    FLUX_GROUPS,
    PUBLISHED,
    UNET_GROUPS,
    ModelDials,
    TokenDials,
    apply_people,
    people_of,
)
from ..pipelines.adapters.schedule import StepCurve
from ..pipelines.errors import MissingWeightsError
from ..pipelines.identity.identity import Identity
from . import sockets
from .adapter_files import adapter_path, choices
from .comfy_runtime import shared_registry
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .people_on_models import people_sources, put_into_model, require_backbone, window_of
from .reports import SHOWS_REPORT, report_output, shown


class LoadIdentityAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadIdentityAdapter",
            display_name="Load Identity Adapter",
            category="Likeness/adapters",
            description="Reads the file of an identity adapter: InstantID, FaceID, PuLID, PhotoMaker, Arc2Face and "
            "others.",
            search_aliases=["ipadapter", "instantid", "pulid", "photomaker", "faceid", "arc2face", "load ipadapter"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "file",
                    options=choices(),
                    tooltip="Files in models/instantid, ipadapter, pulid, photomaker and so on. (missing): known to "
                    "the pack but not there; choosing it says where to get it. Press R after adding one.",
                ),
                io.Combo.Input(
                    "family",
                    options=[AUTO, *family_names()],
                    default=AUTO,
                    tooltip="auto: by the keys in the file, and by its name where two families have the same keys "
                    "(Plus and Plus v2, InstantID and Portrait unnorm). Choose it yourself for a renamed file.",
                ),
            ],
            outputs=[sockets.Adapter.Output("adapter", display_name="adapter"), report_output()],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        try:
            adapter_path(file)
        except MissingWeightsError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str, family: str, **_others: object) -> str:
        stat = adapter_path(file).stat()
        return f"{stat.st_mtime_ns}:{stat.st_size}:{family}"

    @classmethod
    def execute(cls, file: str, family: str) -> io.NodeOutput:
        loaded = load_shared(shared_registry(), adapter_path(file), family)
        report = describe_adapter(loaded.adapter)
        return io.NodeOutput(loaded, report, ui=shown(report))


def _factor(name: str) -> io.Float.Input:
    tooltip = f"Factor of the strength in the {name} blocks; 0 leaves them out."
    return io.Float.Input(name, default=1.0, min=0.0, max=3.0, step=0.05, tooltip=tooltip)


def _blocks() -> io.DynamicCombo.Input:
    return io.DynamicCombo.Input(
        "blocks",
        options=[
            io.DynamicCombo.Option("all alike", []),
            io.DynamicCombo.Option("UNet", [_factor(name) for name in UNET_GROUPS]),
            io.DynamicCombo.Option("FLUX", [_factor(name) for name in FLUX_GROUPS]),
        ],
        tooltip="Strength per part of the model. In a UNet, output blocks carry most of the likeness, input blocks "
        "most of the pose and framing.",
    )


def _dials() -> list[Any]:
    """The dials that most people leave alone."""
    return [
        io.Combo.Input(
            "combine",
            options=[PUBLISHED, *COMBINE_MODES],
            default=PUBLISHED,
            advanced=True,
            tooltip="How several reference pictures become one person. mean vector: the mean before the adapter. "
            "mean tokens: the mean behind it. join tokens: all of them side by side, stronger and slower.",
        ),
        io.Combo.Input(
            "style",
            options=[PUBLISHED, *STYLES],
            default=PUBLISHED,
            advanced=True,
            tooltip="What becomes of the identity's part along the text's. plain: added as it is. ortho, ortho_v2: "
            "PuLID's ways that disturb the prompt less (ortho_v2 is its fidelity, ortho its style mode).",
        ),
        io.Int.Input(
            "zero_tokens",
            default=-1,
            min=-1,
            max=64,
            advanced=True,
            tooltip="Empty tokens behind the identity's, which take attention from it. -1: as published with the "
            "style (PuLID for SDXL: 8 with ortho_v2, 16 with ortho; else none).",
        ),
        io.Float.Input(
            "structure",
            default=1.0,
            min=0.0,
            max=3.0,
            step=0.05,
            advanced=True,
            tooltip="FaceID Plus v2 only: how much of the picture itself comes in beside the vector.",
        ),
        fraction(
            "noise",
            0.0,
            "Noise in the vector of the unconditional side instead of zeros. 0.35 is what older InstantID nodes use "
            "against burnt pictures.",
            advanced=True,
        ),
        io.Int.Input(
            "uncond_seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            advanced=True,
            tooltip="Seed of that noise; the sampler's own noise does not depend on it.",
        ),
        io.Boolean.Input(
            "legacy_skip_middle",
            default=False,
            advanced=True,
            tooltip="Leave the middle block out, to reproduce pictures of older packs that did not reach it.",
        ),
    ]


def _sources() -> list[Any]:
    """What an adapter may need besides the people."""
    return [
        sockets.Regions.Input(
            "regions", optional=True, tooltip="From Identity Regions: people and where each of them is."
        ),
        io.Mask.Input("mask", optional=True, tooltip="Where the people may be at all, in the picture's shape."),
        sockets.Schedule.Input("schedule", optional=True, tooltip="From Identity Schedule."),
        io.ClipVision.Input(
            "clip_vision",
            optional=True,
            tooltip="For families that look at the picture: ViT-H for FaceID Plus and ConsistentID, ViT-L for "
            "MasterWeaver.",
        ),
        sockets.Analysis.Input(
            "analysis",
            optional=True,
            tooltip="Encodes people again who were made with another recogniser than the adapter's.",
        ),
        io.Mask.Input(
            "reference_masks",
            optional=True,
            tooltip="Face and hair in the reference pictures, for PuLID, MasterWeaver, FaceChain-FACT and W+ Adapter; "
            "without it a face parser, or an outline from the landmarks.",
        ),
        io.ClipVisionOutput.Input(
            "features",
            optional=True,
            tooltip="What an encoder of another pack saw in the reference pictures, instead of the pack's own (for W+ "
            "Adapter and FaceChain-FACT).",
        ),
        sockets.Parser.Input(
            "parser",
            optional=True,
            tooltip="Tells face, hair and surroundings apart in the reference pictures. Without it the parser whose "
            "file is present is used, if there is one; the report says which.",
        ),
    ]


class ApplyIdentityAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessApplyIdentityAdapter",
            display_name="Apply Identity Adapter",
            category="Likeness/adapters",
            description="Makes a model draw a person, or several people each in a region of their own.",
            search_aliases=["apply ipadapter", "apply instantid", "apply pulid", "faceid", "face to image"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Model.Input("model", tooltip="The model that the adapter was trained for; it does not change."),
                sockets.Adapter.Input("adapter", tooltip="From Load Identity Adapter."),
                io.Autogrow.Input(
                    "identities",
                    template=io.Autogrow.TemplatePrefix(
                        sockets.Identity.Input("identity"), prefix="identity", min=0, max=16
                    ),
                    tooltip="Who. Several are mixed everywhere; for one place per person connect regions instead.",
                ),
                io.Float.Input(
                    "strength",
                    default=0.8,
                    min=-1.0,
                    max=3.0,
                    step=0.05,
                    tooltip="1 is as trained, 0 leaves the model as it is bit for bit. Less leaves more to the prompt.",
                ),
                fraction("start", 0.0, "Part of the sampling after which the identity comes in.", step=0.001),
                fraction("end", 1.0, "Part of the sampling after which it goes.", step=0.001),
                io.Float.Input(
                    "lora_strength",
                    default=1.0,
                    min=-1.0,
                    max=3.0,
                    step=0.05,
                    tooltip="Of the LoRA in the same file (FaceID, ConsistentID, PhotoMaker). 0 when the separate LoRA "
                    "file is loaded. When the adapter is applied several times its LoRA acts once, at the strength "
                    "furthest from 0.",
                ),
                _blocks(),
                *_dials(),
                *_sources(),
            ],
            outputs=[io.Model.Output("model", display_name="model"), report_output()],
        )

    @classmethod
    @concerns_faces("model made to draw a person")
    def execute(
        cls,
        model: Any,
        adapter: LoadedAdapter,
        identities: dict[str, Identity],
        strength: float,
        start: float,
        end: float,
        lora_strength: float,
        blocks: dict[str, Any],
        regions: PeopleRegions | None = None,
        mask: Tensor | None = None,
        schedule: StepCurve | None = None,
        **others: Any,
    ) -> io.NodeOutput:
        require_backbone(model, adapter.adapter)
        sources = people_sources(
            others.get("clip_vision"),
            others.get("analysis"),
            others.get("reference_masks"),
            others.get("features"),
            others.get("parser"),
        )
        factors = {name: value for name, value in blocks.items() if name != "blocks"}
        dialled = ("combine", "structure", "noise", "uncond_seed", "style", "zero_tokens")
        tokens = TokenDials(*(others[name] for name in dialled))
        skip = others["legacy_skip_middle"]
        dials = ModelDials(strength, window_of(model, start, end), factors, schedule, skip, mask, lora_strength)
        everybody = people_of(list(identities.values()), regions)
        applications, report = apply_people(adapter, everybody, sources, tokens, dials)
        patched, said = put_into_model(model, adapter.adapter, applications, lora_strength)
        return io.NodeOutput(patched, report + said, ui=shown(report + said))
