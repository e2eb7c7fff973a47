"""Nodes that make, mix and compare identities."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..pipelines.face import Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.build import build_identity
from ..pipelines.identity.compare import compare_identities, draw_comparison
from ..pipelines.identity.identity import Identity, ensure_encoded
from ..pipelines.identity.merge import merge_identities, parse_weights
from ..pipelines.identity.pick import PICKS, Pick
from . import sockets
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .reports import SHOWS_REPORT, report_output, shown


class BuildIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessBuildIdentity",
            display_name="Build Identity",
            category="Likeness/identity",
            description="Makes one person out of one or many photos: picks the face, weighs every reference by "
            "sharpness, size, pose and agreement, and rejects those that show somebody else.",
            search_aliases=["face model", "reference face", "faceid embeds"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis; it encodes the person."),
                io.Autogrow.Input(
                    "photos",
                    template=io.Autogrow.TemplatePrefix(io.Image.Input("photo"), prefix="photo", min=1, max=32),
                    tooltip="Photos of one person, of any sizes; a batch counts as many photos. "
                    "Three to six sharp ones from different days beat one.",
                ),
                sockets.Faces.Input(
                    "faces",
                    optional=True,
                    tooltip="Which faces of photo0 may be the person, from Select Faces. Without it, and in the other "
                    "photos, all faces are looked at.",
                ),
                io.Combo.Input(
                    "pick",
                    options=list(PICKS),
                    default=PICKS[0],
                    tooltip="Which face of a photo with several is the person. agreement: the one that appears in most "
                    "photos (of a single photo the largest). largest, center: each photo alone.",
                ),
                fraction(
                    "threshold",
                    0.5,
                    "Least detector score of a face, 0 to 1. Lower it for blurred or half-hidden faces.",
                    low=0.05,
                    advanced=True,
                ),
                fraction(
                    "min_probability",
                    0.5,
                    "A photo less likely than this to show the person most photos agree on is rejected. "
                    "Lower it for very different ages or make-up.",
                    advanced=True,
                ),
                io.String.Input("name", default="", tooltip="Who it is. Shown in reports and used as file name."),
                io.String.Input(
                    "consent",
                    default="",
                    tooltip="How the person agreed to this use. Kept in the identity and in its file.",
                    placeholder="for example: signed release of 2 May",
                ),
            ],
            outputs=[
                sockets.Identity.Output("identity", display_name="identity"),
                io.Image.Output("references", display_name="references", tooltip="The 512 px crops that count."),
                report_output(),
            ],
        )

    @classmethod
    @concerns_faces("person encoded from photos")
    def execute(
        cls,
        analysis: FaceAnalysis,
        photos: dict[str, Tensor],
        pick: Pick,
        threshold: float,
        min_probability: float,
        name: str,
        consent: str,
        faces: Faces | None = None,
    ) -> io.NodeOutput:
        pictures = list(photos.values())
        identity, report = build_identity(
            analysis, pictures, name or "person", consent, pick, threshold, min_probability, first_faces=faces
        )
        references = identity.pictures()
        return io.NodeOutput(identity, references, report.text, ui=shown(report.text, references[:4]))


class MergeIdentities(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessMergeIdentities",
            display_name="Merge Identities",
            category="Likeness/identity",
            description="Joins identities: more references of one person, or a blend of several people.",
            search_aliases=["blend faces", "mix faces"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Autogrow.Input(
                    "identities",
                    template=io.Autogrow.TemplatePrefix(
                        sockets.Identity.Input("identity"), prefix="identity", min=2, max=16
                    ),
                    tooltip="The identities to join, in the order of the weights.",
                ),
                io.String.Input(
                    "weights",
                    default="",
                    tooltip="One number per identity, for example `2, 1`; only their ratio counts. "
                    "Empty gives all the same.",
                    placeholder="same for all",
                ),
                io.String.Input(
                    "name", default="", tooltip="Name of the result.", placeholder="the names of all, joined"
                ),
                sockets.Analysis.Input(
                    "analysis",
                    optional=True,
                    tooltip="Connect it when the identities were made with different recognisers: each is encoded "
                    "again from its stored crops where it lacks this one.",
                ),
            ],
            outputs=[sockets.Identity.Output("identity", display_name="identity"), report_output()],
        )

    @classmethod
    @concerns_faces("people merged into one identity")
    def execute(
        cls, identities: dict[str, Identity], weights: str, name: str, analysis: FaceAnalysis | None = None
    ) -> io.NodeOutput:
        people = [ensure_encoded(identity, analysis) if analysis else identity for identity in identities.values()]
        merged = merge_identities(people, parse_weights(weights), name)
        report = merged.describe()
        return io.NodeOutput(merged, report, ui=shown(report))


class CompareIdentities(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessCompareIdentities",
            display_name="Compare Identities",
            category="Likeness/identity",
            description="Says how likely identities are the same person: each with each, as picture, numbers and text.",
            search_aliases=["similarity", "verify", "face distance", "likeness score"],
            is_output_node=True,
            inputs=[
                sockets.Analysis.Input("analysis", tooltip="Its recogniser judges; it must have encoded everyone."),
                io.Autogrow.Input(
                    "identities",
                    template=io.Autogrow.TemplatePrefix(
                        sockets.Identity.Input("identity"), prefix="identity", min=2, max=16
                    ),
                    tooltip="The people to compare. distance and probability are about the first two.",
                ),
            ],
            outputs=[
                io.Image.Output("matrix", display_name="matrix", tooltip="Everyone against everyone."),
                io.Float.Output(
                    "distance",
                    display_name="distance",
                    tooltip="How far identity0 and identity1 are apart in the recogniser's metric; less is more alike.",
                ),
                io.Float.Output(
                    "probability",
                    display_name="probability",
                    tooltip="Calibrated probability, 0 to 1, that identity0 and identity1 are the same person.",
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, analysis: FaceAnalysis, identities: dict[str, Identity]) -> io.NodeOutput:
        comparison = compare_identities(list(identities.values()), analysis.recogniser)
        matrix = draw_comparison(comparison)[None]
        return io.NodeOutput(
            matrix,
            float(comparison.distance[0, 1]),
            float(comparison.probability[0, 1]),
            comparison.text,
            ui=shown(comparison.text, matrix),
        )
