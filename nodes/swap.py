"""Nodes that put one person's face onto another's."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.errors import InputError
from ..pipelines.face import Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.identity import Identity
from ..pipelines.stitch.crop import check_pictures
from ..pipelines.stitch.occlusion import Occluder
from ..pipelines.stitch.paste import BLENDS, Blend, stitch_faces
from ..pipelines.swap.choice import assign_by_likeness, assign_in_order, load_swapper
from ..pipelines.swap.options import REGIONS, SwapOptions
from ..pipelines.swap.swappers import SWAPPERS, Swapper, swap_faces
from . import sockets
from .comfy_runtime import shared_registry
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
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


_ORDER = (
    "One identity goes onto every face. Several go in order: identity0 onto the first face of each picture, identity1 "
    "onto the second; Select Faces sets that order. With people, identity0 goes wherever person0 is."
)

#: "auto" is 0 of `SwapOptions.boost`.
BOOSTS = ("auto", "1", "2", "4", "8")


def boost_input() -> io.Combo.Input:
    """How many of a swapper's pixels side by side make one of the crop."""
    return io.Combo.Input(
        "boost",
        options=list(BOOSTS),
        default=BOOSTS[0],
        advanced=True,
        # prompts from before it was there keep working
        optional=True,
        tooltip="Resolution of swappers with a fixed size, by interleaved sub-images: 4 makes 512 px of a 128 px "
        "swapper and takes 16 times as long. auto: as much as the face's size can show. 1: the classic result. The "
        "mesh swapper works at the picture's own resolution and ignores it.",
    )


def boost_number(boost: str) -> int:
    """`SwapOptions.boost` of a choice."""
    return 0 if boost == BOOSTS[0] else int(boost)


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


def _by_likeness() -> list[io.Input]:
    """Who is replaced, where that is not decided by the order of the faces."""
    return [
        io.Autogrow.Input(
            "people",
            template=io.Autogrow.TemplatePrefix(sockets.Identity.Input("person"), prefix="person", min=0, max=16),
            optional=True,
            tooltip="Who is to be replaced, by likeness instead of order: wherever person0 is, identity0 goes; "
            "everybody else stays. Needs the analysis. Build them from any photo of these people.",
        ),
        sockets.Analysis.Input(
            "analysis",
            optional=True,
            tooltip="From Load Face Analysis: its recogniser tells the people apart.",
        ),
        fraction(
            "min_probability",
            0.5,
            "With people: least probability that a face is one of them. Higher lets fewer strangers in.",
            advanced=True,
            optional=True,
        ),
    ]


def _onto(identities: str) -> io.Autogrow.Input:
    template = io.Autogrow.TemplatePrefix(sockets.Identity.Input("identity"), prefix="identity", min=1, max=16)
    return io.Autogrow.Input(identities, template=template, tooltip=_ORDER)


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
            **CONCERNS_FACES,
            inputs=[
                io.Image.Input("image", tooltip="The picture or batch that Detect Faces saw."),
                sockets.Faces.Input(
                    "faces",
                    tooltip="The faces to replace, from Detect Faces or Select Faces. Pictures without a face pass "
                    "unchanged.",
                ),
                sockets.Swapper.Input("swapper", tooltip="From Load Swapper."),
                _onto("identities"),
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
                boost_input(),
                *_by_likeness(),
                occluder_input(),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                io.Mask.Output("mask", display_name="mask", tooltip="What was changed."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces("faces replaced by another person's")
    def execute(
        cls,
        image: Tensor,
        faces: Faces,
        swapper: Swapper,
        identities: dict[str, Identity],
        strength: float,
        shape: float,
        blend: Blend,
        boost: str = BOOSTS[0],
        people: dict[str, Identity] | None = None,
        analysis: FaceAnalysis | None = None,
        min_probability: float = 0.5,
        mask: Tensor | None = None,
        occluder: Occluder | None = None,
        **keep: bool,
    ) -> io.NodeOutput:
        limit = mask.expand(len(image), -1, -1) if mask is not None and len(mask) == 1 else mask
        regions = tuple(region for region in REGIONS if not keep.get(f"keep_{region}", False))
        options = SwapOptions(
            strength, shape, regions=regions, mask=limit, boost=boost_number(boost), occluder=occluder
        )
        check_pictures(image, faces)
        new, old = list(identities.values()), list((people or {}).values())
        if old:
            if analysis is None:
                raise InputError(
                    "Swap Faces has people but no analysis: connect Load Face Analysis, which tells them apart."
                )
            found = assign_by_likeness(faces, image[..., :3], old, new, analysis.recogniser, min_probability)
        else:
            found = assign_in_order(faces, new)
        assignments, report = found
        crops = swap_faces(swapper, image, assignments, options)
        pictures, changed = stitch_faces(image, crops, blend)
        report = "\n".join([report, *swapper.about(new)])
        return io.NodeOutput(pictures, changed, report, ui=shown(report))
