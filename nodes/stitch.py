"""Nodes that cut faces out, put them back, and mask them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.face import FaceCrops, Faces
from ..pipelines.geometry.templates import TEMPLATES
from ..pipelines.stitch.colour import COLOUR_MATCHES, ColourMatch
from ..pipelines.stitch.crop import CropMask, crop_faces
from ..pipelines.stitch.paste import BLENDS, ORDERS, Blend, Finish, Order, stitch_faces
from . import sockets
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .reports import SHOWS_REPORT, report_output, shown


def _crop_mask() -> list[io.Input]:
    """What of a crop may change the picture."""
    return [
        io.Combo.Input(
            "mask",
            options=list(get_args(CropMask)),
            default="box",
            tooltip="What Stitch Faces may change. box: the crop up to a soft border. face: only the face, "
            "so that hair and background stay whatever you do to the crop.",
        ),
        fraction(
            "grow",
            0.0,
            "Widen (below 0: narrow) the face mask by this share of the crop's side.",
            low=-0.25,
            high=0.25,
            step=0.005,
            advanced=True,
        ),
        fraction(
            "feather",
            0.06,
            "Width of the mask's soft border as a share of the crop's side.",
            high=0.5,
            step=0.005,
            advanced=True,
        ),
    ]


class CropFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessCropFaces",
            display_name="Crop Faces",
            category="Likeness/stitch",
            description="Cuts every face out, upright and at one size, and remembers the way back for Stitch Faces.",
            search_aliases=["face crop", "align face", "ffhq"],
            inputs=[
                io.Image.Input("image", tooltip="The picture or batch that Detect Faces saw."),
                sockets.Faces.Input("faces"),
                io.Int.Input(
                    "size",
                    default=512,
                    min=64,
                    max=2048,
                    step=8,
                    tooltip="Side of each crop in px. Much more than the face has in the picture adds cost, no detail.",
                ),
                fraction(
                    "zoom",
                    1.0,
                    "Above 1 goes nearer to the face; below 1 shows more around it (hair, neck), with fewer "
                    "pixels for the face itself.",
                    low=0.3,
                    high=3.0,
                    step=0.05,
                ),
                io.Combo.Input(
                    "template",
                    options=list(TEMPLATES),
                    default="ffhq_512",
                    tooltip="Where eyes, nose and mouth lie in the crop. ffhq_512 shows the whole head and suits "
                    "restorers; the arcface ones show the face only.",
                ),
                *_crop_mask(),
            ],
            outputs=[
                sockets.Crops.Output("crops", display_name="crops", tooltip="For Stitch Faces."),
                io.Image.Output("images", display_name="images", tooltip="One picture per face."),
                io.Mask.Output("masks", display_name="masks", tooltip="Where a changed crop may change the picture."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        size: int,
        zoom: float,
        template: str,
        mask: CropMask,
        grow: float,
        feather: float,
    ) -> io.NodeOutput:
        faces.require_any("Crop Faces")
        crops = crop_faces(image, faces, size, template, zoom, mask, grow, feather)
        return io.NodeOutput(crops, crops.images, crops.masks)


def _finish() -> list[io.Input]:
    """How a crop is fitted to the picture before it is mixed in."""
    return [
        io.Combo.Input(
            "colour",
            options=list(COLOUR_MATCHES),
            default="none",
            advanced=True,
            tooltip="Give the changed crop the colours it had. lab: mean and contrast. histogram: every tone, for "
            "strong casts. low_frequency: light and shade as before, new detail only.",
        ),
        fraction(
            "grain",
            0.0,
            "1 gives the crop the noise of the picture around it, for faces that came back too clean or too noisy.",
            advanced=True,
        ),
        io.Boolean.Input(
            "linear_light",
            default=False,
            advanced=True,
            tooltip="Mix light instead of display values, as compositing programs do. Soft edges between bright and "
            "dark look brighter.",
        ),
        io.Combo.Input(
            "order",
            options=list(ORDERS),
            default="as_given",
            advanced=True,
            tooltip="Which of two overlapping faces lies on top. as_given: the later one. larger_on_top: the nearer.",
        ),
    ]


def _touched(inputs: Mapping[str, Any]) -> Faces:
    """The faces of the crops that are no longer what they were when they were cut."""
    crops: FaceCrops = inputs["crops"]
    if max(crops.frame, default=-1) >= len(inputs["image"]):
        # of other pictures: the node says so
        return Faces((), crops.height, crops.width)
    changed = inputs.get("changed")
    return (crops if changed is None else crops.with_images(changed)).altered()


class StitchFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessStitchFaces",
            display_name="Stitch Faces",
            category="Likeness/stitch",
            description="Puts changed crops back into the picture. Pixels outside the mask stay the same, bit for bit.",
            search_aliases=["paste back", "uncrop", "blend face"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Image.Input("image", tooltip="The picture or batch the crops were cut from."),
                sockets.Crops.Input("crops", tooltip="From Crop Faces."),
                io.Image.Input(
                    "changed",
                    optional=True,
                    tooltip="The crops after your changes, one per face in the same order; any size.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="One mask per crop, or one for all, instead of the crops' own: 1 is replaced.",
                ),
                io.Combo.Input(
                    "blend",
                    options=list(BLENDS),
                    default="multiband",
                    tooltip="multiband hides the seam by mixing broad tones widely and detail narrowly. "
                    "alpha is the plain mix, exact inside the mask and faster. poisson shifts the crop's colours so "
                    "that they agree at the edge; slow on large faces. seam cuts where old and new differ least "
                    "within the mask's soft edge: give it a wide feather.",
                ),
                *_finish(),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                io.Mask.Output("mask", display_name="mask", tooltip="What was changed, in the picture."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces("face changed in its crop and put back", touched=_touched)
    def execute(
        cls,
        image: Tensor,
        crops: FaceCrops,
        blend: Blend,
        colour: ColourMatch = "none",
        grain: float = 0.0,
        linear_light: bool = False,
        order: Order = "as_given",
        changed: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> io.NodeOutput:
        if changed is not None:
            crops = crops.with_images(changed)
        if masks is not None:
            crops = crops.with_masks(masks)
        pictures, where = stitch_faces(image, crops, blend, finish=Finish(colour, grain, linear_light, order))
        report = f"Put {len(crops.frame)} face(s) back into {len(image)} picture(s)."
        return io.NodeOutput(pictures, where, report, ui=shown(report))
