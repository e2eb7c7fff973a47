"""Emotions as combinations of facial actions, and facial actions as ARKit channels.

Sources: which action units make an emotion is from EMFACS (Friesen and Ekman 1983) as tabled in Ekman, Friesen and
Hager, Facial Action Coding System, 2002; which channels show an action unit from the units' descriptions there and
Apple's of its blendshapes. The eight names are those of AffectNet and MEAD.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .channels import ARKIT_NAMES, INDEX
from .motion import Motion, checked_fps, motion_from_values
from .timing import smooth_step


def _both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


#: Action unit -> channels that show it at full strength. Units with L or R are of one side of the person.
ACTION_UNITS: dict[str, dict[str, float]] = {
    "1": {"browInnerUp": 1.0},
    "2": _both("browOuterUp", 1.0),
    "4": _both("browDown", 1.0),
    "5": _both("eyeWide", 1.0),
    "6": _both("cheekSquint", 1.0) | _both("eyeSquint", 0.5),
    "7": _both("eyeSquint", 1.0),
    "9": _both("noseSneer", 1.0),
    "10": _both("mouthUpperUp", 1.0),
    "12": _both("mouthSmile", 1.0),
    "R12": {"mouthSmileRight": 1.0},
    "R14": {"mouthDimpleRight": 1.0},
    "15": _both("mouthFrown", 1.0),
    "16": _both("mouthLowerDown", 1.0),
    "17": {"mouthShrugLower": 1.0},
    "20": _both("mouthStretch", 1.0),
    "23": _both("mouthPress", 0.8) | {"mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    "26": {"jawOpen": 0.7},
}

#: Emotion -> action units with the share of their full strength that a strong, believable expression has.
EMOTIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {"6": 0.7, "12": 0.9},
    "sadness": {"1": 0.8, "4": 0.35, "15": 0.7, "17": 0.3},
    "anger": {"4": 0.9, "5": 0.4, "7": 0.5, "23": 0.7},
    "fear": {"1": 0.9, "2": 0.4, "4": 0.35, "5": 0.8, "7": 0.15, "20": 0.6, "26": 0.35},
    "disgust": {"9": 0.9, "10": 0.5, "15": 0.3, "16": 0.25, "4": 0.3},
    "surprise": {"1": 0.8, "2": 0.9, "5": 0.7, "26": 0.6},
    "contempt": {"R12": 0.45, "R14": 0.7},
}


def emotion_values(emotion: str, intensity: float = 1.0) -> dict[str, float]:
    """Channel -> value of an emotion; units that share a channel add up, to at most 1.

    intensity: 0 to 1.5; above 1 exaggerates until channels are full. Concretely min(intensity * sum_units, 1). Raises
    InputError for another emotion or intensity.
    """
    if emotion not in EMOTIONS:
        raise InputError(f"{emotion!r} is none of the emotions {', '.join(EMOTIONS)}.")
    if not 0 <= intensity <= 1.5:
        raise InputError(f"An emotion cannot have the intensity {intensity}: 0 to 1.5 are allowed.")
    values: dict[str, float] = {}
    for unit, share in EMOTIONS[emotion].items():
        for channel, value in ACTION_UNITS[unit].items():
            values[channel] = values.get(channel, 0.0) + share * value
    return {channel: min(intensity * value, 1.0) for channel, value in values.items()}


def emotion_motion(
    emotion: str, intensity: float, seconds: float = 0.0, fps: float = 25.0, rise_s: float = 0.4, fall_s: float = 0.6
) -> Motion:
    """An emotion that comes, stays and goes.

    seconds: of the whole; 0 gives one frame with the emotion fully there. rise_s, fall_s: how long it takes to come and
    to go, along a smooth step; when they are longer than the whole, both are shortened alike; 0 begins or ends with it.
    """
    row = np.zeros(len(ARKIT_NAMES), np.float32)
    for channel, value in emotion_values(emotion, intensity).items():
        row[INDEX[channel]] = value
    count = max(round(seconds * checked_fps(fps)), 1)
    way = _coming_and_going(count, rise_s * fps, fall_s * fps) if count > 1 else np.ones(1)
    values = np.zeros((count, len(ARKIT_NAMES) + 6), np.float32)
    values[:, : len(ARKIT_NAMES)] = way[:, None] * row
    return motion_from_values(fps, values)


def _coming_and_going(count: int, rise: float, fall: float) -> np.ndarray:
    if rise < 0 or fall < 0:
        raise InputError("An emotion cannot rise or fall in less than no time: give 0 s or more.")
    share = min((count - 1) / (rise + fall), 1.0) if rise + fall > 0 else 1.0
    frame = np.arange(count)
    up = np.clip(frame / (rise * share), 0, 1) if rise > 0 else np.ones(count)
    down = np.clip((count - 1 - frame) / (fall * share), 0, 1) if fall > 0 else np.ones(count)
    return smooth_step(np.minimum(up, down))


def emotion_sources(emotion: str) -> str:
    """The action units of an emotion in words, for reports: `6 (0.70) + 12 (0.90)`."""
    return " + ".join(f"{unit} ({share:.2f})" for unit, share in EMOTIONS[emotion].items()) or "none"
