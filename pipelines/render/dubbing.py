"""The mouth of people in a video made to say something else: what it did is taken away, a motion takes its place.

The mesh of every frame is moved from where the mouth was filmed to where it is at rest, and from there by the motion:
head, eyes and light stay the frame's own, no pixel comes from another frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray, TrackedFrame, as_float_array
from ..geometry.features import OVAL
from ..motion.channels import ARKIT_NAMES
from ..motion.expression import PARTS
from ..motion.motion import Motion
from ..motion.timing import interpolated, smooth_step
from .mesh_renderer import warp_grid
from .mouth import draw_mouth, mouth_of
from .mouth_rest import MouthAtRest, without_teeth
from .movement import Moved, move
from .portrait import RINGS, Portrait, prepare
from .visibility import facing

#: What a mouth does when its motion is over: it stays closed, or goes on as it was filmed.
AfterSpeech = Literal["lips closed", "as filmed"]
AFTER_SPEECH: tuple[str, ...] = get_args(AfterSpeech)

#: Seconds in which the filmed mouth comes back.
_BACK_S = 0.3
#: Moves of less than this (px) and differences of less than a quarter of an 8-bit step are none.
_UNSEEN_PX, _UNSEEN = 0.02, 1e-3
#: Frames that are looked at before the first of them is drawn: rest is known better then.
_AHEAD = 8

_MEANT = np.array([name in PARTS["mouth"] for name in ARKIT_NAMES], np.float32)


@dataclass(eq=False)
class MouthDubbing:
    """Makes the mouths of tracked people follow a motion and nothing else; a work of `FaceFrames`.

    motion: its jaw, mouth and cheek channels are used, at each frame's own time, as changes against a mouth at rest.
    strength: 0 leaves the video as it is, 1 takes all away that the mouth did. after: of `AFTER_SPEECH`. Faces without
    dense landmarks and faces in profile stay as they are. Raises InputError for another word.
    """

    motion: Motion
    strength: float = 1.0
    after: AfterSpeech = "lips closed"
    batch: int = _AHEAD
    dubbed: int = 0
    faded: int = 0
    _rests: dict[int, MouthAtRest] = field(default_factory=dict[int, MouthAtRest])

    def __post_init__(self) -> None:
        if self.after not in AFTER_SPEECH:
            raise InputError(f"after is {self.after!r}, it must be one of {', '.join(AFTER_SPEECH)}.")

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        """One picture (H, W, 3) per frame; the same object where no mouth changes."""
        for frame in frames:
            for face, _ in frame.people:
                if face.landmarks is not None:
                    self._rests.setdefault(face.track, MouthAtRest()).learn(face.landmarks)
        return [self._spoken(frame) for frame in frames]

    def _spoken(self, frame: TrackedFrame) -> Tensor:
        shapes, share = self._at(frame.time_s)
        out = frame.picture
        for face in sorted((face for face, _ in frame.people), key=lambda face: (face.area_px, face.track)):
            if face.landmarks is None or share == 0:
                continue
            seen = facing(face)
            self.dubbed += 1
            self.faded += seen < 1
            if seen > 0:
                out = drawn_mouth(out, face, self._rests[face.track], shapes, min(share * seen, 1.0))
        return out

    def _at(self, time_s: float) -> tuple[FloatArray, float]:
        """(52,) of the motion at a time, and how far the filmed mouth gives way to it."""
        place, over_s = time_s * self.motion.fps, time_s - self.motion.duration_s
        if over_s < 0:
            return _MEANT * interpolated(self.motion.blendshapes, np.array([place]))[0], self.strength
        if self.after == "lips closed":
            return np.zeros(len(ARKIT_NAMES), np.float32), self.strength
        left = float(1 - smooth_step(np.array(min(over_s / _BACK_S, 1.0))))
        return np.zeros(len(ARKIT_NAMES), np.float32), self.strength * left

    def state(self) -> dict[str, NDArray[np.generic]]:
        """How each mouth is at rest, and what was counted."""
        tracks = sorted(self._rests)
        shapes = [self._rests[track].shape for track in tracks]
        return {
            "tracks": np.array([*tracks, self.dubbed, self.faded], np.int64),
            "rests": np.stack([shape for shape in shapes if shape is not None] or [np.zeros((468, 3), np.float32)]),
            "counted": np.array([self._rests[track].counted for track in tracks], np.float64),
        }

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on where `state` was taken."""
        *tracks, self.dubbed, self.faded = (int(value) for value in state["tracks"].tolist())
        shapes, counted = np.asarray(state["rests"], np.float32), np.asarray(state["counted"], np.float64)
        self._rests = {
            track: MouthAtRest(shapes[row].copy(), float(counted[row])) for row, track in enumerate(tracks)
        }  # fmt: skip

    @property
    def text(self) -> str:
        """What was done, with numbers."""
        lines = [f"{self.dubbed} mouth(s) dubbed: what they did is taken away, the new motion takes its place."]
        if self.faded:
            lines.append(f"{self.faded} of them less or not at all, because the face is turned away.")
        return "\n".join(lines)


def drawn_mouth(picture: Tensor, face: Face, rest: MouthAtRest, shapes: FloatArray, share: float) -> Tensor:
    """A picture (H, W, 3) whose face has the mouth of `shapes` (52,) instead of its own.

    rest: has seen this face. share: how far its own mouth gives way, 0 to 1. Only what moves is drawn anew.
    """
    assert face.landmarks is not None
    filmed = prepare(picture, face, ARKIT_NAMES)
    offset = np.array([*filmed.origin, 0], np.float32)
    calm = _with_landmarks(filmed, as_float_array(rest.placed(face.landmarks, share) - offset))
    still = np.zeros(3, np.float32)
    moved = _settled(filmed, move(calm, as_float_array(shapes * np.float32(share)), still, still))
    # pixels come from where the mouth was filmed
    apart = _with_landmarks(filmed, without_teeth(filmed.landmarks))
    grid, x, y = warp_grid(apart, moved, (filmed.pixels.shape[1], filmed.pixels.shape[2]), fine=True)
    if not grid.numel():
        return picture
    drawn = F.grid_sample(filmed.pixels[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    draw_mouth(calm, mouth_of(calm), moved, drawn, (x, y))
    out = picture.clone()
    x, y = x + filmed.origin[0], y + filmed.origin[1]
    given = out[y : y + drawn.shape[1], x : x + drawn.shape[2], :3]
    new = drawn.permute(1, 2, 0)
    given.copy_(torch.where((new - given).abs().amax(-1, keepdim=True) > _UNSEEN, new, given))
    return out


def _settled(filmed: Portrait, moved: Moved) -> Moved:
    """What hardly moves does not move, so that eyes and brows keep every pixel."""
    change = np.linalg.norm(moved.vertices - filmed.vertices, axis=1, keepdims=True)
    return replace(moved, vertices=np.where(change < _UNSEEN_PX, filmed.vertices, moved.vertices))


def _with_landmarks(portrait: Portrait, landmarks: FloatArray) -> Portrait:
    """The portrait as if its face had these landmarks (478, 3); what surrounds it follows as it does a motion."""
    change = (landmarks - portrait.landmarks)[:468]
    around = np.tile(change[list(OVAL)], (len(RINGS), 1)) * portrait.follow[468:, None]
    vertices = as_float_array(portrait.vertices + np.concatenate([change, around]))
    return replace(portrait, landmarks=landmarks, vertices=vertices)
