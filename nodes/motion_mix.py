"""Nodes that make one motion of several."""

from __future__ import annotations

from comfy_api.input import CurveInput
from comfy_api.latest import io

from ..pipelines.motion.blending import mix, weights_from_text
from ..pipelines.motion.keyframes import EASINGS, keyframes, times_from_text
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.report import describe_motion
from ..pipelines.motion.timing import concatenate
from . import sockets
from .expression import CATEGORY, fps_input, motion_output
from .reports import SHOWS_REPORT, report_output, shown

DRAWN = "curve"


def _motions(tooltip: str, name: str = "motion", least: int = 2) -> io.Autogrow.Input:
    template = io.Autogrow.TemplatePrefix(sockets.Motion.Input(name), prefix=name, min=least, max=32)
    return io.Autogrow.Input(f"{name}s", template=template, tooltip=tooltip)


def _said(motion: Motion, parts: list[Motion]) -> io.NodeOutput:
    others = sorted({part.fps for part in parts[1:]} - {parts[0].fps})
    rates = ", ".join(f"{fps:g}" for fps in others)
    note = (
        f"Brought from {rates} to {parts[0].fps:g} frames per second.\n"
        if others and motion.fps == parts[0].fps
        else ""
    )
    report = note + describe_motion(motion)
    return io.NodeOutput(motion, report, ui=shown(report))


class MixMotions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessMixMotions",
            display_name="Mix Motions",
            category=CATEGORY,
            description="Plays motions at the same time: mixed by shares or added, with other weights per channel.",
            search_aliases=["blend motions", "add motions", "layer motion"],
            **SHOWS_REPORT,
            inputs=[
                _motions("What plays together; the first gives the frame rate."),
                io.Combo.Input(
                    "mode",
                    options=["mix", "add"],
                    default="mix",
                    tooltip="mix: shares that sum to 1. add: each with its weight, 1 unless given.",
                ),
                io.String.Input(
                    "weights",
                    default="",
                    multiline=True,
                    placeholder="2, 1\nmouth: 0, 1",
                    tooltip="One number per motion, for all channels or after `channels:` for some; one line each, "
                    "later lines win. Empty: all alike.",
                ),
                io.Combo.Input(
                    "length",
                    options=["longest", "shortest", "first"],
                    default="longest",
                    tooltip="longest: shorter ones hold their last frame. shortest: longer ones are cut.",
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(cls, motions: dict[str, Motion], mode: str, weights: str, length: str) -> io.NodeOutput:
        parts = list(motions.values())
        return _said(mix(parts, weights_from_text(weights, len(parts), mode == "add"), length), parts)


class JoinMotions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessJoinMotions",
            display_name="Join Motions",
            category=CATEGORY,
            description="Plays motions one after the other.",
            search_aliases=["concatenate motions", "append motion", "sequence"],
            **SHOWS_REPORT,
            inputs=[
                _motions("In their order; the first gives the frame rate."),
                io.Float.Input(
                    "blend_s",
                    default=0.2,
                    min=0.0,
                    max=60.0,
                    step=0.01,
                    tooltip="How long neighbours overlap and fade into each other; 0 cuts hard.",
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(cls, motions: dict[str, Motion], blend_s: float) -> io.NodeOutput:
        parts = list(motions.values())
        return _said(concatenate(parts, blend_s), parts)


class Keyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessKeyframes",
            display_name="Keyframes",
            category=CATEGORY,
            description="Moves from pose to pose: each pose at its moment, with an easing in between.",
            search_aliases=["key poses", "animate expression", "tween", "easing"],
            **SHOWS_REPORT,
            inputs=[
                _motions("The poses: the first frame of each motion counts.", "pose", 1),
                io.String.Input(
                    "times_s",
                    default="",
                    placeholder="0, 0.5, 1.2",
                    tooltip="When each pose is reached, in seconds, increasing. Empty: every half second.",
                ),
                fps_input(),
                io.Combo.Input(
                    "easing",
                    options=[*EASINGS, DRAWN],
                    default="smooth",
                    tooltip="How it gets from one pose to the next. hold jumps; curve uses the one below.",
                ),
                io.Curve.Input(
                    DRAWN,
                    tooltip="For easing = curve: from left to right the time between two poses, upwards the share of "
                    "the way. Its ends count as 0 and 1.",
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(cls, poses: dict[str, Motion], times_s: str, fps: float, easing: str, curve: object) -> io.NodeOutput:
        parts = list(poses.values())
        way = EASINGS[easing] if easing != DRAWN else CurveInput.from_raw(curve).interp_array
        return _said(keyframes(parts, times_from_text(times_s, len(parts)), fps, way), parts)
