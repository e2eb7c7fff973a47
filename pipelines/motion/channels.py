"""The names of what moves: the 52 blendshapes of ARKit, head turn and place, and words for groups of them.

Left and right in a channel's name are the person's own, as ARKit and MediaPipe have them: eyeBlinkLeft closes the
eye on the right side of an unmirrored picture. Everywhere else in this pack left and right are sides of the picture.
mouthClose is the share of the gap between the lips that is closed, 1 for lips that touch however far the jaw is open;
files in Apple's layout, where it grows with jawOpen, are converted as they are read and written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ..errors import InputError

#: In the order of Apple's Live Link Face files, which is the order of `Motion.blendshapes`.
ARKIT_NAMES = tuple(
    """
    eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
    eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight
    jawForward jawRight jawLeft jawOpen
    mouthClose mouthFunnel mouthPucker mouthRight mouthLeft mouthSmileLeft mouthSmileRight mouthFrownLeft
    mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower mouthRollUpper
    mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight
    mouthUpperUpLeft mouthUpperUpRight
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight
    cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut
    """.split()
)
INDEX = {name: index for index, name in enumerate(ARKIT_NAMES)}

#: Head turn (radians) and place (inter-ocular units), which follow the blendshapes in `Motion.values`.
ROTATION_NAMES = ("headPitch", "headYaw", "headRoll")
TRANSLATION_NAMES = ("headX", "headY", "headZ")
VALUE_NAMES = ARKIT_NAMES + ROTATION_NAMES + TRANSLATION_NAMES
VALUE_INDEX = {name: index for index, name in enumerate(VALUE_NAMES)}

GAZE = tuple(name for name in ARKIT_NAMES if name.startswith("eyeLook"))
EYES = tuple(name for name in ARKIT_NAMES if name.startswith("eye") and name not in GAZE)
BROWS = tuple(name for name in ARKIT_NAMES if name.startswith("brow"))
JAW = tuple(name for name in ARKIT_NAMES if name.startswith("jaw"))
MOUTH = tuple(name for name in ARKIT_NAMES if name.startswith(("mouth", "tongue")))
CHEEKS = tuple(name for name in ARKIT_NAMES if name.startswith(("cheek", "nose")))
POSE = ROTATION_NAMES + TRANSLATION_NAMES

#: Word -> the channels it stands for.
GROUPS: dict[str, tuple[str, ...]] = {
    "brows": BROWS,
    "eyes": EYES + GAZE,
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "gaze": GAZE,
    "mouth": MOUTH + JAW,
    "jaw": JAW,
    "cheeks": CHEEKS,
    "rotation": ROTATION_NAMES,
    "translation": TRANSLATION_NAMES,
    "pose": POSE,
    "expression": ARKIT_NAMES,
    "all": VALUE_NAMES,
}


def _other_side(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


#: Blendshape index -> the index of the same channel on the other side of the face.
MIRRORED = tuple(INDEX[_other_side(name)] for name in ARKIT_NAMES)


def channel_called(text: str) -> str | None:
    """The channel that a word means, or None: case, blanks and underscores do not matter, _L and _R are sides."""
    key = re.sub(r"[\s_.\-]", "", re.sub(r"[_.\s]([lLrR])$", _spelled_out, text.strip())).casefold()
    return _BY_KEY.get(key)


def _spelled_out(match: re.Match[str]) -> str:
    return "Left" if match[1] in "lL" else "Right"


_BY_KEY = {name.casefold(): name for name in VALUE_NAMES}


def channels_in(text: str) -> tuple[str, ...]:
    """The channels that a list of words names, in their own order, each once.

    text: channel names and group names (see `GROUPS`) between commas, blanks or lines; a word may end in * (all that
    begin so); a - before a word takes its channels away again. Empty text means all. Raises InputError for a word
    that is none, with the nearest ones.
    """
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    chosen: set[str] = set()
    if not words or words[0].startswith("-"):
        chosen.update(VALUE_NAMES)
    for word in words:
        named = _meant_by(word.removeprefix("-"))
        chosen = chosen - set(named) if word.startswith("-") else chosen | set(named)
    return tuple(name for name in VALUE_NAMES if name in chosen)


def _meant_by(word: str) -> Sequence[str]:
    if word.casefold() in GROUPS:
        return GROUPS[word.casefold()]
    if word.endswith("*"):
        found = [name for name in VALUE_NAMES if name.casefold().startswith(word[:-1].casefold())]
        if found:
            return found
    channel = channel_called(word)
    return (channel,) if channel else _unknown(word)


def _unknown(word: str) -> tuple[str, ...]:
    known = [*GROUPS, *VALUE_NAMES]
    near = difflib.get_close_matches(word, known, 3, 0.5)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise InputError(
        f"{word[:60]!r} is no channel of a motion. {hint}Groups are {', '.join(GROUPS)}; channels are ARKit's names, "
        f"such as {ARKIT_NAMES[17]} or {ARKIT_NAMES[23]}, and {', '.join(POSE)}."
    )


def rows_of(names: Sequence[str]) -> list[int]:
    """The columns of `Motion.values` that hold these channels."""
    return [VALUE_INDEX[name] for name in names]
