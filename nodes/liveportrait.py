"""LivePortrait as a renderer that stays loaded, and its way to take motion from a driver."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.errors import InputError
from ..pipelines.face import Faces
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.report import describe_motion
from ..pipelines.render.animate import faces_to_animate, shown_already
from ..pipelines.render.liveportrait.driving import AGAINST, driving_motion
from ..pipelines.render.liveportrait.options import FOLLOWS, REGIONS, Follows, LivePortraitOptions, Region
from ..pipelines.render.liveportrait.renderer import (
    LivePortrait,
    LivePortraitPortrait,
    LivePortraitRenderer,
    load_liveportrait,
)
from . import sockets
from .comfy_runtime import shared_registry
from .expression import fps_input, motion_output
from .reports import SHOWS_REPORT, report_output, shown


class LoadLivePortrait(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadLivePortrait",
            display_name="Load LivePortrait",
            category="Likeness/render",
            description="Loads LivePortrait from the files you have, with its options, and keeps it and what it read "
            "from portraits between runs.",
            search_aliases=["liveportrait", "live portrait", "portrait animation", "stitching", "retargeting"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "region",
                    options=list(REGIONS),
                    default=REGIONS[0],
                    tooltip="all moves face and head; expression leaves the head still, pose the face; eyes and lips "
                    "move only those.",
                ),
                io.Boolean.Input(
                    "stitching",
                    default=LivePortraitOptions.stitching,
                    tooltip="Keeps shoulders and background in place, so that the face fits back into its picture. Off "
                    "lets the head move further, and shows at the border.",
                ),
                io.Boolean.Input(
                    "eye_retargeting",
                    default=LivePortraitOptions.eye_retargeting,
                    tooltip="Lids are closed and opened by LivePortrait's own network, which reaches shut eyes "
                    "whatever their shape, instead of by the expression.",
                ),
                io.Boolean.Input(
                    "lip_retargeting",
                    default=LivePortraitOptions.lip_retargeting,
                    tooltip="The same for the opening of the lips: helps portraits whose mouth is open already.",
                ),
                io.Boolean.Input(
                    "half_precision",
                    default=LivePortraitOptions.half_precision,
                    advanced=True,
                    tooltip="16-bit arithmetic on an NVIDIA card: faster, hardly visible. Elsewhere it changes "
                    "nothing.",
                ),
                io.Combo.Input(
                    "follows",
                    options=list(FOLLOWS),
                    default=FOLLOWS[0],
                    advanced=True,
                    tooltip="Of a motion from LivePortrait Motion: keypoints is exact; blendshapes follows what "
                    "editing nodes made of it. Other motions have blendshapes only.",
                ),
            ],
            outputs=[
                sockets.Renderer.Output(
                    "renderer",
                    display_name="renderer",
                    tooltip="For Animate Portrait, Edit Expression and LivePortrait Motion.",
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        region: Region,
        stitching: bool,
        eye_retargeting: bool,
        lip_retargeting: bool,
        half_precision: bool,
        follows: Follows,
    ) -> io.NodeOutput:
        options = LivePortraitOptions(region, stitching, eye_retargeting, lip_retargeting, half_precision, follows)
        renderer = load_liveportrait(shared_registry(), options)
        report = f"{renderer.text}\nLicence {LivePortraitRenderer.licence}."
        return io.NodeOutput(renderer, report, ui=shown(report))


class LivePortraitMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLivePortraitMotion",
            display_name="LivePortrait Motion",
            category="Likeness/motion",
            description="Takes the motion of a driver's frames with LivePortrait's motion extractor: everything it "
            "sees, for LivePortrait, and blendshapes for every other renderer.",
            search_aliases=["driving video", "liveportrait", "motion capture", "face reenactment"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Renderer.Input("renderer", tooltip="From Load LivePortrait."),
                io.Image.Input(
                    "images", tooltip="The driver's frames, in their order; of a video, Get Video Components."
                ),
                sockets.Faces.Input("faces", tooltip="From Detect Faces, of the same frames."),
                fps_input(),
                io.Combo.Input(
                    "against",
                    options=list(AGAINST),
                    default=AGAINST[0],
                    tooltip="What counts as no motion. calm: the driver's calmest tenth of frames; first frame: their "
                    "first. portrait: absolute, the portrait ends with the driver's expression and pose.",
                ),
                io.Int.Input(
                    "face", default=0, min=0, max=99, tooltip="Which face to follow, as numbered in its first frame."
                ),
                io.Image.Input("portrait", optional=True, tooltip="The picture to be moved, for against = portrait."),
                sockets.Faces.Input("portrait_faces", optional=True, tooltip="Its faces; the first one counts."),
            ],
            outputs=[motion_output("For Animate Portrait with the same renderer."), report_output()],
        )

    @classmethod
    def execute(
        cls,
        renderer: LivePortrait,
        images: Tensor,
        faces: Faces,
        fps: float,
        against: str,
        face: int,
        portrait: Tensor | None = None,
        portrait_faces: Faces | None = None,
    ) -> io.NodeOutput:
        prepared = _prepared(renderer, portrait, portrait_faces) if against == "portrait" else None
        motion, said = driving_motion(
            renderer.networks, images, faces, fps, BLENDSHAPE_NAMES, against, face, prepared, renderer.measured
        )
        report = f"{said}\n{describe_motion(motion).partition(chr(10))[2]}"
        return io.NodeOutput(motion, report, ui=shown(report))


def _prepared(renderer: LivePortrait, picture: Tensor | None, faces: Faces | None) -> LivePortraitPortrait:
    if picture is None or faces is None:
        raise InputError(
            "against is portrait: connect the portrait's image to portrait and its faces to portrait_faces."
        )
    faces.require_frames(len(picture), "The portrait")
    index, found = faces_to_animate(faces)
    return renderer.prepare(picture[index, :, :, :3], found[0], shown_already(found[0], BLENDSHAPE_NAMES))
