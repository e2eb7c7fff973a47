"""Nodes between motions and videos."""

from __future__ import annotations

from comfy_api.latest import Input, io

from ..pipelines.errors import InputError
from ..pipelines.face import Faces
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.assign import person_or_all
from ..pipelines.identity.identity import Identity
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.motion.expression import PARTS
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.report import describe_motion
from ..pipelines.motion.storage import motion_hash
from ..pipelines.motion.takes import Against
from ..pipelines.motion.watching import take_video
from ..pipelines.render import Renderer
from ..pipelines.render.acting import AFTER_ENDS, HOWS, AfterEnd, How, TrackedActing
from ..pipelines.render.animate import load_renderer
from ..pipelines.video.face_frames import FaceFrames
from ..pipelines.video.face_tracks import describe_people
from . import sockets
from .comfy_runtime import shared_registry
from .expression import CATEGORY, motion_output
from .inputs import crf_input, fraction
from .motion import against_inputs
from .operations import CONCERNS_FACES, concerns_faces
from .protection import watched_work
from .render import loaded_input, renderer_input
from .reports import SHOWS_REPORT, report_output, shown
from .streaming import face_tracks, facts_of, send_through, watched
from .witness import took_part


def person_inputs() -> list[io.Input]:
    return [
        fraction("min_probability", 0.5, "Least probability that a tracked face is the person.", advanced=True),
        fraction("threshold", 0.5, "Least detector score of a face, as in Detect Faces.", low=0.05, advanced=True),
    ]


class MotionFromVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessMotionFromVideo",
            display_name="Motion From Video",
            category=CATEGORY,
            description="Follows one face through a video of any length and keeps what it does; memory holds a few "
            "frames. Frames without the face are filled, scene cuts kept.",
            search_aliases=["motion capture", "driving video", "face capture", "performance"],
            **SHOWS_REPORT,
            inputs=[
                io.Video.Input("video", tooltip="From Load Video, also trimmed. It is read frame by frame."),
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis: it has to measure expressions."),
                *against_inputs(),
                sockets.Identity.Input(
                    "person", optional=True, tooltip="Whom to follow, by likeness. Without, the face of that number."
                ),
                *person_inputs(),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls,
        video: Input.Video,
        analysis: FaceAnalysis,
        against: Against,
        smooth_s: float,
        face: int,
        min_probability: float,
        threshold: float,
        neutral: Faces | None = None,
        person: Identity | None = None,
    ) -> io.NodeOutput:
        choose = person_or_all(analysis.recogniser, person, min_probability)
        frames = watched(video, face_tracks(analysis, threshold, "zero_lag", choose, blendshapes=True))
        fps = float(facts_of(video).rate)
        motion, said = take_video(frames, fps, BLENDSHAPE_NAMES, against, smooth_s, face, neutral)
        report = f"{said}\n{describe_motion(motion).partition(chr(10))[2]}"
        return io.NodeOutput(motion, report, ui=shown(report))


class AnimateInVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessAnimateInVideo",
            display_name="Animate In Video",
            category="Likeness/render",
            description="Lets a person in a video do what a motion or another video says: the whole face or only eyes, "
            "brows or mouth. Memory does not grow with length, sound is copied, an interrupted run goes on.",
            search_aliases=["liveportrait video", "video to video", "lip sync", "edit expression video", "reenactment"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Video.Input("video", tooltip="Who acts. From Load Video, also trimmed. It is read frame by frame."),
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis: it has to measure expressions."),
                sockets.Motion.Input(
                    "motion", optional=True, tooltip="What to do. It is taken at each frame's own time, at any rate."
                ),
                io.Video.Input("driving", optional=True, tooltip="Instead of a motion: a video of somebody doing it."),
                sockets.Identity.Input(
                    "person", optional=True, tooltip="Who acts, by likeness. Without, everybody in the video does."
                ),
                io.Combo.Input(
                    "how",
                    options=list(HOWS),
                    default=HOWS[0],
                    tooltip="add: on top of what the person does, for sliders, emotions and motions against a rest. "
                    "replace: the person ends with the expression as it was measured; needs a motion against nothing, "
                    "which a driving video gives by itself.",
                ),
                io.Combo.Input("part", options=list(PARTS), default="expression", tooltip="What acts; the rest stays."),
                fraction("strength", 1.0, "Of all that is changed. 0 leaves the video as it is.", high=1.5),
                io.Combo.Input(
                    "after_end",
                    options=list(AFTER_ENDS),
                    default=AFTER_ENDS[0],
                    tooltip="When the motion is shorter than the video: as filmed, hold its last pose, or loop it.",
                ),
                renderer_input(),
                crf_input(),
                *person_inputs(),
                loaded_input(),
            ],
            outputs=[io.Video.Output("video", display_name="video"), report_output()],
        )

    @classmethod
    @concerns_faces("face of a video made to move")
    def execute(
        cls,
        video: Input.Video,
        analysis: FaceAnalysis,
        how: How,
        part: str,
        strength: float,
        after_end: AfterEnd,
        renderer: str,
        crf: int,
        min_probability: float,
        threshold: float,
        motion: Motion | None = None,
        driving: Input.Video | None = None,
        person: Identity | None = None,
        loaded: Renderer | None = None,
    ) -> io.NodeOutput:
        acted = _motion(motion, driving, analysis, how, threshold)
        used, which = load_renderer(shared_registry(), renderer) if loaded is None else (loaded, loaded.text)
        took_part(used)
        work = TrackedActing(used, acted, BLENDSHAPE_NAMES, how, part, strength, after_end)
        choose = person_or_all(analysis.recogniser, person, min_probability)
        tracks = face_tracks(analysis, threshold, "zero_lag", choose, blendshapes=True)
        settings = ["animate", motion_hash(acted), how, part, strength, after_end, which, min_probability, threshold]
        people = [] if person is None else [person]
        changed, done = send_through(
            video, FaceFrames(tracks, watched_work(work)), [*settings, analysis.name], people, crf
        )
        name = "everybody" if person is None else person.name
        report = "\n".join([which, work.text, describe_people(tracks, [name]), done])
        return io.NodeOutput(changed, report, ui=shown(report))


def _motion(
    motion: Motion | None, driving: Input.Video | None, analysis: FaceAnalysis, how: How, threshold: float
) -> Motion:
    if motion is not None and driving is None:
        return motion
    if driving is None or motion is not None:
        both = "neither is" if driving is None else "both are"
        raise InputError(f"Animate In Video takes a motion or a driving video, {both} connected: connect one of them.")
    frames = watched(driving, face_tracks(analysis, threshold, "zero_lag", blendshapes=True))
    against: Against = "nothing" if how == "replace" else "calm"
    return take_video(frames, float(facts_of(driving).rate), BLENDSHAPE_NAMES, against)[0]
