"""The node that lets people in a video say something else."""

from __future__ import annotations

import hashlib
from typing import Any

from comfy_api.latest import Input, io

from ..pipelines.audio.backends import listen
from ..pipelines.audio.performance import Acting, speech_to_motion
from ..pipelines.audio.report import describe_heard
from ..pipelines.audio.speech import Speech
from ..pipelines.errors import InputError
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.assign import person_or_all
from ..pipelines.identity.identity import Identity
from ..pipelines.lips import LipSync
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.storage import motion_hash
from ..pipelines.render.dubbing import MouthDubbing
from ..pipelines.video.face_frames import FaceFrames, FaceWork
from ..pipelines.video.face_tracks import describe_people
from ..pipelines.video.own_sound import with_own_sound
from ..pipelines.video.reader import VideoFacts
from . import sockets
from .comfy_runtime import ComfyRuntime
from .inputs import crf_input, fraction
from .motion_video import person_inputs
from .operations import CONCERNS_FACES, concerns_faces
from .protection import watched_work
from .reports import SHOWS_REPORT, report_output, shown
from .sounds import Audio, audio_input, number_input, sound_in, speech_in
from .speech import CATEGORY, listening_inputs
from .streaming import face_tracks, facts_of, send_through, source_of

#: What happens when the sound is over before the video.
CLOSED, AS_FILMED, END = "lips closed", "as filmed", "end with the sound"
#: What happens when the video is over before the sound.
CUT, BACK_AND_FORTH = "end with the video", "play back and forth"


def _length_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "sound_shorter",
            options=[CLOSED, AS_FILMED, END],
            default=CLOSED,
            tooltip="When the sound is over before the video: the lips stay closed, the mouth goes on as it was "
            "filmed, or the video ends there.",
        ),
        io.Combo.Input(
            "sound_longer",
            options=[CUT, BACK_AND_FORTH],
            default=CUT,
            tooltip="When the video is over before the sound: the rest of the sound is cut off, or the video plays "
            "back and forth until the sound ends.",
        ),
    ]


class DubVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessDubVideo",
            display_name="Dub Video",
            category=CATEGORY,
            description="Lets a person in a video say something else: the filmed mouth gives way to the new speech, "
            "head, eyes and background stay. Any length, memory does not grow, an interrupted run goes on.",
            search_aliases=["lip sync", "wav2lip", "musetalk", "dubbing", "translate video", "revoice"],
            **SHOWS_REPORT,
            **CONCERNS_FACES,
            inputs=[
                io.Video.Input(
                    "video", tooltip="Who speaks. From Load Video, also trimmed. It is read frame by frame."
                ),
                audio_input("The new speech. It begins with the first frame and becomes the video's sound."),
                sockets.Analysis.Input("analysis", tooltip="From Load Face Analysis: it has to find dense landmarks."),
                *listening_inputs(),
                sockets.Motion.Input(
                    "motion",
                    optional=True,
                    tooltip="Instead of listening: what the mouth does, from Speech To Motion and edited as you like.",
                ),
                sockets.Lips.Input(
                    "lips",
                    optional=True,
                    tooltip="From Load Lip Sync: a network draws the mouth instead of this pack's mesh.",
                ),
                sockets.Identity.Input(
                    "person", optional=True, tooltip="Who speaks, by likeness. Without, everybody in the video does."
                ),
                *_length_inputs(),
                fraction("strength", 1.0, "How far the filmed mouth gives way. 0 leaves the picture as it is."),
                fraction(
                    "own_sound",
                    0.0,
                    "Volume of the video's own sound under the new one: 0 none, 1 as loud as it is. It is held in "
                    "memory, 0.2 MB per s.",
                ),
                crf_input(),
                number_input(),
                *person_inputs(),
            ],
            outputs=[io.Video.Output("video", display_name="video"), report_output()],
        )

    @classmethod
    @concerns_faces("mouth of a person in a video made to say something else")
    def execute(
        cls,
        video: Input.Video,
        audio: Audio,
        analysis: FaceAnalysis,
        transcript: str,
        language: str,
        backend: str,
        sound_shorter: str,
        sound_longer: str,
        strength: float,
        own_sound: float,
        crf: int,
        number: int,
        min_probability: float,
        threshold: float,
        motion: Motion | None = None,
        lips: LipSync | None = None,
        person: Identity | None = None,
    ) -> io.NodeOutput:
        speech, several = speech_in(audio, number)
        facts = facts_of(video)
        seconds, length = _length(speech.duration_s, facts, sound_shorter, sound_longer)
        if lips is None:
            acted, heard = _heard(speech, facts, backend, transcript, language) if motion is None else (motion, "")
            work: Any = MouthDubbing(acted, strength, AS_FILMED if sound_shorter == AS_FILMED else CLOSED)
            settings: list[Any] = ["dub", motion_hash(acted), strength, work.after]
        else:
            work, heard, settings = _neural(lips, speech, motion, person, strength, sound_shorter)
        sound = with_own_sound(sound_in(audio, number)[0], *source_of(video), own_sound)
        tracks = face_tracks(
            analysis, threshold, "zero_lag", person_or_all(analysis.recogniser, person, min_probability)
        )
        processor = FaceFrames(tracks, watched_work(work))
        people = [] if person is None else [person]
        settings += [min_probability, threshold, analysis.name]
        dubbed, done = send_through(video, processor, settings, people, crf, sound, seconds)
        name = "everybody" if person is None else person.name
        lines = [several, heard, work.text, describe_people(tracks, [name]), length, done]
        report = "\n".join(line for line in lines if line)
        return io.NodeOutput(dubbed, report, ui=shown(report))


def _heard(speech: Speech, facts: VideoFacts, backend: str, transcript: str, language: str) -> tuple[Motion, str]:
    """The speech as a motion at the video's rate, and what was heard."""
    heard = listen(speech, backend, transcript, language, watch=ComfyRuntime().progress)
    motion, _ = speech_to_motion(speech, heard, Acting(fps=float(facts.rate), blink_every_s=0.0))
    return motion, describe_heard(heard)


def _neural(
    lips: LipSync, speech: Speech, motion: Motion | None, person: Identity | None, strength: float, shorter: str
) -> tuple[FaceWork, str, list[Any]]:
    """The work of a neural backend, what it is, and its settings."""
    if motion is not None:
        raise InputError(
            "Dub Video was given a motion and neural lips, which hear the sound themselves: disconnect one of them."
        )
    if strength != 1:
        raise InputError(f"Neural lips draw the whole mouth: strength is {strength:g}; set it to 1 or disconnect lips.")
    work = lips.dub(speech, person, "as filmed" if shorter == AS_FILMED else "silence")
    return (
        work,
        lips.text,
        ["dub", lips.name, *lips.settings, hashlib.sha256(speech.samples.tobytes()).hexdigest(), shorter],
    )


def _length(sound_s: float, facts: VideoFacts, shorter: str, longer: str) -> tuple[float, str]:
    """How long the result is (0 for as long as the video), and what there is to say about it."""
    rate = float(facts.rate)
    video_s = facts.frames / rate
    both = f"The sound lasts {sound_s:.2f} s, the video {video_s:.2f} s"
    if abs(sound_s - video_s) < 1 / rate:
        return 0.0, f"{both}."
    if sound_s < video_s:
        if shorter == END:
            return sound_s, f"{both}: it ends with the sound."
        return 0.0, f"{both}: afterwards {'the mouth is as filmed' if shorter == AS_FILMED else 'the lips are closed'}."
    if longer == CUT:
        return 0.0, f"{both}: the rest of the sound is cut off."
    return sound_s, f"{both}: it plays back and forth until the sound ends."
