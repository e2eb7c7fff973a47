"""Nodes that change one motion."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..pipelines.motion.adjusting import adjust, retime
from ..pipelines.motion.blinks import insert_blinks
from ..pipelines.motion.channels import channels_in
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.report import describe_motion
from ..pipelines.motion.retargeting import Retargeting, retarget
from ..pipelines.motion.smoothing import smooth
from . import sockets
from .expression import CATEGORY, motion_output
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown


def channels_input(what: str) -> io.String.Input:
    return io.String.Input(
        "channels",
        default="",
        placeholder="all",
        tooltip=f"{what} Names or groups between commas: brows, eyes, blink, gaze, mouth, jaw, cheeks, rotation, "
        "translation, pose; `-name` leaves one out. Empty means all.",
    )


def _said(motion: Motion, first: str = "") -> io.NodeOutput:
    report = "\n".join(part for part in (first, describe_motion(motion)) if part)
    return io.NodeOutput(motion, report, ui=shown(report))


class RetimeMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessRetimeMotion",
            display_name="Retime Motion",
            category=CATEGORY,
            description="Cuts a motion, plays it faster, backwards or again and again, and changes its frame rate.",
            search_aliases=["trim motion", "loop motion", "reverse motion", "resample", "speed"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Motion.Input("motion", tooltip="What to change; the steps below are done in this order."),
                io.Float.Input(
                    "start_s",
                    default=0.0,
                    min=-36000.0,
                    max=36000.0,
                    step=0.01,
                    tooltip="Begin here; negative: from the end.",
                ),
                io.Float.Input(
                    "end_s",
                    default=0.0,
                    min=-36000.0,
                    max=36000.0,
                    step=0.01,
                    tooltip="Stop before this; 0 or negative: counted from the end.",
                ),
                io.Float.Input("speed", default=1.0, min=0.01, max=100.0, step=0.01, tooltip="2 plays twice as fast."),
                io.Boolean.Input("backwards", default=False, tooltip="Play from the end to the beginning."),
                io.Int.Input("times", default=1, min=1, max=10000, tooltip="How often it plays."),
                io.Combo.Input(
                    "again",
                    options=["from the start", "back and forth"],
                    default="from the start",
                    tooltip="How it is repeated. back and forth never jumps.",
                ),
                io.Float.Input(
                    "blend_s",
                    default=0.0,
                    min=0.0,
                    max=60.0,
                    step=0.01,
                    tooltip="Rounds that begin from the start fade into each other for this long.",
                ),
                io.Float.Input(
                    "fps", default=0.0, min=0.0, max=240.0, step=0.01, tooltip="New frame rate; 0 keeps it."
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls,
        motion: Motion,
        start_s: float,
        end_s: float,
        speed: float,
        backwards: bool,
        times: int,
        again: str,
        blend_s: float,
        fps: float,
    ) -> io.NodeOutput:
        turned = again == "back and forth"
        return _said(retime(motion, start_s, end_s, speed, backwards, times, turned, blend_s, fps))


class AdjustMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessAdjustMotion",
            display_name="Adjust Motion",
            category=CATEGORY,
            description="Makes channels stronger or weaker, adds constant values, mirrors left and right, and keeps "
            "all within what a face can do.",
            search_aliases=["scale motion", "offset", "mirror", "exaggerate", "clamp"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Motion.Input("motion", tooltip="What to change."),
                channels_input("What strength changes."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-4.0,
                    max=4.0,
                    step=0.01,
                    tooltip="Times this: 0 takes the channels away, above 1 exaggerates.",
                ),
                io.String.Input(
                    "add",
                    default="",
                    multiline=True,
                    placeholder="mouthSmileLeft=0.2, headYaw=0.1",
                    tooltip="Values added to channels in every frame; head turns in radians.",
                ),
                io.Boolean.Input("mirror", default=False, tooltip="Exchange left and right."),
                io.Boolean.Input(
                    "limit",
                    default=True,
                    tooltip="Clamp blendshapes to -1 to 1, head turns to 90 degrees; the report counts what was cut.",
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls, motion: Motion, channels: str, strength: float, add: str, mirror: bool, limit: bool
    ) -> io.NodeOutput:
        return _said(*adjust(motion, channels, strength, add, mirror, limit))


class SmoothMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSmoothMotion",
            display_name="Smooth Motion",
            category=CATEGORY,
            description="Takes trembling out of a motion without making it late.",
            search_aliases=["filter motion", "jitter", "denoise motion"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Motion.Input("motion", tooltip="What to smooth."),
                io.Float.Input(
                    "seconds",
                    default=0.06,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="How wide the average is (one standard deviation). 0.03 to 0.1 removes trembling, more "
                    "also flattens fast expressions.",
                ),
                io.String.Input(
                    "channels",
                    default="all, -blink",
                    placeholder="all",
                    tooltip="What is smoothed: names or groups between commas, `-name` leaves one out. Blinks are left "
                    "out because they are too fast to be averaged.",
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(cls, motion: Motion, seconds: float, channels: str) -> io.NodeOutput:
        return _said(smooth(motion, seconds, channels_in(channels)))


class AddBlinks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessAddBlinks",
            display_name="Add Blinks",
            category=CATEGORY,
            description="Lets the eyes blink now and then, as people do; closed eyes stay as they are.",
            search_aliases=["blink", "eye closing", "alive"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Motion.Input("motion", tooltip="What to add to; a single frame has no time to blink."),
                io.Float.Input(
                    "every_s",
                    default=4.0,
                    min=0.3,
                    max=600.0,
                    step=0.1,
                    tooltip="Mean pause. People blink every 3 to 5 s, more often when they talk.",
                ),
                fraction("strength", 1.0, "How far the lids close."),
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1, tooltip="Another one blinks at other moments."),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(cls, motion: Motion, every_s: float, strength: float, seed: int) -> io.NodeOutput:
        blinking, count = insert_blinks(motion, every_s, strength, seed)
        return _said(blinking, f"{count} blink(s) added.")


class RetargetMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessRetargetMotion",
            display_name="Retarget Motion",
            category=CATEGORY,
            description="Turns what one face does into what another is to do: changes against a rest, or the same "
            "expression and pose.",
            search_aliases=["relative motion", "absolute motion", "driving"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Motion.Input("driving", tooltip="What was measured on the driver, against nothing."),
                io.Combo.Input(
                    "mode",
                    options=list(get_args(Retargeting)),
                    default="relative",
                    tooltip="relative: only what changes; the portrait keeps its own expression and pose as a base. "
                    "absolute: the portrait ends with the driver's expression and pose.",
                ),
                sockets.Motion.Input(
                    "neutral",
                    optional=True,
                    tooltip="relative: the driver at rest (the middle value of its frames). Without it the calmest "
                    "frames of driving count.",
                ),
                sockets.Motion.Input(
                    "portrait",
                    optional=True,
                    tooltip="absolute: the portrait's own expression, from Expression From Photo without a neutral.",
                ),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls, driving: Motion, mode: Retargeting, neutral: Motion | None = None, portrait: Motion | None = None
    ) -> io.NodeOutput:
        return _said(retarget(driving, mode, neutral, portrait))
