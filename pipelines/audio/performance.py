"""A speech acted: mouth, head, brows, gaze, blinks and breath together, as one motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from ..errors import InputError
from ..face import FloatArray, as_float_array
from ..motion.blinks import insert_blinks_at
from ..motion.channels import INDEX
from ..motion.motion import Motion, checked_fps
from .articulation import frame_count, frame_times, mouth_shapes
from .chance import Times, dice
from .expressing import with_emotion
from .gestures import breathing, brow_shapes, effort, head_turns
from .heard import Heard
from .looking import blinks, gaze_shapes
from .phone_shapes import CLOSED_SHARE
from .prosody import Prosody, prosody_of
from .speech import Speech
from .voice_emotion import CHOICES, felt

#: Dial -> the least and the most it may be.
DIALS: Mapping[str, tuple[float, float]] = {
    "mouth": (0.0, 2.0),
    "clarity": (0.25, 4.0),
    "head": (0.0, 3.0),
    "brows": (0.0, 3.0),
    "gaze": (0.0, 3.0),
    "blink_every_s": (0.0, 600.0),
    "breath": (0.0, 3.0),
    "emotion_strength": (0.0, 1.5),
}

NO_EMOTION = "none"
EMOTION_CHOICES = (NO_EMOTION, *CHOICES)

#: How much further one side of the mouth may go than the other.
_ONE_SIDED = 0.12


@dataclass(frozen=True)
class Acting:
    """How a speech is acted.

    fps: frames per second of the motion. mouth: how far the mouth moves, 1 as people talk. clarity: how far every sound
    comes into its own: 0.5 slurs, 2 articulates. head, brows, gaze, breath: how much of each, 0 none, 1 as people do.
    blink_every_s: mean pause between blinks, 0 for none. emotion: of `EMOTION_CHOICES`. emotion_strength: 0 to 1.5;
    less than 1 looks more natural while somebody talks. seed: of everything that varies by chance: the same seed acts
    the same. Raises InputError for a dial out of `DIALS`, another emotion and a frame rate nobody plays.
    """

    fps: float = 25.0
    mouth: float = 1.0
    clarity: float = 1.0
    head: float = 1.0
    brows: float = 1.0
    gaze: float = 1.0
    blink_every_s: float = 4.0
    breath: float = 1.0
    emotion: str = NO_EMOTION
    emotion_strength: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        checked_fps(self.fps)
        for field in fields(self):
            low, high = DIALS.get(field.name, (-np.inf, np.inf))
            value = getattr(self, field.name)
            if isinstance(value, str):
                continue
            if not low <= value <= high:
                raise InputError(f"{field.name} is {value}, it must be within {low:g} to {high:g}.")
        if self.emotion not in EMOTION_CHOICES:
            raise InputError(f"The emotion is {self.emotion!r}, it must be one of {', '.join(EMOTION_CHOICES)}.")


def speech_to_motion(speech: Speech, heard: Heard, acting: Acting | None = None) -> tuple[Motion, str]:
    """What a face does that says this.

    speech: what was listened to. heard: what was heard in it, of the same length. Returns the motion, whose frame i is
    the face in the middle of i / fps to (i + 1) / fps, and a text that says what was acted. The motion of the beginning
    does not depend on what comes more than a few seconds later. Raises InputError when the two do not belong together.
    """
    acting = acting or Acting()
    if abs(speech.duration_s - heard.duration_s) > 0.02:
        raise InputError(
            f"The sound lasts {speech.duration_s:.2f} s, what was heard in it {heard.duration_s:.2f} s: listen to the "
            "same sound."
        )
    times = frame_times(frame_count(heard.duration_s, acting.fps), acting.fps)
    prosody = prosody_of(speech, heard)
    lids = blinks(prosody, acting.blink_every_s, acting.seed) if acting.blink_every_s > 0 else ()
    motion, count = insert_blinks_at(_acted(prosody, heard, acting, times), lids)
    said = [_described(heard, prosody, motion, count)]
    if acting.emotion != NO_EMOTION:
        feeling, told = felt(prosody, acting.emotion, acting.emotion_strength, acting.fps)
        motion = with_emotion(motion, feeling)
        said.append(told)
    return motion, "\n".join(said)


def _acted(prosody: Prosody, heard: Heard, acting: Acting, times: Times) -> Motion:
    """All of it but the blinks and the emotion."""
    mouth = mouth_shapes(heard, acting.fps, effort(prosody, times), acting.mouth, acting.clarity)
    turns = head_turns(prosody, times, acting.head, acting.seed)
    breath, sway, rise = breathing(prosody, times, acting.breath, acting.seed)
    shapes = (
        _one_sided(mouth, acting.seed)
        + breath
        + brow_shapes(prosody, times, acting.brows, acting.seed)
        + gaze_shapes(prosody, times, turns, acting.gaze, acting.seed)
    )
    return Motion(acting.fps, as_float_array(np.clip(shapes, -1, 1)), turns + sway, rise)


def _one_sided(mouth: FloatArray, seed: int) -> FloatArray:
    """A mouth that moves a little more on one side, as everybody's does; nothing that parts or closes it changes."""
    lean = float(dice(seed, "lean").uniform(-1, 1)) * _ONE_SIDED
    out = mouth.copy()
    for name in ("mouthStretch", "mouthSmile", "mouthDimple"):
        out[:, INDEX[f"{name}Left"]] *= 1 + lean
        out[:, INDEX[f"{name}Right"]] *= 1 - lean
    return out


def _described(heard: Heard, prosody: Prosody, motion: Motion, blinked: int) -> str:
    closures = sum(phone.name in CLOSED_SHARE for phone in heard.phones) if heard.trust > 0 else 0
    nods = f"head within {float(np.rad2deg(np.abs(motion.rotation).max())):.1f}°"
    how = f"{len(heard.phones)} phones by {heard.backend}, trusted to {heard.trust:.2f}"
    if heard.trust == 0:
        how = f"loudness only, by {heard.backend}: the mouth opens and closes with the voice"
    return (
        f"{len(motion)} frames at {motion.fps:g} per second from {how}.\n"
        f"{len(prosody.syllables)} syllables, {prosody.rate_hz:.1f} per second, {len(prosody.pauses)} pauses; "
        f"lips close {closures} times for p, b and m; {blinked} blinks; {nods}."
    )
