"""Expression sliders: a few dials that an artist thinks in, each for one or more channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from .motion import Motion, still


def _both(name: str, value: float = 1.0) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


@dataclass(frozen=True)
class Slider:
    """One dial. up: what it does above 0, down: below 0; without `down` the channels of `up` become negative, which
    takes away what the portrait has of them. text: for the artist."""

    name: str
    text: str
    up: Mapping[str, float]
    down: Mapping[str, float] = field(default_factory=dict[str, float])

    def values(self, position: float) -> dict[str, float]:
        """Channel -> value at a position from -1 to 1."""
        moved = self.down if position < 0 and self.down else self.up
        sign = abs(position) if position < 0 and self.down else position
        return {channel: share * sign for channel, share in moved.items()}


#: In the order they are shown: brows, eyes, gaze, mouth, jaw.
SLIDERS = (
    Slider(
        "brows_raise",
        "Up: both brows raised. Down: both brows lowered.",
        {"browInnerUp": 1.0} | _both("browOuterUp"),
        _both("browDown"),
    ),
    Slider("brows_worry", "Inner ends of the brows up, as in worry or grief.", {"browInnerUp": 1.0}),
    Slider("brows_frown", "Brows down and together, as in anger or thought.", _both("browDown")),
    Slider(
        "brows_one_up",
        "One outer brow up: the person's left above 0, right below 0.",
        {"browOuterUpLeft": 1.0},
        {"browOuterUpRight": 1.0},
    ),
    Slider("eyes_close", "Above 0 the lids close, below 0 the eyes open wide.", _both("eyeBlink"), _both("eyeWide")),
    Slider(
        "eyes_wink",
        "One eye closes: the person's left above 0, right below 0.",
        {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.4},
        {"eyeBlinkRight": 1.0, "cheekSquintRight": 0.4},
    ),
    Slider(
        "eyes_squint",
        "Lower lids up, as in bright light or a real smile.",
        _both("eyeSquint") | _both("cheekSquint", 0.5),
    ),
    Slider(
        "gaze_side",
        "Where the eyes look: above 0 to the right of the picture, below 0 to its left.",
        {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
        {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    ),
    Slider("gaze_up", "Where the eyes look: above 0 up, below 0 down.", _both("eyeLookUp"), _both("eyeLookDown")),
    Slider("mouth_smile", "Above 0 a smile, below 0 the corners go down.", _both("mouthSmile"), _both("mouthFrown")),
    Slider(
        "mouth_smirk",
        "A smile on one side: the person's left above 0, right below 0.",
        {"mouthSmileLeft": 1.0, "mouthDimpleLeft": 0.3},
        {"mouthSmileRight": 1.0, "mouthDimpleRight": 0.3},
    ),
    Slider("mouth_stretch", "Corners pulled apart, as in fear or for an 'ee'.", _both("mouthStretch")),
    Slider("mouth_pucker", "Lips pushed out to a kiss, as for an 'oo'.", {"mouthPucker": 1.0}),
    Slider("mouth_funnel", "Lips rounded and open, as for an 'oh'.", {"mouthFunnel": 1.0}),
    Slider("mouth_press", "Lips pressed together.", _both("mouthPress")),
    Slider("mouth_roll", "Lips rolled inwards over the teeth.", {"mouthRollUpper": 1.0, "mouthRollLower": 1.0}),
    Slider("mouth_upper_lip_up", "Upper lip raised so that teeth show.", _both("mouthUpperUp")),
    Slider("mouth_lower_lip_down", "Lower lip lowered so that teeth show.", _both("mouthLowerDown")),
    Slider("mouth_pout", "Lower lip and chin pushed up.", {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.3}),
    Slider(
        "mouth_side",
        "Mouth shifted: above 0 to the right of the picture, below 0 to its left.",
        {"mouthLeft": 1.0},
        {"mouthRight": 1.0},
    ),
    Slider("cheeks_puff", "Cheeks blown up.", {"cheekPuff": 1.0}),
    Slider("nose_sneer", "Nose wrinkled, as in disgust.", _both("noseSneer")),
    Slider("jaw_open", "Mouth opened by the jaw. 0.3 is talking, 1 a yawn.", {"jawOpen": 1.0}),
    Slider(
        "jaw_side",
        "Jaw shifted: above 0 to the right of the picture, below 0 to its left.",
        {"jawLeft": 1.0},
        {"jawRight": 1.0},
    ),
    Slider("jaw_forward", "Chin pushed forward.", {"jawForward": 1.0}),
)

#: Head dials in degrees: name, channel, what it does.
HEAD_TURNS = (
    ("head_pitch", "headPitch", "Degrees: above 0 the head looks down, below 0 up."),
    ("head_yaw", "headYaw", "Degrees: above 0 the head looks to the right of the picture, below 0 to its left."),
    ("head_roll", "headRoll", "Degrees: above 0 the top of the head tips to the left of the picture."),
)
#: Head dials in eye distances.
HEAD_MOVES = (
    ("head_right", "headX", "In eye distances: above 0 the head moves to the right of the picture."),
    ("head_up", "headY", "In eye distances: above 0 the head moves up."),
    ("head_near", "headZ", "In eye distances: above 0 the head comes nearer to the camera."),
)


def expression_from_sliders(positions: Mapping[str, float], more: Mapping[str, float] | None = None) -> Motion:
    """One frame with the expression of all sliders together.

    positions: slider name -> -1 to 1, head turns in degrees, head moves in eye distances; missing ones are 0. more:
    channel -> value added on top. Sliders that share a channel add up; blendshapes end within -1 to 1. Raises
    InputError for an unknown slider.
    """
    known = {slider.name: slider for slider in SLIDERS}
    turns = {name: channel for name, channel, _ in HEAD_TURNS}
    moves = {name: channel for name, channel, _ in HEAD_MOVES}
    total: dict[str, float] = {}
    for name, position in positions.items():
        if name in known:
            values = known[name].values(position)
        elif name in turns:
            values = {turns[name]: float(np.deg2rad(position))}
        elif name in moves:
            values = {moves[name]: position}
        else:
            raise InputError(f"There is no slider {name!r}. Sliders: {', '.join([*known, *turns, *moves])}.")
        for channel, value in values.items():
            total[channel] = total.get(channel, 0.0) + value
    for channel, value in (more or {}).items():
        total[channel] = total.get(channel, 0.0) + value
    heads = {*turns.values(), *moves.values()}
    return still({name: value if name in heads else float(np.clip(value, -1, 1)) for name, value in total.items()})
