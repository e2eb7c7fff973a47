"""Where the keypoints of a portrait go for one frame of a `Motion`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...face import FloatArray, as_float_array
from ...motion.channels import INDEX
from ..movement import with_rest
from .directions import EYE_KEYPOINTS, LIP_KEYPOINTS, ONE_SIDE, OTHER_SIDE, WIDTH, Directions
from .motion import KEYPOINTS, ExtractedMotion, rotation_matrix
from .networks import Networks
from .options import LivePortraitOptions
from .space import CropSpace

#: Extra channels of a `Motion` that LivePortrait's own driving makes: the change of its expression (63), and of the
#: openings of eyes and lips (3: both eyes as a share of their width at rest, -1 is closed; lips as in `crop.openings`).
EXPRESSION_CHANNEL, OPENINGS_CHANNEL = "liveportrait.expression", "liveportrait.openings"

#: Openings that the retargeting networks know, and that of lips under a jaw that is fully open.
_MOST_OPEN, _JAW_OPENING, _WIDE_OPENING = 0.8, 0.8, 0.25

#: What opens and closes eyes and lips, and is left to the retargeting networks when they are on.
_LIDS = tuple(f"eye{what}{side}" for what in ("Blink", "Wide") for side in ("Left", "Right"))
_JAW = ("jawOpen", "mouthClose")


@dataclass(frozen=True, eq=False)
class Subject:
    """What is known of the face that moves.

    motion: of its crop, one face. source: (1, 21, 3) its keypoints in the crop. openings: (3,) of `crop.openings`.
    space: of its crop. directions: what blendshapes do to it. rest: (52,) what it already shows.
    one_side_is_right: whether `ONE_SIDE` lies on the right of the picture.
    """

    motion: ExtractedMotion
    source: Tensor
    openings: FloatArray
    space: CropSpace
    directions: Directions
    rest: FloatArray
    one_side_is_right: bool


@dataclass(frozen=True, eq=False)
class Step:
    """One frame of a `Motion`: blendshapes (52,), rotation (3,), translation (3,), and its extra channels' rows."""

    blendshapes: FloatArray
    rotation: FloatArray
    translation: FloatArray
    channels: Mapping[str, FloatArray]

    @property
    def is_still(self) -> bool:
        """Whether nothing moves."""
        own = [self.channels[name] for name in (EXPRESSION_CHANNEL, OPENINGS_CHANNEL) if name in self.channels]
        return not any(np.any(values) for values in (self.blendshapes, self.rotation, self.translation, *own))


def driving_keypoints(subject: Subject, step: Step, networks: Networks, options: LivePortraitOptions) -> Tensor:
    """(1, 21, 3) keypoints of a frame.

    Concretely s f (x_c R_s Q^T + e_s + e) + t_s + d with the subject's canonical keypoints x_c, pose R_s, scale s,
    place t_s and expression e_s, the frame's turn Q, factor f, move d and change of expression e; then the retargeting
    networks' moves and the stitching. Equations 2 and 9 to 12 of LivePortrait (Guo et al. 2024), the turn taken about
    the picture's axes as a `Motion` has it.
    """
    moves_head, moves_face = options.region in ("all", "pose"), options.region != "pose"
    motion, space = subject.motion, subject.space
    turn = torch.from_numpy(as_float_array(space.rotation(step.rotation if moves_head else np.zeros(3, np.float32))))
    move, factor = space.shift(step.translation if moves_head else np.zeros(3, np.float32))
    expression = motion.expression
    if moves_face:
        change = as_float_array(_expression(subject, step, options).reshape(1, KEYPOINTS, 3))
        expression = expression + torch.from_numpy(change)
    turned = motion.keypoints @ rotation_matrix(motion.rotation) @ turn.T
    placed = motion.scale[..., None] * factor * (turned + expression)
    placed[..., :2] += motion.translation[:, None, :2] + torch.from_numpy(as_float_array(move))
    if moves_face:
        placed = placed + _retargeted(subject, step, networks, options)
    return networks.stitched(subject.source, placed) if options.stitching else placed


def _expression(subject: Subject, step: Step, options: LivePortraitOptions) -> FloatArray:
    """(21, 3): the change of expression, of the keypoints that may move."""
    driven = step.channels.get(EXPRESSION_CHANNEL)
    if driven is None:
        amounts = with_rest(step.blendshapes, subject.rest)
        amounts[INDEX["mouthClose"]] = _jaw_taken_back(subject, step.blendshapes, float(amounts[INDEX["jawOpen"]]))
        left_out = (_LIDS if options.eye_retargeting else ()) + (_JAW if options.lip_retargeting else ())
        amounts[[INDEX[name] for name in left_out]] = 0
        change = subject.directions.expression(amounts).reshape(KEYPOINTS, 3)
    else:
        if driven.shape != (WIDTH,):
            raise InputError(
                f"The channel {EXPRESSION_CHANNEL} of the motion has {driven.shape[0]} columns, {WIDTH} are needed: "
                "it comes from LivePortrait Motion."
            )
        change = driven.reshape(KEYPOINTS, 3).copy()
        if options.eye_retargeting:
            change[list(EYE_KEYPOINTS), 1] = 0  # the height of lids; gaze stays
        if options.lip_retargeting:
            change[19] = 0  # what opens the mouth
    if options.region in ("eyes", "lips"):
        kept = list(EYE_KEYPOINTS if options.region == "eyes" else LIP_KEYPOINTS)
        only = np.zeros_like(change)
        only[kept] = change[kept]
        return only
    return change


def _retargeted(subject: Subject, step: Step, networks: Networks, options: LivePortraitOptions) -> Tensor:
    """(1, 21, 3): what the retargeting networks add, nothing where an opening does not change."""
    moves = torch.zeros(1, KEYPOINTS, 3)
    change = _opening_change(subject, step)
    left, right, lips = (float(value) for value in subject.openings)
    if options.eye_retargeting and options.region != "lips":
        moves = moves + _eye_moves(subject, (left, right), change[:2], networks)
    if options.lip_retargeting and options.region != "eyes" and change[2] != 0:
        wanted = float(np.clip(lips + change[2], 0, _MOST_OPEN))
        moves = moves + networks.lips(subject.source, torch.tensor([[lips, wanted]]))
    return moves


def _eye_moves(subject: Subject, now: tuple[float, float], change: FloatArray, networks: Networks) -> Tensor:
    """The network knows one wanted opening for both eyes: it is asked once for each; each eye's points are taken."""
    wanted = [float(np.clip(opening * (1 + share), 0, _MOST_OPEN)) for opening, share in zip(now, change, strict=True)]
    if not np.any(change):
        return torch.zeros(1, KEYPOINTS, 3)
    left, right = (networks.eyes(subject.source, torch.tensor([[*now, opening]])) for opening in wanted)
    moves = (left * abs(float(change[0])) + right * abs(float(change[1]))) / float(np.abs(change).sum())
    right_points, left_points = (ONE_SIDE, OTHER_SIDE) if subject.one_side_is_right else (OTHER_SIDE, ONE_SIDE)
    for points, of_eye, share in ((left_points, left, change[0]), (right_points, right, change[1])):
        moves[:, points[:2]] = of_eye[:, points[:2]] if share != 0 else 0.0
    return moves


def _jaw_taken_back(subject: Subject, blendshapes: FloatArray, jaw: float) -> float:
    """How much of jawOpen closing lips undo: mouthClose is a share of the gap that is at rest and that the jaw makes.

    So lips that touch already stay as they are, and 1 closes any mouth.
    """
    close = float(blendshapes[INDEX["mouthClose"]])
    return close * (max(jaw, 0.0) + float(subject.openings[2]) / _JAW_OPENING) if close > 0 else close


def _opening_change(subject: Subject, step: Step) -> FloatArray:
    """(3,): shares by which the eyes on the left and right of the picture open, and what the lips' opening gains."""
    driven = step.channels.get(OPENINGS_CHANNEL)
    if driven is not None:
        return driven

    def amount(name: str) -> float:
        return float(step.blendshapes[INDEX[name]])

    # the person's right eye is on the left of the picture
    eyes = [_WIDE_OPENING * amount(f"eyeWide{side}") - amount(f"eyeBlink{side}") for side in ("Right", "Left")]
    jaw = amount("jawOpen")
    return as_float_array([*eyes, _JAW_OPENING * (jaw - _jaw_taken_back(subject, step.blendshapes, jaw))])
