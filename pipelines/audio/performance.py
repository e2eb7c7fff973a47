"""A speech acted: mouth, head, brows, gaze, blinks and breath together, as one motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from ..errors import InputError
from ..motion.blinks import insert_blinks
from ..motion.channels import ARKIT_NAMES
from ..motion.motion import Motion, checked_fps
from .articulation import frame_count, mouth_shapes
from .heard import Heard
from .speech import Speech

#: Dial -> the least and the most it may be.
DIALS: Mapping[str, tuple[float, float]] = {
    "mouth": (0.0, 2.0),
    "clarity": (0.25, 4.0),
    "head": (0.0, 3.0),
    "brows": (0.0, 3.0),
    "gaze": (0.0, 3.0),
    "blink_every_s": (0.0, 600.0),
    "breath": (0.0, 3.0),
}


@dataclass(frozen=True)
class Acting:
    """How a speech is acted.

    fps: frames per second of the motion. mouth: how far the mouth moves, 1 as people talk. clarity: how far every sound
    comes into its own: 0.5 slurs, 2 articulates. head, brows, gaze, breath: how much of each, 0 none, 1 as people do.
    blink_every_s: mean pause between blinks, 0 for none. seed: of everything that varies by chance: the same seed acts
    the same. Raises InputError for a dial out of `DIALS` and a frame rate nobody plays.
    """

    fps: float = 25.0
    mouth: float = 1.0
    clarity: float = 1.0
    head: float = 1.0
    brows: float = 1.0
    gaze: float = 1.0
    blink_every_s: float = 4.0
    breath: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        checked_fps(self.fps)
        for field in fields(self):
            low, high = DIALS.get(field.name, (-np.inf, np.inf))
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise InputError(f"{field.name} is {value}, it must be within {low:g} to {high:g}.")


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
    count = frame_count(heard.duration_s, acting.fps)
    mouth = mouth_shapes(heard, acting.fps, np.ones(count, np.float32), acting.mouth, acting.clarity)
    still = np.zeros((count, 3), np.float32)
    motion = Motion(acting.fps, mouth.reshape(count, len(ARKIT_NAMES)), still, still)
    blinks = 0
    if acting.blink_every_s > 0:
        motion, blinks = insert_blinks(motion, acting.blink_every_s, 1.0, acting.seed)
    return motion, f"{count} frames at {acting.fps:g} per second, {blinks} blinks. Heard by {heard.backend}."
