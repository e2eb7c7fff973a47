"""Nodes that find faces and pick among them."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.face import Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.interchange import boxes_from_faces, faces_from_core_landmarks
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.identity.preview import describe_faces, draw_faces
from ..pipelines.identity.select import ORDERS, FaceLimits, Order, Wanted, describe_selection, select_faces
from . import sockets
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown

#: Parts of a picture that faces can be limited to: left, top, right, bottom as fractions.
PLACES: dict[str, tuple[float, float, float, float]] = {
    "anywhere": (0.0, 0.0, 1.0, 1.0),
    "left half": (0.0, 0.0, 0.5, 1.0),
    "right half": (0.5, 0.0, 1.0, 1.0),
    "top half": (0.0, 0.0, 1.0, 0.5),
    "bottom half": (0.0, 0.5, 1.0, 1.0),
}


class DetectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessDetectFaces",
            display_name="Detect Faces",
            category="Likeness/identity",
            description="Finds every face of every picture, with its landmarks and expression, largest first.",
            search_aliases=["face detection", "landmarks", "bounding box", "face mesh"],
            **SHOWS_REPORT,
            inputs=[
                io.Image.Input("image", tooltip="One picture or a batch; faces are found in each."),
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis."),
                fraction(
                    "threshold",
                    0.5,
                    "Least detector score, 0 to 1. Lower finds blurred and hidden faces but also things that are none.",
                    low=0.05,
                ),
                io.Int.Input(
                    "max_faces",
                    default=0,
                    min=0,
                    max=100,
                    tooltip="Keep only this many of the largest faces of each picture; 0 keeps all. Fewer is faster.",
                ),
                io.Int.Input(
                    "min_size_px",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Leave out faces whose box is narrower or lower than this; 0 keeps all. "
                    "Below 40 px a face has little identity left.",
                ),
            ],
            outputs=[
                sockets.Faces.Output("faces", display_name="faces"),
                io.BoundingBox.Output("boxes", display_name="boxes", tooltip="For ComfyUI's own box nodes."),
                io.Image.Output("preview", display_name="preview", tooltip="The pictures with numbered faces."),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, image: Tensor, analysis: FaceAnalysis, threshold: float, max_faces: int, min_size_px: int
    ) -> io.NodeOutput:
        faces = analysis.detect(image, threshold, max_faces, min_size_px)
        preview = draw_faces(image, faces)
        report = describe_faces(faces)
        return io.NodeOutput(faces, boxes_from_faces(faces), preview, report, ui=shown(report, preview[:1]))


class FacesFromLandmarks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessFacesFromLandmarks",
            display_name="Faces From Landmarks",
            category="Likeness/identity",
            description="Takes the faces that ComfyUI's own MediaPipe Face Landmarker found.",
            search_aliases=["mediapipe", "face landmarks"],
            **SHOWS_REPORT,
            inputs=[
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="face_landmarks of ComfyUI's MediaPipe Face Landmarker."
                ),
            ],
            outputs=[
                sockets.Faces.Output("faces", display_name="faces"),
                io.BoundingBox.Output("boxes", display_name="boxes", tooltip="For ComfyUI's own box nodes."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, face_landmarks: dict[str, Any]) -> io.NodeOutput:
        faces = faces_from_core_landmarks(face_landmarks, BLENDSHAPE_NAMES)
        report = describe_faces(faces)
        return io.NodeOutput(faces, boxes_from_faces(faces), report, ui=shown(report))


def _fraction(side: str, default: float) -> io.Float.Input:
    tooltip = f"Its {side} edge, as a fraction of the picture from its left or top."
    return io.Float.Input(side, default=default, min=0.0, max=1.0, step=0.01, tooltip=tooltip)


def _where() -> io.DynamicCombo.Input:
    box = [_fraction("left", 0.0), _fraction("top", 0.0), _fraction("right", 1.0), _fraction("bottom", 1.0)]
    return io.DynamicCombo.Input(
        "where",
        options=[*(io.DynamicCombo.Option(name, []) for name in PLACES), io.DynamicCombo.Option("box", box)],
        tooltip="Keep only faces whose middle is in this part of the picture.",
    )


def _person() -> io.DynamicCombo.Input:
    one = [
        sockets.Identity.Input("identity", tooltip="Who the faces must be."),
        sockets.Analysis.Input("analysis", tooltip="Its recogniser judges; the identity must be encoded by it."),
        io.Image.Input("image", tooltip="The picture or batch that Detect Faces saw."),
        fraction(
            "min_probability",
            0.5,
            "Least probability that a face is this person. Higher lets fewer strangers in and loses more "
            "turned or blurred faces of the person.",
        ),
    ]
    return io.DynamicCombo.Input(
        "person",
        options=[io.DynamicCombo.Option("anyone", []), io.DynamicCombo.Option("one identity", one)],
        tooltip="one identity: keep only the faces of a person.",
    )


class SelectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSelectFaces",
            display_name="Select Faces",
            category="Likeness/identity",
            description="Keeps some of the faces of every picture, in an order: by size, position, score, number, or "
            "likeness to a person.",
            search_aliases=["filter faces", "face index", "pick face", "who is who"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Faces.Input("faces", tooltip="From Detect Faces."),
                io.Combo.Input(
                    "by",
                    options=list(ORDERS),
                    default="largest",
                    tooltip="The order. Swap Faces gives its first identity to the first face. likeness needs a "
                    "person below; detected is the order of the numbers in the preview.",
                ),
                io.Int.Input("count", default=0, min=0, max=100, tooltip="How many to keep per picture; 0 keeps all."),
                io.String.Input(
                    "numbers",
                    default="",
                    placeholder="all",
                    tooltip="Places in that order to keep, from 0, for example `2, 0` or `1-3`. With `detected` they "
                    "are the numbers of the preview. Empty keeps all.",
                ),
                io.Int.Input(
                    "min_size_px",
                    default=0,
                    min=0,
                    max=8192,
                    tooltip="Leave out faces whose longer side is less than this; 0 keeps all.",
                ),
                io.Int.Input(
                    "max_size_px",
                    default=0,
                    min=0,
                    max=8192,
                    advanced=True,
                    tooltip="Leave out faces whose longer side is more than this; 0 keeps all.",
                ),
                fraction(
                    "min_score",
                    0.0,
                    "Leave out faces that the detector is less sure of.",
                    advanced=True,
                ),
                _where(),
                _person(),
                io.Boolean.Input("invert", default=False, tooltip="Keep the faces that would be left out instead."),
            ],
            outputs=[sockets.Faces.Output("faces", display_name="faces"), report_output()],
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        by: Order,
        count: int,
        numbers: str,
        min_size_px: int,
        max_size_px: int,
        min_score: float,
        where: dict[str, Any],
        person: dict[str, Any],
        invert: bool,
    ) -> io.NodeOutput:
        region = PLACES.get(where["where"]) or (where["left"], where["top"], where["right"], where["bottom"])
        limits = FaceLimits(min_size_px, max_size_px, min_score, region)
        wanted = None
        if person["person"] == "one identity":
            recogniser = person["analysis"].recogniser
            wanted = Wanted(person["identity"], recogniser, person["image"], person["min_probability"])
        selected = select_faces(faces, by, count, numbers, limits, wanted, invert)
        report = describe_selection(faces, selected)
        return io.NodeOutput(selected, report, ui=shown(report))
