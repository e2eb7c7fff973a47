"""Faces of one picture that each make their own motion, drawn at any time: what a talking portrait is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray
from ..motion.motion import Motion
from ..motion.timing import interpolated, smooth_step
from .animate import bent_turns, drawn_together, nearest_face, shown_already
from .renderers import PreparedPortrait, Renderer
from .visibility import bent_glasses, facing, require_visible, turned_away

#: What a face does when its motion is over. rest: goes back to how the picture shows it. hold: keeps the last pose.
#: loop: begins again.
Afterwards = Literal["rest", "hold", "loop"]
AFTERWARDS: tuple[str, ...] = get_args(Afterwards)

#: Seconds that going back to rest takes.
_RELAX_S = 0.4


@dataclass(frozen=True, eq=False)
class _Part:
    """One face's part: the prepared face, and how much of its motion the face in its pose can show."""

    portrait: PreparedPortrait
    motion: Motion
    share: float


class Performance:
    """A picture whose faces perform.

    picture: (H, W, 3) float in [0, 1]. faces: of the picture. motions: one for all faces or one for each, in their
    order, at any frame rates. strength: factor on all that is done. names: of the entries of `Face.blendshapes`.
    afterwards: of `AFTERWARDS`. Faces in profile are left as they are. Raises InputError for another number of motions,
    no face, or when all faces are in profile.
    """

    def __init__(
        self,
        renderer: Renderer,
        picture: Tensor,
        faces: Sequence[Face],
        motions: Sequence[Motion],
        strength: float,
        names: Sequence[str],
        afterwards: Afterwards = "rest",
    ) -> None:
        if afterwards not in AFTERWARDS:
            raise InputError(f"afterwards is {afterwards!r}, it must be one of {', '.join(AFTERWARDS)}.")
        self._motions = _one_each(motions, faces)
        require_visible(faces)
        seen = [(face, motion) for face, motion in zip(faces, self._motions, strict=True) if facing(face) > 0]
        self._picture, self._strength = picture, strength
        self._afterwards: Afterwards = afterwards
        self._parts = [
            _Part(renderer.prepare(picture, face, shown_already(face, names)), motion, facing(face))
            for face, motion in seen
        ]
        visible = [face for face, _ in seen]
        self._nearest = nearest_face(visible, (picture.shape[0], picture.shape[1])) if len(visible) > 1 else None
        self._said = _who_does_what(faces, self._motions)
        for face, motion in seen:
            self._said += bent_turns(motion, strength, renderer.turn_limits)
            if renderer.turn_limits is not None:  # a mesh bends what lies on it
                self._said += bent_glasses(picture, [face], motion, strength)

    @property
    def longest_s(self) -> float:
        """How long the longest motion lasts."""
        return max(motion.duration_s for motion in self._motions)

    @property
    def text(self) -> str:
        """Which face makes which motion, and which of them can show less of it."""
        return "\n".join(dict.fromkeys(self._said))

    def at(self, time_s: float) -> Tensor:
        """The picture (H, W, 3) at a time from 0 on."""
        return drawn_together(self._picture, [self._drawn(part, time_s) for part in self._parts], self._nearest)

    def _drawn(self, part: _Part, time_s: float) -> Tensor:
        motion = part.motion
        place, left = _place(time_s, motion, self._afterwards)
        amount = np.float32(self._strength * part.share * left)
        at = np.array([place])
        channels: Mapping[str, FloatArray] = {
            name: amount * interpolated(rows, at)[0] for name, rows in motion.channels.items()
        }
        return part.portrait.frame(
            amount * interpolated(motion.blendshapes, at)[0],
            amount * interpolated(motion.rotation, at)[0],
            amount * interpolated(motion.translation, at)[0],
            channels,
        )


def _place(time_s: float, motion: Motion, afterwards: Afterwards) -> tuple[float, float]:
    """At which frame of a motion a time is, and how much of it is done then, 0 to 1."""
    place = time_s * motion.fps
    over_s = time_s - motion.duration_s
    if over_s < 0 or afterwards == "hold":
        return place, 1.0
    if afterwards == "loop":
        return place % len(motion), 1.0
    return place, float(1 - smooth_step(np.array(min(over_s / _RELAX_S, 1.0))))


def _one_each(motions: Sequence[Motion], faces: Sequence[Face]) -> list[Motion]:
    if not faces or not motions:
        raise InputError(f"There are {len(motions)} motion(s) and {len(faces)} face(s): one of each is needed.")
    if len(motions) == 1:
        return [motions[0]] * len(faces)
    if len(motions) != len(faces):
        raise InputError(
            f"There are {len(motions)} motions and {len(faces)} face(s): connect one motion for all faces, or one for "
            "each. Select Faces chooses the faces and their order, for example left_to_right."
        )
    return list(motions)


def _who_does_what(faces: Sequence[Face], motions: Sequence[Motion]) -> list[str]:
    several = len({id(motion) for motion in motions}) > 1
    lines: list[str] = []
    for number, (face, motion) in enumerate(zip(faces, motions, strict=True)):
        which = f"motion {number}" if several else "the motion"
        place = np.round(face.bbox_xyxy).astype(int).tolist()
        lines.append(f"Face {number} at {place} makes {which}: {motion.duration_s:.2f} s at {motion.fps:g} per second.")
    return [*lines, *turned_away(faces)]
