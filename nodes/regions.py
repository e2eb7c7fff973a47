"""Nodes that say where people are in a picture, and when in the sampling."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..pipelines.adapters.layout import SOURCES, Layout, draw_regions
from ..pipelines.adapters.schedule import SHAPES, curve_of, describe_curve
from ..pipelines.adapters.seating import ORDERS, lay_out
from ..pipelines.identity.identity import Identity
from . import sockets
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown

#: Steps that the report of a schedule shows.
SHOWN_STEPS = 20


def _size(name: str, default: int) -> io.Int.Input:
    return io.Int.Input(name, default=default, min=16, max=16384, tooltip=f"{name.capitalize()} of the picture in px.")


def _source() -> io.DynamicCombo.Input:
    inputs: dict[str, list[Any]] = {
        "faces": [
            sockets.Faces.Input("faces", tooltip="From Detect Faces: a region around every face, more below it."),
            fraction("grow", 0.6, "How far a region goes beyond the face's box, in sizes of the box.", high=4.0),
        ],
        "boxes": [
            io.BoundingBox.Input(
                "boxes",
                force_input=True,
                tooltip="One box per region, in px: drawn in Create Bounding Boxes, or from a detector.",
            ),
            _size("width", 1024),
            _size("height", 1024),
        ],
        "masks": [io.Mask.Input("masks", tooltip="A batch of masks, one per region; Batch Masks joins drawn ones.")],
        "drawing": [
            io.Image.Input("drawing", tooltip="One plain colour per region on black, for example from Painter.")
        ],
    }
    return io.DynamicCombo.Input(
        "source",
        options=[io.DynamicCombo.Option(name, inputs[name]) for name in SOURCES],
        tooltip="What the regions are made of.",
    )


def _order() -> io.DynamicCombo.Input:
    likeness = [
        io.Image.Input("picture", tooltip="A picture of the same layout in which the people's faces can be seen."),
        sockets.Analysis.Input("analysis", tooltip="Its recogniser judges; the identities must be encoded by it."),
    ]
    return io.DynamicCombo.Input(
        "assign",
        options=[io.DynamicCombo.Option(name, likeness if name == "likeness" else []) for name in ORDERS],
        tooltip="Who gets which region. left to right: identity0 the leftmost. as given: in the order of the source. "
        "likeness: by the faces in a picture, the best combination for all together.",
    )


class IdentityRegions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessIdentityRegions",
            display_name="Identity Regions",
            category="Likeness/adapters",
            description="Gives each of several people a soft region of the picture, so that nobody takes on another's "
            "face.",
            search_aliases=["regional prompt", "several people", "attention mask", "two people"],
            **SHOWS_REPORT,
            inputs=[
                io.Autogrow.Input(
                    "identities",
                    template=io.Autogrow.TemplatePrefix(
                        sockets.Identity.Input("identity"), prefix="identity", min=1, max=16
                    ),
                    tooltip="The people; there must be at least as many regions.",
                ),
                _source(),
                _order(),
                fraction("feather", 0.04, "Width of the soft border, as a part of the picture's shorter side."),
            ],
            outputs=[
                sockets.Regions.Output("regions", display_name="regions", tooltip="For Apply Identity Adapter."),
                io.Mask.Output("masks", display_name="masks", tooltip="One per identity, in their order."),
                io.Image.Output("preview", display_name="preview", tooltip="Every region in a colour of its own."),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, identities: dict[str, Identity], source: dict[str, Any], assign: dict[str, Any], feather: float
    ) -> io.NodeOutput:
        layout = Layout(
            source["source"],
            source[source["source"]],
            source.get("grow", 0.0),
            (source.get("height", 0), source.get("width", 0)),
            feather,
        )
        regions, report = lay_out(
            list(identities.values()), layout, assign["assign"], assign.get("picture"), assign.get("analysis")
        )
        preview = draw_regions(regions)
        return io.NodeOutput(regions, regions.masks, preview, report, ui=shown(report, preview))


class IdentitySchedule(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        low = fraction("low", 0.3, "The factor where the curve is lowest.", high=3.0)
        points = io.String.Input(
            "points",
            default="0: 0.3, 0.5: 1, 1: 1",
            tooltip="Pairs `fraction of the sampling: factor`, straight lines between them.",
        )
        return io.Schema(
            node_id="LikenessIdentitySchedule",
            display_name="Identity Schedule",
            category="Likeness/adapters",
            description="How strong an identity is at each step: a curve, or a delayed start that leaves the "
            "composition to the prompt.",
            search_aliases=["weight schedule", "delayed start", "fade in", "keyframes"],
            **SHOWS_REPORT,
            inputs=[
                io.DynamicCombo.Input(
                    "curve",
                    options=[
                        *(io.DynamicCombo.Option(name, [] if name == "constant" else [low]) for name in SHAPES),
                        io.DynamicCombo.Option("points", [points]),
                    ],
                    tooltip="The factor by which the strength is multiplied, from the first to the last step.",
                ),
                io.Int.Input(
                    "wait_steps",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="So many first steps of a sampler do not see the identity at all. A sampler that starts at "
                    "a later step counts from its own start.",
                ),
            ],
            outputs=[
                sockets.Schedule.Output("schedule", display_name="schedule", tooltip="For Apply Identity Adapter."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, curve: dict[str, Any], wait_steps: int) -> io.NodeOutput:
        made = curve_of(curve["curve"], wait_steps, curve.get("low", 1.0), curve.get("points", ""))
        report = describe_curve(made, SHOWN_STEPS)
        return io.NodeOutput(made, report, ui=shown(report))
