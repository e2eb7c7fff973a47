"""Nodes for clips and videos."""

from __future__ import annotations

from comfy_api.latest import Input, io
from torch import Tensor

from ..pipelines.face import Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.identity import Identity
from ..pipelines.identity.preview import draw_faces
from ..pipelines.stitch.occlusion import Occluder
from ..pipelines.stitch.paste import BLENDS, Blend
from ..pipelines.swap.options import REGIONS, SwapOptions
from ..pipelines.swap.swappers import Swapper
from ..pipelines.swap.tracked import TrackedSwap
from ..pipelines.video.face_frames import FaceFrames
from ..pipelines.video.face_tracks import describe_people
from ..pipelines.video.steady import SMOOTHINGS, Smoothing
from ..pipelines.video.tracking import describe_tracks, track_faces
from . import sockets
from .inputs import fraction
from .operations import CONCERNS_FACES, concerns_faces
from .protection import watched_work
from .reports import SHOWS_REPORT, report_output, shown
from .streaming import face_tracks, send_through
from .swap import BOOSTS, KEEPABLE, boost_input, boost_number, keep_input, occluder_input


def smoothing_input() -> io.Combo.Input:
    """How steady the tracks of a video are."""
    return io.Combo.Input(
        "smoothing",
        options=list(SMOOTHINGS),
        default="zero_lag",
        tooltip="zero_lag looks six frames ahead and back: steadiest, follows without delay, fills short gaps. "
        "one_euro looks back only. none keeps what was detected, trembling and all.",
    )


def crf_input() -> io.Int.Input:
    """Quality of a written video."""
    return io.Int.Input(
        "crf",
        default=17,
        min=0,
        max=51,
        tooltip="Quality of the H.264 encoder: 0 largest file, 17 looks lossless, 23 is usual on the web.",
    )


class TrackFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessTrackFaces",
            display_name="Track Faces",
            category="Likeness/video",
            description="Gives the same person the same number in all frames, fills gaps and steadies the landmarks.",
            search_aliases=["face tracking", "stabilize landmarks", "same person over frames"],
            **SHOWS_REPORT,
            inputs=[
                io.Image.Input("image", tooltip="The frames in order, one batch: what Detect Faces saw."),
                sockets.Faces.Input("faces", tooltip="From Detect Faces on the same frames."),
                sockets.Analysis.Input(
                    "analysis", tooltip="Its recogniser tells people apart where motion leaves doubt."
                ),
                smoothing_input(),
            ],
            outputs=[
                sockets.Faces.Output("faces", display_name="faces"),
                io.Image.Output("preview", display_name="preview", tooltip="The frames with numbered faces."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, image: Tensor, faces: Faces, analysis: FaceAnalysis, smoothing: Smoothing) -> io.NodeOutput:
        tracked = track_faces(image, faces, analysis.recogniser, smoothing)
        preview = draw_faces(image, tracked)
        report = describe_tracks(tracked)
        return io.NodeOutput(tracked, preview, report, ui=shown(report, preview[:1]))


def _people(name: str, least: int, tooltip: str) -> io.Autogrow.Input:
    prefix = {"identities": "identity", "people": "person"}[name]
    template = io.Autogrow.TemplatePrefix(sockets.Identity.Input(prefix), prefix=prefix, min=least, max=16)
    return io.Autogrow.Input(name, template=template, tooltip=tooltip, optional=least == 0)


class SwapFacesInVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSwapFacesInVideo",
            display_name="Swap Faces in Video",
            category="Likeness/video",
            description="Puts identities onto the people of a video of any length, tracked and steady. Memory does not "
            "grow with length, sound is copied, an interrupted run goes on where it stopped.",
            search_aliases=["video face swap", "deepfake video", "reactor video", "roop video"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Video.Input("video", tooltip="From Load Video, also trimmed. It is read frame by frame."),
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis: finds faces, tells people apart."),
                sockets.Swapper.Input("swapper", tooltip="From Load Swapper."),
                _people("identities", 1, "Whose faces are put in. One goes onto everybody unless people are given."),
                _people(
                    "people",
                    0,
                    "Whose faces are replaced: person0 becomes identity0, person1 becomes identity1; everybody else "
                    "stays. Build them from a frame of the video with Build Identity.",
                ),
                fraction("strength", 1.0, "How much of the new face is mixed in."),
                fraction("shape", SwapOptions.shape, "How far the face takes the source's proportions."),
                *(keep_input(region, tooltip) for region, tooltip in KEEPABLE.items()),
                fraction(
                    "min_probability",
                    0.5,
                    "Least probability that a tracked face is one of the people. Higher lets fewer strangers in.",
                ),
                fraction("threshold", 0.5, "Least detector score of a face, as in Detect Faces.", low=0.05),
                smoothing_input(),
                crf_input(),
                io.Combo.Input(
                    "blend",
                    options=list(BLENDS),
                    default=BLENDS[0],
                    advanced=True,
                    tooltip="How the finished face meets the picture at the edge of its mask, as in Swap Faces.",
                ),
                boost_input(),
                occluder_input(),
            ],
            outputs=[io.Video.Output("video", display_name="video"), report_output()],
        )

    @classmethod
    @concerns_faces("faces of a video replaced by another person's")
    def execute(
        cls,
        video: Input.Video,
        analysis: FaceAnalysis,
        swapper: Swapper,
        identities: dict[str, Identity],
        strength: float,
        shape: float,
        min_probability: float,
        threshold: float,
        smoothing: Smoothing,
        crf: int,
        blend: Blend,
        boost: str = BOOSTS[0],
        people: dict[str, Identity] | None = None,
        occluder: Occluder | None = None,
        **keep: bool,
    ) -> io.NodeOutput:
        regions = tuple(region for region in REGIONS if not keep.get(f"keep_{region}", False))
        new, old = tuple(identities.values()), tuple((people or {}).values())
        options = SwapOptions(strength, shape, regions=regions, boost=boost_number(boost), occluder=occluder)
        work = TrackedSwap(swapper, new, old, analysis.recogniser, options, blend, min_probability)
        tracks = face_tracks(analysis, threshold, smoothing, work.choose)
        settings = ["swap", strength, shape, regions, min_probability, threshold, smoothing, blend, boost]
        settings += [analysis.name, swapper.name]
        settings += [occluder.name] if occluder is not None else []
        swapped, done = send_through(video, FaceFrames(tracks, watched_work(work)), settings, [*new, *old], crf)
        report = "\n".join([describe_people(tracks, [one.name for one in new]), done, *swapper.about(new)])
        return io.NodeOutput(swapped, report, ui=shown(report))
