"""Nodes that let speech become motion."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..pipelines.audio.backends import LISTENERS, listen
from ..pipelines.audio.encoder import EncoderListener
from ..pipelines.audio.expressing import with_emotion
from ..pipelines.audio.performance import EMOTION_CHOICES, NO_EMOTION, Acting, speech_to_motion
from ..pipelines.audio.report import describe_heard
from ..pipelines.audio.request import LANGUAGES
from ..pipelines.audio.speech_head import SpeechHead
from ..pipelines.audio.voice_emotion import CHOICES, FROM_VOICE, speech_emotion
from ..pipelines.motion.motion import Motion
from ..pipelines.motion.report import describe_motion
from . import sockets
from .comfy_runtime import ComfyRuntime
from .expression import fps_input, motion_output
from .inputs import fraction
from .reports import SHOWS_REPORT, report_output, shown
from .sounds import Audio, audio_input, number_input, speech_in
from .speech_head import encoded_speech, encoder_inputs

CATEGORY = "Likeness/speech"


def listening_inputs(with_head: bool = False) -> list[io.Input]:
    """How a node listens. with_head: it has the inputs of a speech head too."""
    names = [listener.name for listener in LISTENERS if with_head or listener.name != EncoderListener.name]
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
            options=["auto", *names],
            default="auto",
            advanced=True,
            tooltip="auto takes the best one that has what it needs, and the report says why. phonemes hears the "
            "sounds of speech. envelope hears loudness only, in any language."
            + (" encoder hears with the speech head that is connected." if with_head else ""),
        ),
    ]


def _acting_inputs() -> list[io.Input]:
    high = {"low": 0.0, "high": 3.0}
    return [
        fraction("mouth", 1.0, "How far the mouth moves: 1 as people talk, 0.6 mumbles, 1.3 shouts.", high=2.0),
        fraction(
            "clarity", 1.0, "How far each sound comes into its own: 0.5 slurs, 2 articulates.", 0.25, 4.0, advanced=True
        ),
        io.Combo.Input(
            "emotion",
            options=list(EMOTION_CHOICES),
            default=NO_EMOTION,
            tooltip="On top of the speech; lips that a sound closes stay closed. from the voice: as pitch, loudness "
            "and pace tell, which is mild. Speech Emotion gives it as a motion of its own.",
        ),
        fraction(
            "emotion_strength",
            Acting.emotion_strength,
            "Of the emotion: 0 none, 1 fully; less than 1 looks more natural while somebody talks.",
            high=1.5,
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
                audio_input("The voice, at any rate and with any channels; of 5.1 the centre counts most."),
                *listening_inputs(with_head=True),
                *_acting_inputs(),
                number_input(),
                *encoder_inputs(),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls,
        audio: Audio,
        transcript: str,
        language: str,
        backend: str,
        number: int,
        speech_head: SpeechHead | None = None,
        audio_encoder_output: Any = None,
        **acting: Any,
    ) -> io.NodeOutput:
        speech, several = speech_in(audio, number)
        encoded = encoded_speech(speech_head, audio_encoder_output, number)
        heard = listen(speech, backend, transcript, language, encoded, ComfyRuntime().progress)
        motion, acted = speech_to_motion(speech, heard, Acting(**acting))
        report = _report(several, describe_heard(heard), acted, describe_motion(motion))
        return io.NodeOutput(motion, report, ui=shown(report))


class SpeechEmotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSpeechEmotion",
            display_name="Speech Emotion",
            category=CATEGORY,
            description="The emotion of a voice over time, heard or chosen, as a motion; or put onto the motion of a "
            "speech, whose closed lips stay closed.",
            search_aliases=["mood", "emotional speech", "expression from audio", "feeling"],
            **SHOWS_REPORT,
            inputs=[
                audio_input("The voice."),
                sockets.Motion.Input(
                    "motion",
                    optional=True,
                    tooltip="From Speech To Motion of the same sound: the emotion is put on top of it. Without, the "
                    "emotion alone comes out.",
                ),
                io.Combo.Input(
                    "emotion",
                    options=list(CHOICES),
                    default=FROM_VOICE,
                    tooltip="from the voice: as pitch, loudness and pace tell; a voice tells how aroused somebody is, "
                    "less whether it is joy or anger. A chosen one grows where the voice is aroused.",
                ),
                fraction("strength", 1.0, "Of the emotion: 0 none, 1 fully.", high=1.5),
                fps_input(),
                number_input(),
            ],
            outputs=[motion_output(), report_output()],
        )

    @classmethod
    def execute(
        cls, audio: Audio, emotion: str, strength: float, fps: float, number: int, motion: Motion | None = None
    ) -> io.NodeOutput:
        speech, several = speech_in(audio, number)
        heard = listen(speech, watch=ComfyRuntime().progress)
        felt, told = speech_emotion(speech, heard, emotion, strength, fps if motion is None else motion.fps)
        result = felt if motion is None else with_emotion(motion, felt)
        report = _report(several, told, describe_motion(result))
        return io.NodeOutput(result, report, ui=shown(report))


def _report(*parts: str) -> str:
    """The parts below each other, no line twice."""
    return "\n".join(dict.fromkeys(line for part in parts for line in part.splitlines() if line))
