"""Nodes that make one expression: by sliders, from a photo, by the name of an emotion."""

from __future__ import annotations

from comfy_api.latest import io

from ..pipelines.face import Faces
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.blending import parse_values
from ..pipelines.motion.emotions import EMOTIONS, emotion_motion, emotion_sources
from ..pipelines.motion.expression import PARTS, expression_from_photo
from ..pipelines.motion.report import describe_motion
from ..pipelines.motion.sliders import HEAD_MOVES, HEAD_TURNS, SLIDERS, expression_from_sliders
from . import sockets
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown

CATEGORY = "Likeness/motion"


def motion_output(tooltip: str = "For Plot Motion, Pose Picture, the editing nodes and the renderers.") -> io.Output:
    return sockets.Motion.Output("motion", display_name="motion", tooltip=tooltip)


def fps_input(default: float = 25.0) -> io.Float.Input:
    return io.Float.Input("fps", default=default, min=1.0, max=240.0, step=0.01, tooltip="Frames per second.")


class ExpressionSliders(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        turns = [
            io.Float.Input(name, default=0.0, min=-45.0, max=45.0, step=0.5, tooltip=text)
            for name, _, text in HEAD_TURNS
        ]
        moves = [
            io.Float.Input(name, default=0.0, min=-2.0, max=2.0, step=0.01, tooltip=text, advanced=True)
            for name, _, text in HEAD_MOVES
        ]
        return io.Schema(
            node_id="LikenessExpressionSliders",
            display_name="Expression Sliders",
            category=CATEGORY,
            description="Sets an expression by hand: brows, eyes, gaze, mouth, jaw and head. All at 0 changes nothing.",
            search_aliases=["expression editor", "face sliders", "blendshapes", "ARKit", "smile", "blink"],
            **SHOWS_REPORT,
            inputs=[
                *(fraction(slider.name, 0.0, slider.text, low=-1.0) for slider in SLIDERS),
                *turns,
                *moves,
                io.String.Input(
                    "more",
                    default="",
                    multiline=True,
                    placeholder="mouthDimpleLeft=0.4, tongueOut=1",
                    tooltip="Any ARKit channel by name with a value, added to the sliders.",
                ),
            ],
            outputs=[motion_output("One frame with this expression."), report_output()],
        )

    @classmethod
    def execute(cls, more: str, **positions: float) -> io.NodeOutput:
        motion = expression_from_sliders(positions, parse_values(more))
        report = describe_motion(motion)
        return io.NodeOutput(motion, report, ui=shown(report))


class ExpressionFromPhoto(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessExpressionFromPhoto",
            display_name="Expression From Photo",
            category=CATEGORY,
            description="Takes the expression and head pose of a face in a photo, whole or only a part, best against "
            "the same person at rest.",
            search_aliases=["expression transfer", "copy expression", "blendshapes from image"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Faces.Input(
                    "faces", tooltip="From Detect Faces; the expression is that of the first picture with the face."
                ),
                sockets.Faces.Input(
                    "neutral",
                    optional=True,
                    tooltip="The same person at rest: faces of a photo, or of many frames, of which the middle value "
                    "counts. Without it the face counts as it is, with everything that is only its shape.",
                ),
                io.Combo.Input("part", options=list(PARTS), default="whole", tooltip="What to take over."),
                fraction("strength", 1.0, "Times this; above 1 exaggerates.", high=2.0),
                io.Int.Input(
                    "face", default=0, min=0, max=99, tooltip="Which face, as numbered by Detect Faces, from 0."
                ),
            ],
            outputs=[motion_output("One frame with this expression."), report_output()],
        )

    @classmethod
    def execute(
        cls, faces: Faces, part: str, strength: float, face: int, neutral: Faces | None = None
    ) -> io.NodeOutput:
        motion = expression_from_photo(faces, BLENDSHAPE_NAMES, neutral, part, strength, face)
        report = describe_motion(motion)
        return io.NodeOutput(motion, report, ui=shown(report))


class Emotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessEmotion",
            display_name="Emotion",
            category=CATEGORY,
            description="An emotion that comes, stays and goes, built of the facial action units that show it.",
            search_aliases=["happy", "sad", "angry", "surprise", "FACS", "action units"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input("emotion", options=list(EMOTIONS), default="happiness", tooltip="Which of the eight."),
                fraction("intensity", 0.7, "How strong; above 1 exaggerates until channels are full.", high=1.5),
                io.Float.Input(
                    "seconds",
                    default=0.0,
                    min=0.0,
                    max=3600.0,
                    step=0.05,
                    tooltip="How long it lasts with coming and going; 0 gives one frame with it fully there.",
                ),
                io.Float.Input(
                    "rise_s", default=0.4, min=0.0, max=60.0, step=0.05, tooltip="Seconds until it is there."
                ),
                io.Float.Input(
                    "fall_s", default=0.6, min=0.0, max=60.0, step=0.05, tooltip="Seconds until it is gone."
                ),
                fps_input(),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls, emotion: str, intensity: float, seconds: float, rise_s: float, fall_s: float, fps: float
    ) -> io.NodeOutput:
        motion = emotion_motion(emotion, intensity, seconds, fps, rise_s, fall_s)
        report = f"{emotion}: action units {emotion_sources(emotion)}\n{describe_motion(motion)}"
        return io.NodeOutput(motion, report, ui=shown(report))
