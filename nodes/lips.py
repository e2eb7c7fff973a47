"""Neural lips: loaders of what Dub Video draws mouths with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..pipelines.errors import MissingWeightsError
from ..pipelines.identity.parsing import FaceParser
from ..pipelines.lips.files import VAE_FILE
from ..pipelines.lips.musetalk import AUTO, MuseTalkOptions, load_musetalk, version_names
from . import sockets
from .comfy_runtime import shared_registry
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown
from .speech import CATEGORY

#: Where files of UnAvgLip's layout are kept, below ComfyUI/models.
UNAVGLIP_FOLDER = "unavglip"
NO_ADAPTER = "none"


def _adapters() -> list[str]:
    return [NO_ADAPTER, *folder_paths.get_filename_list(UNAVGLIP_FOLDER)]


def _advanced_inputs() -> list[io.Input]:
    """How the network computes, and the adapter on it."""
    return [
        io.Int.Input(
            "batch",
            default=MuseTalkOptions.batch,
            min=1,
            max=64,
            advanced=True,
            tooltip="Frames drawn at once. More is faster on a graphics card and takes more memory; the result "
            "is the same.",
        ),
        io.Boolean.Input(
            "half_precision",
            default=MuseTalkOptions.half_precision,
            advanced=True,
            tooltip="16 bit on a graphics card: half the memory, faster, hardly visible. On the CPU it changes "
            "nothing.",
        ),
        io.Combo.Input(
            "adapter",
            options=_adapters(),
            default=NO_ADAPTER,
            advanced=True,
            tooltip="A file of UnAvgLip's layout in models/unavglip, which keeps a person's own lips. Its "
            "authors have not published theirs.",
        ),
        fraction(
            "identity_scale",
            MuseTalkOptions.identity_scale,
            "With an adapter: how much of the identity's lips comes in. 0 leaves the adapter's other changes.",
            high=2.0,
            advanced=True,
        ),
    ]


class LoadLipSync(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadLipSync",
            display_name="Load Lip Sync",
            category=CATEGORY,
            description="Loads MuseTalk from the files you have: a network that draws the mouth of a filmed face anew "
            "for what is said. Without the files the report names each, its size, licence and the command.",
            search_aliases=["musetalk", "lip sync", "lipsync", "unavglip", "wav2lip", "dubbing", "latentsync"],
            **SHOWS_REPORT,
            inputs=[
                io.Vae.Input(
                    "vae", tooltip="The VAE of Stable Diffusion 1.5, from Load VAE; trained with sd-vae-ft-mse."
                ),
                io.Combo.Input(
                    "version",
                    options=list(version_names()),
                    default=AUTO,
                    tooltip="auto: the first whose file is present. 1.5 is sharper and keeps the teeth better.",
                ),
                io.Float.Input(
                    "shift_px",
                    default=MuseTalkOptions.shift_px,
                    min=-50.0,
                    max=50.0,
                    step=1.0,
                    tooltip="Moves the line between what is kept and what is drawn, in px of the picture: down opens "
                    "the mouth more, up less.",
                ),
                *_advanced_inputs(),
                sockets.Parser.Input(
                    "parser",
                    optional=True,
                    tooltip="From Load Face Parser: leaves out what lies in front of the mouth, such as a hand or a "
                    "microphone. Without, the landmarks bound what is drawn.",
                ),
            ],
            outputs=[
                sockets.Lips.Output("lips", display_name="lips", tooltip="For Dub Video."),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        version: str,
        shift_px: float,
        batch: int,
        half_precision: bool,
        adapter: str,
        identity_scale: float,
        parser: FaceParser | None = None,
    ) -> io.NodeOutput:
        registry = shared_registry()
        options = MuseTalkOptions(shift_px, batch, half_precision, identity_scale)
        lips = load_musetalk(registry, vae, version, options, parser, _adapter_path(adapter))
        best = registry.manifest.entry(VAE_FILE)
        report = (
            f"{lips.text}\nTrained with the VAE {best.file} (`./likeness fetch {best.id}`), licence {best.licence}."
        )
        return io.NodeOutput(lips, report, ui=shown(report))


def _adapter_path(choice: str) -> Path | None:
    """The file of a choice. Raises MissingWeightsError for one that is gone."""
    if choice == NO_ADAPTER:
        return None
    found = folder_paths.get_full_path(UNAVGLIP_FOLDER, choice)
    if found is None:
        raise MissingWeightsError(
            f"There is no file {choice!r} in models/{UNAVGLIP_FOLDER}. UnAvgLip's authors have not published their "
            "adapter; put one of their training code there and press R, or set adapter to none."
        )
    return Path(found)
