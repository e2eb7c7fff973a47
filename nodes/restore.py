"""Nodes that make small or worn faces crisp, in pictures and videos."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import Input, io
from torch import Tensor

from ..pipelines.face import Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.restore.restorer import LoadedRestorer
from ..pipelines.restore.restorers import RESTORERS, load_restorer
from ..pipelines.restore.restoring import RestoreOptions, describe_restored, restore_faces, restore_frames
from ..pipelines.stitch.crop import CropMask
from ..pipelines.video.face_frames import EachTracked, FaceFrames
from ..pipelines.video.face_tracks import describe_people
from ..pipelines.video.steady import Smoothing
from . import sockets
from .comfy_runtime import shared_registry
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .protection import watched_work
from .reports import SHOWS_REPORT, report_output, shown
from .streaming import face_tracks, send_through
from .video import crf_input, smoothing_input

#: Frames of a video whose faces go through the restorer together.
_FRAMES = 4
#: What statements of files say of both nodes; a protected person may be made crisp.
_RESTORED = "faces made crisp"


class LoadFaceRestorer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadFaceRestorer",
            display_name="Load Face Restorer",
            category="Likeness/restore",
            description="Chooses the network that makes faces crisp, and lists which ones are present or missing.",
            search_aliases=["gfpgan", "codeformer", "restoreformer", "gpen", "face restore model", "face enhancer"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "restorer",
                    options=["auto", *(entry.name for entry in RESTORERS)],
                    default="auto",
                    tooltip="auto: the best one whose file is present; the report says which. gfpgan: natural, steady "
                    "in video. codeformer: strongest, with a fidelity dial. restoreformer_plus_plus: detailed. gpen: "
                    "also at 1024 and 2048 px for close-ups. sharpen: needs no file, lifts only the detail there is.",
                ),
            ],
            outputs=[sockets.Restorer.Output("restorer", display_name="restorer"), report_output()],
        )

    @classmethod
    def execute(cls, restorer: str) -> io.NodeOutput:
        loaded, report = load_restorer(shared_registry(), restorer)
        return io.NodeOutput(loaded, report, ui=shown(report))


def restorer_inputs() -> list[io.Input]:
    """The restorer and its dials."""
    return [
        sockets.Restorer.Input("restorer", tooltip="From Load Face Restorer."),
        fraction("strength", 1.0, "How much of the restored face is mixed in. 0 returns the picture bit for bit."),
        fraction(
            "fidelity",
            RestoreOptions.fidelity,
            "CodeFormer only: 1 stays close to the picture and the person, 0 invents a cleaner face that may be "
            "somebody else's. The other restorers do not have this dial.",
        ),
        io.Combo.Input(
            "area",
            options=["face", *(area for area in get_args(CropMask) if area != "face")],
            default="face",
            tooltip="What may change. face: inside the landmarks' outline. box: hair, ears and neck too, up to "
            "a soft border; also for faces with five points only.",
        ),
    ]


class RestoreFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessRestoreFaces",
            display_name="Restore Faces",
            category="Likeness/restore",
            description="Makes small, blurred or swapped faces crisp; only the faces given, everything else bit for "
            "bit as it was.",
            search_aliases=["gfpgan", "codeformer", "face restoration", "face enhance", "face fix", "facedetailer"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Image.Input("image", tooltip="What Detect Faces saw, also after a swap."),
                sockets.Faces.Input(
                    "faces",
                    tooltip="The faces to restore, from Detect Faces or Select Faces. Pictures without a face pass "
                    "unchanged.",
                ),
                *restorer_inputs(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Only change the picture where this is 1. One mask per picture or one for all, of the "
                    "picture's size.",
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                io.Mask.Output("mask", display_name="mask", tooltip="What was changed."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces(_RESTORED, refuses=False)
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        restorer: LoadedRestorer,
        strength: float,
        fidelity: float,
        area: CropMask,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        limit = mask.expand(len(image), -1, -1) if mask is not None and len(mask) == 1 else mask
        pictures, changed = restore_faces(restorer, image, faces, RestoreOptions(strength, fidelity, area), limit)
        report = describe_restored(restorer, faces)
        return io.NodeOutput(pictures, changed, report, ui=shown(report))


class RestoreFacesInVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessRestoreFacesInVideo",
            display_name="Restore Faces in Video",
            category="Likeness/video",
            description="Makes the faces of a video of any length crisp, tracked and steady; sound is copied, memory "
            "does not grow with length, an interrupted run goes on where it stopped.",
            search_aliases=["video face restoration", "gfpgan video", "codeformer video", "face enhance video"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Video.Input("video", tooltip="From Load Video or Swap Faces in Video. It is read frame by frame."),
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis: finds and follows the faces."),
                *restorer_inputs(),
                fraction("threshold", 0.5, "Least detector score of a face, as in Detect Faces.", low=0.05),
                smoothing_input(),
                crf_input(),
            ],
            outputs=[io.Video.Output("video", display_name="video"), report_output()],
        )

    @classmethod
    @concerns_faces(_RESTORED, refuses=False)
    def execute(
        cls,
        video: Input.Video,
        analysis: FaceAnalysis,
        restorer: LoadedRestorer,
        strength: float,
        fidelity: float,
        area: CropMask,
        threshold: float,
        smoothing: Smoothing,
        crf: int,
    ) -> io.NodeOutput:
        options = RestoreOptions(strength, fidelity, area)
        work = EachTracked(lambda frames: restore_frames(restorer, frames, options), _FRAMES)
        tracks = face_tracks(analysis, threshold, smoothing)
        settings = ["restore", strength, fidelity, area, threshold, smoothing, analysis.name, restorer.name]
        restored, done = send_through(video, FaceFrames(tracks, watched_work(work, refuses=False)), settings, crf=crf)
        report = f"{describe_people(tracks, ['restored'])}\n{done}"
        return io.NodeOutput(restored, report, ui=shown(report))
