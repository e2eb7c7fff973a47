"""Nodes that let speech become motion."""

from __future__ import annotations

from comfy_api.latest import io

from ..pipelines.audio.backends import LISTENERS, listen
from ..pipelines.audio.performance import Acting, speech_to_motion
from ..pipelines.audio.report import describe_heard
from ..pipelines.audio.request import LANGUAGES
from ..pipelines.motion.report import describe_motion
from .comfy_runtime import ComfyRuntime
from .expression import fps_input, motion_output
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown
from .sounds import Audio, audio_input, number_input, speech_in

CATEGORY = "Likeness/speech"


def listening_inputs() -> list[io.Input]:
    """How a node listens."""
    return [
        io.String.Input(
            "transcript",
            default="",
            multiline=True,
            placeholder="the words that are said, if you have them",
            tooltip="The words make the mouth surer. Where they do not fit the sound, the report says so and the sound "
            "is heard without them. Empty: the sound alone.",
        ),
        io.Combo.Input(
            "language",
            options=list(LANGUAGES),
            default=LANGUAGES[0],
            tooltip="auto decides by the sound. The acoustic model that comes along is English; other languages are "
            "heard by it and by loudness, by how sure it is.",
        ),
        io.Combo.Input(
            "backend",
            options=["auto", *(listener.name for listener in LISTENERS)],
            default="auto",
            advanced=True,
            tooltip="auto takes the best one that has what it needs, and the report says why. phonemes hears the "
            "sounds of speech. envelope hears loudness only, in any language.",
        ),
    ]


def _acting_inputs() -> list[io.Input]:
    high = {"low": 0.0, "high": 3.0}
    return [
        fraction("mouth", 1.0, "How far the mouth moves: 1 as people talk, 0.6 mumbles, 1.3 shouts.", high=2.0),
        fraction(
            "clarity", 1.0, "How far each sound comes into its own: 0.5 slurs, 2 articulates.", 0.25, 4.0, advanced=True
        ),
        fraction("head", 1.0, "Nods and turns with pitch and stress: 0 none, 1 as people do.", **high),
        fraction("brows", 1.0, "Brows that go up with stress: 0 none, 1 as people do.", advanced=True, **high),
        fraction("gaze", 1.0, "Eyes that wander: 0 none, 1 as people do.", advanced=True, **high),
        fraction("breath", 1.0, "Breathing in pauses: 0 none, 1 as people do.", advanced=True, **high),
        io.Float.Input(
            "blink_every_s",
            default=4.0,
            min=0.0,
            max=600.0,
            step=0.1,
            tooltip="Seconds between two blinks, on average; they fall into pauses. 0: none.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFF,
            control_after_generate=True,
            tooltip="Of all that varies by chance: head, brows, gaze and blinks. The mouth does not change with it.",
        ),
        fps_input(),
    ]


class SpeechToMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSpeechToMotion",
            display_name="Speech To Motion",
            category=CATEGORY,
            description="Makes a motion of a voice: lips for every sound, head, brows, gaze, blinks and breath. Any "
            "renderer plays it, any motion node edits it; nothing is downloaded.",
            search_aliases=["lip sync", "talking head", "audio to face", "audio2face", "visemes", "voice"],
            **SHOWS_REPORT,
            inputs=[
                audio_input("The voice, at any rate and with any channels; of 5.1 the centre counts."),
                *listening_inputs(),
                *_acting_inputs(),
                number_input(),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls, audio: Audio, transcript: str, language: str, backend: str, number: int, **acting: float
    ) -> io.NodeOutput:
        speech, several = speech_in(audio, number)
        heard = listen(speech, backend, transcript, language, watch=ComfyRuntime().progress)
        motion, acted = speech_to_motion(speech, heard, Acting(**acting))
        report = "\n".join(line for line in (several, describe_heard(heard), acted, describe_motion(motion)) if line)
        return io.NodeOutput(motion, report, ui=shown(report))
