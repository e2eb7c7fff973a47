"""Motion as pictures that guide a diffusion model."""

from __future__ import annotations

from comfy_api.latest import io

from ..pipelines.face import Faces
from ..pipelines.motion.motion import Motion
from ..pipelines.render.pose_picture import KINDS, pose_pictures
from . import sockets
from .expression import CATEGORY


class PosePicture(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessPosePicture",
            display_name="Pose Picture",
            category=CATEGORY,
            description="Draws every frame of a motion as the picture a ControlNet takes, so that expression and pose "
            "guide generation.",
            search_aliases=["controlnet", "face landmarks", "InstantID keypoints", "depth", "normal map"],
            inputs=[
                sockets.Motion.Input("motion", tooltip="One picture per frame."),
                io.Combo.Input(
                    "kind",
                    options=list(KINDS),
                    default="landmarks",
                    tooltip="landmarks: lines and colours of the MediaPipe face ControlNet. five points: InstantID's "
                    "ControlNet. depth: near is white. normals: red right, green up, blue to the camera.",
                ),
                io.Int.Input("width", default=512, min=64, max=4096, step=8, tooltip="Of the picture, in px."),
                io.Int.Input("height", default=512, min=64, max=4096, step=8, tooltip="Of the picture, in px."),
                sockets.Faces.Input(
                    "faces",
                    optional=True,
                    tooltip="The first face gives shape, place and starting expression, and its picture the size. "
                    "Without it an average face looks at the camera.",
                ),
            ],
            outputs=[io.Image.Output("image", display_name="image", tooltip="One picture per frame.")],
        )

    @classmethod
    def execute(cls, motion: Motion, kind: str, width: int, height: int, faces: Faces | None = None) -> io.NodeOutput:
        if faces is None:
            return io.NodeOutput(pose_pictures(motion, kind, None, (height, width)))
        faces.require_any("Pose Picture")
        _, face = next(iter(faces))
        return io.NodeOutput(pose_pictures(motion, kind, face, (faces.height, faces.width)))
