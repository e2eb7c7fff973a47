"""A motion on the people of a video, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray, TrackedFrame
from ..motion.capture import measured_values
from ..motion.channels import ARKIT_NAMES, VALUE_NAMES
from ..motion.expression import PARTS
from ..motion.motion import Motion, motion_from_values
from ..motion.retargeting import changed_from
from ..motion.timing import interpolated
from .animate import shown_already
from .renderers import Renderer
from .visibility import facing

How = Literal["add", "replace"]
AfterEnd = Literal["as filmed", "hold", "loop"]
HOWS: tuple[str, ...] = get_args(How)
AFTER_ENDS: tuple[str, ...] = get_args(AfterEnd)

_SHAPES = len(ARKIT_NAMES)
#: How much of a new frame's own expression counts; the rest is what was measured before, so that it does not tremble.
_FRESH = 0.5


@dataclass(eq=False)
class TrackedActing:
    """Makes tracked people do what a motion says; a work of `FaceFrames`.

    motion: sampled at each frame's own time, whatever both rates are. how: add puts it on top of what a person does;
    replace takes what the person does away, so that the face ends as the motion, measured as it is, says. part: of
    `PARTS`, the rest of the face stays as filmed. after_end: what happens when the motion is over. names: of
    `Face.blendshapes`. Raises InputError for other words.
    """

    renderer: Renderer
    motion: Motion
    names: Sequence[str]
    how: How = "add"
    part: str = "whole"
    strength: float = 1.0
    after_end: AfterEnd = "as filmed"
    batch: int = 1
    faded: int = 0
    acted: int = 0
    _own: dict[int, FloatArray] = field(default_factory=dict[int, FloatArray])

    def __post_init__(self) -> None:
        for name, word, words in (
            ("how", self.how, HOWS),
            ("part", self.part, tuple(PARTS)),
            ("after_end", self.after_end, AFTER_ENDS),
        ):
            if word not in words:
                raise InputError(f"{name} is {word!r}, it must be one of {', '.join(words)}.")
        self._values = self.motion.values
        self._meant = np.array([name in PARTS[self.part] for name in VALUE_NAMES])

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        """One picture (H, W, 3) per frame; the same object where nobody moves."""
        return [self._acted(frame) for frame in frames]

    def _acted(self, frame: TrackedFrame) -> Tensor:
        wanted = self._at(frame.time_s)
        if frame.cut:
            self._own.clear()
        self._own = {face.track: self._steadied(face, frame) for face, _ in frame.people if face.landmarks is not None}
        if wanted is None:
            return frame.picture
        out = frame.picture
        for face in sorted((face for face, _ in frame.people), key=lambda face: (face.area_px, face.track)):
            if face.track in self._own:
                out = self._moved(out, face, wanted)
        return out

    def _at(self, time_s: float) -> FloatArray | None:
        """(58,) of the motion at a time; None when it is over and the film goes on by itself."""
        at = time_s * self.motion.fps
        if at > len(self.motion) - 0.5:
            if self.after_end == "as filmed":
                return None
            at = at % len(self.motion) if self.after_end == "loop" else len(self.motion) - 1
        return interpolated(self._values, np.array([at]))[0]

    def _steadied(self, face: Face, frame: TrackedFrame) -> FloatArray:
        size_hw = (frame.picture.shape[0], frame.picture.shape[1])
        now = measured_values(face, size_hw, self.names)
        before = self._own.get(face.track)
        return now if before is None else (before + np.float32(_FRESH) * (now - before)).astype(np.float32)

    def _moved(self, picture: Tensor, face: Face, wanted: FloatArray) -> Tensor:
        share, own = facing(face), self._own[face.track]
        self.acted += 1
        self.faded += share < 1
        if share == 0:
            return picture
        change = wanted.copy()
        if self.how == "replace":
            change = changed_from(motion_from_values(self.motion.fps, wanted[None]), own).values[0]
            change[_SHAPES + 3 :] = 0  # where somebody else's head is in another picture says nothing here
        change = np.where(self._meant, change, 0).astype(np.float32) * np.float32(self.strength * share)
        rest = shown_already(face, self.names) if self.how == "add" else own[:_SHAPES]
        if not change.any():
            return picture
        portrait = self.renderer.prepare(picture, face, rest)
        shapes, turn, place = np.clip(change[:_SHAPES], -1, 1), change[_SHAPES : _SHAPES + 3], change[_SHAPES + 3 :]
        return portrait.frame(shapes, turn, place)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What was measured last on each track."""
        tracks = sorted(self._own)
        own = np.stack([self._own[track] for track in tracks]) if tracks else np.zeros((0, len(VALUE_NAMES)))
        return {"tracks": np.array([*tracks, self.faded, self.acted], np.int64), "own": own.astype(np.float32)}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on where `state` was taken."""
        *tracks, self.faded, self.acted = (int(value) for value in state["tracks"].tolist())
        rows = np.asarray(state["own"], np.float32)
        self._own = {track: row.copy() for track, row in zip(tracks, rows, strict=True)}

    @property
    def text(self) -> str:
        """What was done, with numbers."""
        motion = f"{self.motion.duration_s:.2f} s at {self.motion.fps:g} per second"
        lines = [f"The motion ({motion}) was taken at each frame's own time; {self.acted} face(s) moved."]
        if self.faded:
            lines.append(
                f"{self.faded} of them moved less or not, because they are turned away (see Animate Portrait)."
            )
        return "\n".join(lines)
