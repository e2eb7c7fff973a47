"""Nodes that put people into the conditioning: by IdentityNet, or by words of the prompt."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.adapters.conditioning import Wish, condition
from ..pipelines.adapters.control import control_people, control_picture
from ..pipelines.adapters.family import COMBINE_MODES
from ..pipelines.adapters.layout import PeopleRegions
from ..pipelines.adapters.library import LoadedAdapter
from ..pipelines.adapters.people import PUBLISHED, TokenDials, people_of
from ..pipelines.face import Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.identity import Identity
from ..pipelines.identity.parsing import FaceParser
from . import sockets
from .identity_control import IdentityControlNet
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .people_on_models import chained, people_sources
from .reports import SHOWS_REPORT, report_output, shown


def _control_sources() -> list[Any]:
    """What Identity Control may need besides the person, and the dials that most people leave alone."""
    return [
        sockets.Faces.Input(
            "faces",
            optional=True,
            tooltip="Where the face is to be: Detect Faces on a photo with the wished pose. The five-point "
            "picture is drawn from it.",
        ),
        io.Image.Input(
            "picture",
            optional=True,
            tooltip="Instead of faces: a five-point picture that is drawn already, used as it is.",
        ),
        sockets.Analysis.Input(
            "analysis",
            optional=True,
            tooltip="Encodes the person again when made with another recogniser than antelopev2's.",
        ),
        sockets.Regions.Input(
            "regions",
            optional=True,
            tooltip="From Identity Regions, instead of identity: the ControlNet runs once per person, and what "
            "it says of a person counts in that person's region only.",
        ),
        fraction(
            "noise",
            0.0,
            "Noise in the vector of the negative side instead of zeros; as in Apply Identity Adapter.",
            advanced=True,
            optional=True,
        ),
        io.Int.Input(
            "uncond_seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            optional=True,
            advanced=True,
            tooltip="Seed of that noise; the sampler's own noise does not depend on it.",
        ),
    ]


class ApplyIdentityControl(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessApplyIdentityControl",
            display_name="Apply Identity Control",
            category="Likeness/adapters",
            description="InstantID's IdentityNet: a ControlNet that reads the person instead of the text, and places "
            "the face. Other ControlNets in the chain keep the text.",
            search_aliases=["instantid", "identitynet", "apply instantid controlnet", "face keypoints"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Conditioning.Input("positive", tooltip="The prompt."),
                io.Conditioning.Input("negative", tooltip="The negative prompt."),
                io.ControlNet.Input("control_net", tooltip="InstantID's ControlNetModel, from Load ControlNet Model."),
                sockets.Adapter.Input("adapter", tooltip="InstantID's ip-adapter, from Load Identity Adapter."),
                sockets.Identity.Input(
                    "identity", optional=True, tooltip="Who. For several people connect regions instead."
                ),
                io.Float.Input(
                    "strength",
                    default=0.8,
                    min=0.0,
                    max=3.0,
                    step=0.05,
                    tooltip="How strongly the face is placed and shaped. 0 leaves the conditioning as it is.",
                ),
                fraction("start", 0.0, "Part of the sampling after which it comes in.", step=0.001),
                fraction("end", 1.0, "Part of the sampling after which it goes.", step=0.001),
                io.Combo.Input(
                    "combine",
                    options=[PUBLISHED, *COMBINE_MODES],
                    default=PUBLISHED,
                    advanced=True,
                    tooltip="How several reference pictures become one person; as in Apply Identity Adapter.",
                ),
                *_control_sources(),
            ],
            outputs=[
                io.Conditioning.Output("positive", display_name="positive"),
                io.Conditioning.Output("negative", display_name="negative"),
                io.Image.Output("picture", display_name="picture", tooltip="The five-point picture that was used."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces("face of a person placed in a generated picture")
    def execute(
        cls,
        positive: list[Any],
        negative: list[Any],
        control_net: Any,
        adapter: LoadedAdapter,
        strength: float,
        start: float,
        end: float,
        combine: str,
        identity: Identity | None = None,
        faces: Faces | None = None,
        picture: Tensor | None = None,
        analysis: FaceAnalysis | None = None,
        regions: PeopleRegions | None = None,
        noise: float = 0.0,
        uncond_seed: int = 0,
    ) -> io.NodeOutput:
        points, drawn = control_picture(faces, picture)
        if strength == 0 or start >= end:
            report = "Identity Control does nothing: its strength is 0 or its window never opens."
            return io.NodeOutput(positive, negative, points, report, ui=shown(report, points[:1]))
        everybody = people_of([] if identity is None else [identity], regions)
        dials = TokenDials(combine=combine, noise=noise, seed=uncond_seed)
        known = control_people(adapter, everybody, people_sources(analysis=analysis), dials)
        both = [positive, negative]
        for person in known:
            net = IdentityControlNet.of(control_net, person.tokens, person.mask)
            both = chained(net, tuple(both), points, strength, (start, end))
        said = "\n".join(person.said for person in known)
        report = (
            f"{said}\n{drawn}, strength {strength:g}, from {100 * start:.0f} % to {100 * end:.0f} % of the sampling."
        )
        return io.NodeOutput(*both, points, report, ui=shown(report, points[:1]))


def _readers() -> list[io.Input]:
    """What some families read the reference pictures with."""
    return [
        io.ClipVision.Input("clip_vision", optional=True, tooltip="ViT-H, for ConsistentID."),
        sockets.Analysis.Input(
            "analysis",
            optional=True,
            tooltip="Encodes people again who were made with another recogniser than the adapter's.",
        ),
        io.ClipVisionOutput.Input(
            "features",
            optional=True,
            tooltip="What an encoder of another pack saw in the reference pictures, for StableIdentity.",
        ),
        sockets.Parser.Input(
            "parser",
            optional=True,
            tooltip="Cuts the parts of the face out for ConsistentID, ears included. Without it the parser "
            "whose file is present is used, or outlines from the landmarks, which have no ears.",
        ),
    ]


class IdentityConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessIdentityConditioning",
            display_name="Identity Conditioning",
            category="Likeness/adapters",
            description="Puts people into the words of a prompt: Arc2Face, PhotoMaker, FastComposer, ConsistentID, "
            "StableIdentity.",
            search_aliases=["photomaker encode", "arc2face", "fastcomposer", "consistentid", "trigger word"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Clip.Input("clip", tooltip="Of the checkpoint that the adapter was trained for."),
                sockets.Adapter.Input("adapter", tooltip="From Load Identity Adapter."),
                io.Autogrow.Input(
                    "identities",
                    template=io.Autogrow.TemplatePrefix(
                        sockets.Identity.Input("identity"), prefix="identity", min=1, max=4
                    ),
                    tooltip="Who, in the order of the trigger words. Arc2Face, ConsistentID and StableIdentity take "
                    "one person.",
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    default="a photo of a woman img, portrait, natural light",
                    tooltip="The prompt. PhotoMaker and FastComposer: the trigger stands behind the word that means "
                    "the person. Arc2Face: `photo of a id person`. ConsistentID: words like face, eyes, nose, mouth.",
                ),
                io.String.Input(
                    "trigger",
                    default="img",
                    tooltip="The word that marks the person; it is taken out of the prompt. Not read for Arc2Face and "
                    "ConsistentID.",
                ),
                fraction(
                    "delay",
                    0.0,
                    "Part of the sampling that sees the prompt without the person: more follows the prompt's scene, "
                    "less is more alike. FastComposer and PhotoMaker were published with 0.2.",
                    step=0.001,
                ),
                *_readers(),
            ],
            outputs=[io.Conditioning.Output("conditioning", display_name="conditioning"), report_output()],
        )

    @classmethod
    @concerns_faces("person put into the words of a prompt")
    def execute(
        cls,
        clip: Any,
        adapter: LoadedAdapter,
        identities: dict[str, Identity],
        text: str,
        trigger: str,
        delay: float,
        clip_vision: Any = None,
        analysis: FaceAnalysis | None = None,
        features: Any = None,
        parser: FaceParser | None = None,
    ) -> io.NodeOutput:
        wish = Wish(text, tuple(identities.values()), trigger, delay)
        sources = people_sources(clip_vision, analysis, None, features, parser)
        conditioning, report = condition(adapter, clip, wish, sources)
        return io.NodeOutput(conditioning, report, ui=shown(report))
