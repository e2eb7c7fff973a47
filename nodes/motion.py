"""Nodes that take motion from faces and show it."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..pipelines.face import Faces
from ..pipelines.identity.interchange import faces_from_core_landmarks
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.channels import channels_in
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.plot import plot_motion
from ..pipelines.motion.report import describe_motion
from ..pipelines.motion.takes import AGAINST, Against, take_motion
from . import sockets
from .expression import CATEGORY, fps_input, motion_output
from .reports import SHOWS_REPORT, report_output, shown


def _take_inputs() -> list[Any]:
    return [fps_input(), *against_inputs()]


def against_inputs() -> list[Any]:
    """What a take is measured against, its smoothing, and which face it is of."""
    return [
        io.Combo.Input(
            "against",
            options=list(AGAINST),
            default="calm",
            tooltip="What counts as no motion. calm: the calmest tenth of the frames. first frame. neutral: the faces "
            "below. nothing: the face as it is, with all that is only its shape.",
        ),
        io.Float.Input(
            "smooth_s",
            default=0.04,
            min=0.0,
            max=2.0,
            step=0.01,
            tooltip="Trembling of the detector is averaged over about this many seconds, without delay and not across "
            "scene cuts; blinks stay. 0 keeps it.",
        ),
        io.Int.Input("face", default=0, min=0, max=99, tooltip="Which face to follow, as numbered in its first frame."),
        sockets.Faces.Input("neutral", optional=True, tooltip="The same person at rest, for against = neutral."),
    ]


def _taken(
    faces: Faces, fps: float, against: Against, smooth_s: float, face: int, neutral: Faces | None
) -> io.NodeOutput:
    motion, said = take_motion(faces, fps, BLENDSHAPE_NAMES, against, smooth_s, face, neutral)
    report = f"{said}\n{describe_motion(motion).partition(chr(10))[2]}"
    return io.NodeOutput(motion, report, ui=shown(report))


class MotionFromFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessMotionFromFaces",
            display_name="Motion From Faces",
            category=CATEGORY,
            description="Follows one face through a series of pictures; frames without it are filled, scene cuts kept.",
            search_aliases=["motion capture", "driving video", "face capture"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Faces.Input("faces", tooltip="From Detect Faces, of the frames in their order."),
                *_take_inputs(),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls, faces: Faces, fps: float, against: Against, smooth_s: float, face: int, neutral: Faces | None = None
    ) -> io.NodeOutput:
        return _taken(faces, fps, against, smooth_s, face, neutral)


class MotionFromLandmarks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessMotionFromLandmarks",
            display_name="Motion From Landmarks",
            category=CATEGORY,
            description="Takes the motion of a face that ComfyUI's own MediaPipe Face Landmarker found.",
            search_aliases=["mediapipe", "face landmarks", "motion capture"],
            **SHOWS_REPORT,
            inputs=[
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="face_landmarks of ComfyUI's MediaPipe Face Landmarker."
                ),
                *_take_inputs(),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls,
        face_landmarks: dict[str, Any],
        fps: float,
        against: Against,
        smooth_s: float,
        face: int,
        neutral: Faces | None = None,
    ) -> io.NodeOutput:
        faces = faces_from_core_landmarks(face_landmarks, BLENDSHAPE_NAMES)
        return _taken(faces, fps, against, smooth_s, face, neutral)


class PlotMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessPlotMotion",
            display_name="Plot Motion",
            category=CATEGORY,
            description="Draws the curves of a motion and lists what moves most.",
            search_aliases=["graph", "curves", "show motion"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Motion.Input("motion", tooltip="What to draw."),
                io.String.Input(
                    "channels",
                    default="",
                    placeholder="the strongest",
                    tooltip="Channels or groups between commas, such as `mouth, -tongueOut` or `brow*, headYaw`, "
                    "at most 24. Empty takes the 12 strongest.",
                ),
                io.Int.Input("width", default=1024, min=320, max=8192, tooltip="Of the picture, in px."),
                io.Int.Input("row_height", default=56, min=24, max=400, tooltip="Of one curve, in px.", advanced=True),
            ],
            outputs=[
                io.Image.Output("plot", display_name="plot", tooltip="One row per channel, time to the right."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, motion: Motion, channels: str, width: int, row_height: int) -> io.NodeOutput:
        names = channels_in(channels) if channels.strip() else ()
        plot = plot_motion(motion, names, width, row_height)[None]
        report = describe_motion(motion, 12)
        return io.NodeOutput(plot, report, ui=shown(report, plot))
