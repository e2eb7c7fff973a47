"""A speech and an emotion on one face: neither takes away what the other is known by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray, as_float_array
from ..motion.channels import INDEX, TRANSLATION_NAMES, VALUE_INDEX, VALUE_NAMES, rows_of
from ..motion.motion import Motion
from ..motion.timing import interpolated, resample
from .articulation import lips_apart

#: What an emotion parts the lips with, and what it closes them with (sides of the person).
_BOTH = ("Left", "Right")
_PARTS = ("jawOpen", "mouthFunnel", *(f"{name}{side}" for name in ("mouthUpperUp", "mouthLowerDown") for side in _BOTH))
_CLOSES = (
    "mouthClose",
    "mouthRollUpper",
    "mouthRollLower",
    "mouthShrugLower",
    "mouthShrugUpper",
    *(f"mouthPress{side}" for side in _BOTH),
)
_SMILES = tuple(f"mouth{name}{side}" for name in ("Smile", "Dimple", "Stretch") for side in _BOTH)

#: Lips that a motion draws together by less than the first count as open, from the second on as closed for a sound.
_OPEN, _CLOSED = 0.74, 0.95

#: How much of what parts the lips an emotion keeps while somebody talks: the mouth is busy.
_KEPT = 0.5

#: At this opening nothing that closes lips is left of an emotion.
_FULLY_OPEN = 0.25


def lips_closed(motion: Motion) -> NDArray[np.float64]:
    """(T,) how far each frame closes the lips for a sound: 1 on p, b and m of a speech, 0 where lips are free.

    It is read from mouthClose itself, so it stays true for a motion that was retimed, mirrored, mixed or stored.
    """
    close = motion.blendshapes[:, INDEX["mouthClose"]].astype(np.float64)
    return np.clip((close - _OPEN) / (_CLOSED - _OPEN), 0, 1)


def with_emotion(speech: Motion, emotion: Motion) -> Motion:
    """A speech with an emotion on top, at the frame rate and length of the speech.

    emotion: held at its end when it is shorter. Its channels are added, but lips that the speech closes stay closed
    (what would part them is taken out there), lips that it opens are not pressed, and a mouth that rounds smiles less.
    A smile so widens vowels and leaves p, b and m alone. Turns and shifts add. Blendshapes end within -1 to 1.
    """
    same = resample(emotion, speech.fps)
    added = interpolated(same.values, np.arange(len(speech)))
    values = speech.values
    closed, apart = lips_closed(speech), lips_apart(speech.blendshapes)
    moving = np.clip(apart / _FULLY_OPEN, 0, 1)
    talking = np.maximum(_near(as_float_array(np.maximum(moving, closed)), speech.fps), 0)
    _scale(added, _PARTS, (1 - closed) * (1 - (1 - _KEPT) * talking))
    _scale(added, _CLOSES, 1 - np.maximum(moving, 0.5 * talking))
    rounded = np.clip(values[:, VALUE_INDEX["mouthPucker"]] + 0.6 * values[:, VALUE_INDEX["mouthFunnel"]], 0, 1)
    _scale(added, _SMILES, 1 - 0.7 * rounded)
    total = values + added
    shapes = len(VALUE_NAMES) - 3 - len(TRANSLATION_NAMES)
    total[:, :shapes] = np.clip(total[:, :shapes], -1, 1)
    return speech.with_values(as_float_array(total))


def _near(values: FloatArray, fps: float) -> NDArray[np.float64]:
    """(T,) the most within 0.3 s of each frame, eased: whether somebody is talking there."""
    reach = max(round(0.3 * fps), 1)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, reach), 2 * reach + 1)
    most = windows.max(1)
    bell = np.hanning(2 * reach + 3)[1:-1]
    return np.convolve(np.pad(most, reach, mode="edge"), bell / bell.sum(), "valid")


def _scale(values: FloatArray, names: tuple[str, ...], factor: NDArray[np.float64]) -> None:
    values[:, rows_of(names)] *= factor[:, None].astype(np.float32)
