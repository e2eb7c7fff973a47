"""Nodes that put a motion or an expression onto the faces of a picture."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.face import Faces
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.sliders import HEAD_TURNS, SLIDERS, expression_from_sliders
from ..pipelines.render import RENDERERS, Renderer
from ..pipelines.render.animate import animate, faces_to_animate, load_renderer
from . import sockets
from .comfy_runtime import shared_registry
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .reports import SHOWS_REPORT, report_output, shown
from .witness import took_part

CATEGORY = "Likeness/render"


def picture_inputs() -> list[io.Input]:
    return [
        io.Image.Input("image", tooltip="The picture that Detect Faces saw."),
        sockets.Faces.Input(
            "faces",
            tooltip="From Detect Faces or Select Faces: every face in the first picture that has one is moved.",
        ),
    ]


def renderer_input() -> io.Combo.Input:
    return io.Combo.Input(
        "renderer",
        options=["auto", *(entry.name for entry in RENDERERS)],
        default="auto",
        advanced=True,
        tooltip="auto takes the best one whose weights are there; mesh needs nothing but the pack.",
    )


def loaded_input() -> io.Input:
    return sockets.Renderer.Input(
        "loaded",
        optional=True,
        tooltip="From Load LivePortrait: it is used whatever `renderer` says, with its options, and stays loaded "
        "between runs.",
    )


def _render(
    image: Tensor, faces: Faces, motion: Motion, strength: float, name: str, loaded: Renderer | None
) -> tuple[Tensor, str]:
    faces.require_frames(len(image), "The picture")
    registry = shared_registry()
    index, found = faces_to_animate(faces)
    renderer, which = load_renderer(registry, name) if loaded is None else (loaded, loaded.text)
    took_part(renderer)
    frames, limits = animate(registry, renderer, image[index, :, :, :3], found, motion, strength, BLENDSHAPE_NAMES)
    return frames, f"{which}\n{len(found)} face(s) of picture {index}. {limits}"


class AnimatePortrait(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessAnimatePortrait",
            display_name="Animate Portrait",
            category=CATEGORY,
            description="Makes the faces of a picture perform a motion; everything around them stays, bit for bit.",
            search_aliases=["liveportrait", "talking head", "facial animation", "expression"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                *picture_inputs(),
                sockets.Motion.Input("motion", tooltip="One frame comes out for each of its frames."),
                fraction(
                    "strength",
                    1.0,
                    "Of expression, turn and shift alike. 0 repeats the picture bit for bit.",
                    high=1.5,
                ),
                renderer_input(),
                loaded_input(),
            ],
            outputs=[
                io.Image.Output("images", display_name="images", tooltip="One picture per frame of the motion."),
                io.Float.Output("fps", display_name="fps", tooltip="Of the motion, for Create Video."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces("face made to move")
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        motion: Motion,
        strength: float,
        renderer: str,
        loaded: Renderer | None = None,
    ) -> io.NodeOutput:
        frames, report = _render(image, faces, motion, strength, renderer, loaded)
        return io.NodeOutput(frames, motion.fps, report, ui=shown(report))


class EditExpression(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        turns = [
            io.Float.Input(name, default=0.0, min=-45.0, max=45.0, step=0.5, tooltip=text)
            for name, _, text in HEAD_TURNS
        ]
        return io.Schema(
            node_id="LikenessEditExpression",
            display_name="Edit Expression",
            category=CATEGORY,
            description="Changes the expression of the faces in a picture by sliders. All at 0 changes nothing.",
            search_aliases=["expression editor", "smile", "blink", "gaze", "face sliders", "liveportrait"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                *picture_inputs(),
                *(fraction(slider.name, 0.0, slider.text, low=-1.0) for slider in SLIDERS),
                *turns,
                renderer_input(),
                loaded_input(),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                sockets.Motion.Output("motion", display_name="motion", tooltip="The expression, for other nodes."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces("expression of a face changed")
    def execute(
        cls, image: Tensor, faces: Faces, renderer: str, loaded: Renderer | None = None, **positions: float
    ) -> io.NodeOutput:
        motion = expression_from_sliders(positions)
        pictures, report = _render(image, faces, motion, 1.0, renderer, loaded)
        return io.NodeOutput(pictures, motion, report, ui=shown(report))
