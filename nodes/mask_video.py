"""Mattes of faces in videos."""

from __future__ import annotations

from comfy_api.latest import Input, io

from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.assign import person_or_all
from ..pipelines.identity.identity import Identity
from ..pipelines.identity.parsing import FaceParser
from ..pipelines.stitch.matte import SHOWS, Shows, TrackedMatte
from ..pipelines.stitch.occlusion import Occluder
from ..pipelines.video.face_frames import FaceFrames
from ..pipelines.video.face_tracks import describe_people
from ..pipelines.video.steady import Smoothing
from . import sockets
from .face_masks import chosen_mask, finishing_inputs, parser_input, part_inputs
from .inputs import crf_input
from .motion_video import person_inputs
from .reports import SHOWS_REPORT, report_output, shown
from .streaming import face_tracks, send_through
from .video import smoothing_input


class FaceMaskInVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessFaceMaskInVideo",
            display_name="Face Mask in Video",
            category="Likeness/video",
            description="A matte of the faces in a video of any length, for compositing: parts of everybody's face or "
            "of one person's, tracked and steady. Size, times and sound are the video's, memory does not grow with "
            "length, an interrupted run goes on where it stopped.",
            search_aliases=["video matte", "face matte", "rotoscope face", "face segmentation video", "luma matte"],
            **SHOWS_REPORT,
            inputs=[
                io.Video.Input("video", tooltip="From Load Video, also trimmed. It is read frame by frame."),
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis: finds and follows the faces."),
                *part_inputs(),
                io.Combo.Input(
                    "shows",
                    options=list(SHOWS),
                    default=SHOWS[0],
                    tooltip="matte: white where the parts are, black elsewhere, for a luma matte. on_black: the parts "
                    "in their own colours on black, premultiplied. on_green: on pure green, for a keyer.",
                ),
                smoothing_input(),
                crf_input(),
                *person_inputs(),
                sockets.Identity.Input(
                    "person", optional=True, tooltip="Whose face, by likeness. Without, everybody's in the video."
                ),
                parser_input(),
                *finishing_inputs(),
            ],
            outputs=[io.Video.Output("video", display_name="video"), report_output()],
        )

    @classmethod
    def execute(
        cls,
        video: Input.Video,
        analysis: FaceAnalysis,
        grow: float,
        feather: float,
        shows: Shows,
        min_probability: float,
        threshold: float,
        smoothing: Smoothing,
        crf: int,
        person: Identity | None = None,
        parser: FaceParser | None = None,
        occluder: Occluder | None = None,
        teeth: bool = False,
        per_part: str = "",
        **parts: bool,
    ) -> io.NodeOutput:
        mask = chosen_mask(parts, grow, feather, parser, occluder, teeth, per_part)
        work = TrackedMatte(mask, shows)
        tracks = face_tracks(
            analysis, threshold, smoothing, person_or_all(analysis.recogniser, person, min_probability)
        )
        settings = ["mask", mask.parts, grow, feather, teeth, per_part, shows, min_probability, threshold, smoothing]
        settings += [analysis.name, *(seen.name if seen is not None else "" for seen in (parser, occluder))]
        people = [person] if person is not None else []
        matte, done = send_through(video, FaceFrames(tracks, work, work.without, work.ahead), settings, people, crf)
        named = [f"{person.name}, masked" if person is not None else "masked"]
        report = f"{describe_people(tracks, named, 'left out', 'are empty')}\n{done}"
        return io.NodeOutput(matte, report, ui=shown(report))
