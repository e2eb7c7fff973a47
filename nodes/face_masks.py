"""Nodes that tell parts of faces apart and mask them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..pipelines.face import FaceCrops, Faces
from ..pipelines.identity.parsed_masks import parsed_in_pictures
from ..pipelines.identity.parsing import PARSED_PARTS, FaceParser, load_parser, parser_names
from ..pipelines.stitch.masked_parts import MaskedParts, Parser
from ..pipelines.stitch.occlusion import Occluder
from ..pipelines.stitch.parts import MASK_USES, MaskUse, edges_from_text, masks_in_crops, with_user_mask
from ..pipelines.stitch.regions import REGIONS
from ..pipelines.swap.occluders import load_occluder, occluder_names
from . import sockets
from .comfy_runtime import shared_registry
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown

#: Parts that only a face parser sees.
PARSED_ONLY = ("hair", "hat", "glasses", "ears", "neck", "clothes")
#: What the less obvious parts of a face mask cover.
_COVERS = {
    "face": "the whole face up to the hairline of the mesh",
    "skin": "the face without eyes, brows, lips and mouth",
    "eye_area": "the eyes with lids and the skin below them",
    "mouth_interior": "teeth and tongue, when the mouth is open",
}


def _part(region: str) -> io.Boolean.Input:
    covers = _COVERS.get(region, f"the {region}")
    return io.Boolean.Input(region, default=region == "face", tooltip=f"Mask {covers}. Parts that are on are joined.")


def _parsed_part(part: str) -> io.Boolean.Input:
    tooltip = f"Mask {part}: landmarks do not show that, it needs a parser."
    return io.Boolean.Input(part, default=False, optional=True, advanced=True, tooltip=tooltip)


def part_inputs() -> list[io.Input]:
    """The parts that landmarks show, and their edges."""
    return [
        *(_part(region) for region in REGIONS),
        fraction(
            "grow",
            0.0,
            "Widen (below 0: narrow) every part by this share of the face's width.",
            low=-0.25,
            high=0.5,
            step=0.005,
        ),
        fraction(
            "feather",
            0.02,
            "Width of the soft edge as a share of the face's width.",
            high=0.5,
            step=0.005,
        ),
    ]


def parser_input() -> io.Input:
    """What sees parts that landmarks do not show."""
    return sockets.Parser.Input(
        "parser",
        optional=True,
        tooltip="From Load Face Parser: sees hair and hands in front of the face, and parts that landmarks "
        "do not show. It draws every part it knows; forehead, eye_area and jaw stay the landmarks'.",
    )


def finishing_inputs(needs: str = "") -> list[io.Input]:
    """Parts of a parser, and what is taken from the parts or added to them. needs: what the tooltips add."""
    return [
        *(_parsed_part(part) for part in PARSED_ONLY),
        sockets.Occluder.Input(
            "occluder",
            optional=True,
            tooltip=f"From Load Occluder: what lies in front of a face is left out of the mask.{needs}",
        ),
        io.Boolean.Input(
            "teeth",
            default=False,
            optional=True,
            advanced=True,
            tooltip=f"Mask the teeth: what is bright and not red in the mouth.{needs}",
        ),
        io.String.Input(
            "per_part",
            default="",
            multiline=True,
            optional=True,
            advanced=True,
            tooltip="Parts with a grow and a feather of their own, one a line: lips 0.02 0.05",
        ),
    ]


def _user_mask() -> list[io.Input]:
    return [
        io.Mask.Input(
            "user_mask",
            optional=True,
            tooltip="Your own mask, one per picture or one for all, of the pictures' size.",
        ),
        io.Combo.Input(
            "user_mask_use",
            options=list(MASK_USES),
            default=MASK_USES[0],
            optional=True,
            advanced=True,
            tooltip="add: your mask as well. remove: not where your mask is. within: only where your mask is.",
        ),
    ]


class LoadFaceParser(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadFaceParser",
            display_name="Load Face Parser",
            category="Likeness/identity",
            description="A network that says of every pixel of a face what it is: skin, hair, glasses, lips and so on.",
            search_aliases=["face parsing", "bisenet", "face segmentation", "79999_iter", "parsing_bisenet"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "parser",
                    options=list(parser_names()),
                    default="auto",
                    tooltip="auto: the first whose file is present. bisenet: parsing_bisenet.pth (79999_iter.pth), "
                    "which PuLID and MasterWeaver were made with. The others: facefusion's .onnx files.",
                ),
            ],
            outputs=[sockets.Parser.Output("parser", display_name="parser"), report_output()],
        )

    @classmethod
    def execute(cls, parser: str) -> io.NodeOutput:
        loaded = load_parser(shared_registry(), parser)
        report = f"{loaded.name}. Licence: {loaded.licence}.\nIt knows {', '.join(PARSED_PARTS)}."
        return io.NodeOutput(loaded, report, ui=shown(report))


class LoadOccluder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadOccluder",
            display_name="Load Occluder",
            category="Likeness/swap",
            description="Sees hands, hair, microphones and glasses in front of a face, so that they stay in front.",
            search_aliases=["occlusion", "xseg", "face occluder", "hand in front of face"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "occluder",
                    options=list(occluder_names()),
                    default="auto",
                    tooltip="auto: the newest network whose file is present, else guess. guess: from colours alone, "
                    "needs no file; misses what has the skin's own colour and takes beards and hard shadows along. "
                    "xseg_...: facefusion's .onnx files.",
                ),
            ],
            outputs=[sockets.Occluder.Output("occluder", display_name="occluder"), report_output()],
        )

    @classmethod
    def execute(cls, occluder: str) -> io.NodeOutput:
        loaded = load_occluder(shared_registry(), occluder)
        report = f"Occluder: {loaded.name}. Licence: {loaded.licence}."
        return io.NodeOutput(loaded, report, ui=shown(report))


class FaceMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessFaceMask",
            display_name="Face Mask",
            category="Likeness/stitch",
            description="Masks parts of faces: the whole, its skin, forehead, brows, eyes, nose, lips, mouth or jaw; "
            "with a face parser also hair, hat, glasses, ears, neck and clothes.",
            search_aliases=["face parsing", "eye mask", "mouth mask", "hair mask"],
            **SHOWS_REPORT,
            inputs=[
                sockets.Faces.Input("faces"),
                *part_inputs(),
                parser_input(),
                io.Image.Input("image", optional=True, tooltip="The picture of the faces, which the parser looks at."),
                sockets.Crops.Input(
                    "crops", optional=True, tooltip="From Crop Faces: gives the mask in crop space as well."
                ),
                *finishing_inputs(" Needs image."),
                *_user_mask(),
            ],
            outputs=[
                io.Mask.Output("mask", display_name="mask", tooltip="One mask per picture, 1 inside."),
                io.Mask.Output(
                    "crop_masks", display_name="crop_masks", tooltip="One per crop, for Stitch Faces' masks."
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        grow: float,
        feather: float,
        parser: FaceParser | None = None,
        image: Tensor | None = None,
        crops: FaceCrops | None = None,
        occluder: Occluder | None = None,
        teeth: bool = False,
        per_part: str = "",
        user_mask: Tensor | None = None,
        user_mask_use: MaskUse = MASK_USES[0],
        **parts: bool,
    ) -> io.NodeOutput:
        faces.require_any("Face Mask")
        chosen = chosen_mask(parts, grow, feather, parser, occluder, teeth, per_part)
        mask, report = chosen.draw(faces, image)
        if user_mask is not None:
            mask = with_user_mask(mask, user_mask, user_mask_use)
        unseen = ExecutionBlocker("Face Mask has masks of crops only when crops are connected to it.")
        in_crops: Any = unseen if crops is None else masks_in_crops(mask, crops)
        return io.NodeOutput(mask, in_crops, report, ui=shown(report))


def chosen_mask(
    parts: Mapping[str, bool],
    grow: float,
    feather: float,
    parser: FaceParser | None,
    occluder: Occluder | None,
    teeth: bool,
    per_part: str,
) -> MaskedParts:
    """What the inputs of a node with face masks ask for."""
    wanted = tuple(name for name in (*REGIONS, *PARSED_ONLY) if parts.get(name))
    seen = None if parser is None else Parser(parser.name, tuple(PARSED_PARTS), partial(parsed_in_pictures, parser))
    return MaskedParts(wanted, grow, feather, edges_from_text(per_part), seen, teeth, occluder)
