"""Nodes that put one person's face onto another's."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.face import Faces
from ..pipelines.identity.identity import Identity
from ..pipelines.stitch.crop import check_pictures
from ..pipelines.stitch.occlusion import Occluder
from ..pipelines.stitch.paste import BLENDS, Blend, stitch_faces
from ..pipelines.swap.choice import assign_in_order, load_swapper
from ..pipelines.swap.options import REGIONS, SwapOptions
from ..pipelines.swap.swappers import SWAPPERS, Swapper, swap_faces
from . import sockets
from .comfy_runtime import shared_registry
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown

#: Parts that can stay the target's, and why one would want that.
KEEPABLE = {
    "mouth": "Leave the target's mouth as it is: right for talking and singing, costs likeness.",
    "eyes": "Leave the target's eyes as they are: keeps gaze and glasses, costs likeness.",
    "brows": "Leave the target's brows as they are; costs much likeness.",
    "nose": "Leave the target's nose as it is; costs likeness.",
    "jaw": "Leave the target's jaw as it is, for example a beard.",
    "forehead": "Leave the target's forehead as it is, for example under a fringe or a hat.",
}


def keep_input(region: str, tooltip: str) -> io.Boolean.Input:
    """Whether a part of the face stays the target's."""
    rare = region not in ("mouth", "eyes")
    return io.Boolean.Input(f"keep_{region}", default=False, tooltip=tooltip, advanced=rare)


def occluder_input() -> io.Input:
    """What sees things in front of faces."""
    return sockets.Occluder.Input(
        "occluder",
        optional=True,
        tooltip="From Load Occluder: hands, hair and other things in front of a face stay in front. Leave it "
        "unconnected for free faces, where it can only take something away.",
    )


class LoadSwapper(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessLoadSwapper",
            display_name="Load Swapper",
            category="Likeness/swap",
            description="Chooses how faces are swapped.",
            search_aliases=["inswapper", "reactor", "face swap model"],
            **SHOWS_REPORT,
            inputs=[
                io.Combo.Input(
                    "swapper",
                    options=["auto", *(entry.name for entry in SWAPPERS)],
                    default="auto",
                    tooltip="auto: the best one whose files are present; the report says which. mesh: needs no files; "
                    "carries the source's own pixels over, best up to about 25° of turn.",
                ),
            ],
            outputs=[sockets.Swapper.Output("swapper", display_name="swapper"), report_output()],
        )

    @classmethod
    def execute(cls, swapper: str) -> io.NodeOutput:
        loaded, report = load_swapper(shared_registry(), swapper)
        return io.NodeOutput(loaded, report, ui=shown(report))


class SwapFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSwapFaces",
            display_name="Swap Faces",
            category="Likeness/swap",
            description="Puts identities onto the faces of a picture or batch, keeps expression and pose, and stitches "
            "them in.",
            search_aliases=["face swap", "reactor", "deepfake", "roop"],
            **SHOWS_REPORT,
            inputs=[
                io.Image.Input("image", tooltip="The picture or batch that Detect Faces saw."),
                sockets.Faces.Input(
                    "faces",
                    tooltip="The faces to replace, from Detect Faces or Select Faces. Pictures without a face pass "
                    "unchanged.",
                ),
                sockets.Swapper.Input("swapper", tooltip="From Load Swapper."),
                io.Autogrow.Input(
                    "identities",
                    template=io.Autogrow.TemplatePrefix(
                        sockets.Identity.Input("identity"), prefix="identity", min=1, max=16
                    ),
                    tooltip="One identity goes onto every face. Several go in order: identity0 onto the first face of "
                    "each picture, identity1 onto the second; Select Faces sets that order.",
                ),
                fraction(
                    "strength",
                    1.0,
                    "How much of the new face is mixed in. 0 returns the picture bit for bit.",
                ),
                fraction(
                    "shape",
                    SwapOptions.shape,
                    "How far the face takes the source's proportions. Higher is more alike; lower keeps the "
                    "target's outline and bends its surroundings less.",
                ),
                *(keep_input(region, tooltip) for region, tooltip in KEEPABLE.items()),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Only change the picture where this is 1, for example not on a hand before the face. "
                    "One mask per picture or one for all, of the picture's size.",
                ),
                io.Combo.Input(
                    "blend",
                    options=list(BLENDS),
                    default=BLENDS[0],
                    advanced=True,
                    tooltip="How the finished face meets the picture at the edge of its mask. alpha: as the swapper "
                    "made it. multiband: broad tones mix over a wider border, for swappers that leave a visible seam.",
                ),
                occluder_input(),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                io.Mask.Output("mask", display_name="mask", tooltip="What was changed."),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        swapper: Swapper,
        identities: dict[str, Identity],
        strength: float,
        shape: float,
        blend: Blend,
        mask: Tensor | None = None,
        occluder: Occluder | None = None,
        **keep: bool,
    ) -> io.NodeOutput:
        limit = mask.expand(len(image), -1, -1) if mask is not None and len(mask) == 1 else mask
        regions = tuple(region for region in REGIONS if not keep.get(f"keep_{region}", False))
        options = SwapOptions(strength, shape, regions=regions, mask=limit, occluder=occluder)
        check_pictures(image, faces)
        assignments, report = assign_in_order(faces, list(identities.values()))
        crops = swap_faces(swapper, image, assignments, options)
        pictures, changed = stitch_faces(image, crops, blend)
        return io.NodeOutput(pictures, changed, report, ui=shown(report))
