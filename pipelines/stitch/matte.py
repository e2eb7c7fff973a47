"""The mattes of a video: what of tracked faces is masked, frame by frame, white on black or in its own colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from ..face import Faces, TrackedFrame
from .calm import Memory
from .lone_frames import LoneFrames
from .masked_parts import MaskedParts

#: matte: white on black. The others: the picture's own colours on a flat ground.
Shows = Literal["matte", "on_black", "on_green"]
SHOWS: tuple[Shows, ...] = get_args(Shows)

_GROUNDS: dict[Shows, tuple[float, float, float]] = {"on_black": (0.0, 0.0, 0.0), "on_green": (0.0, 1.0, 0.0)}


@dataclass(frozen=True, eq=False)
class TrackedMatte:
    """Masks the tracked people of a video that are asked for.

    mask: what of them. shows: concretely, with m the mask, "matte" is m in all three colours, the others are
    m · picture + (1 - m) · ground, black or pure green. Its frames come one by one, with `ahead` more to look at.
    """

    mask: MaskedParts
    shows: Shows = "matte"
    batch: int = 1
    _steady: LoneFrames = field(default_factory=LoneFrames, init=False, repr=False)
    _drawn: dict[int, Tensor] = field(default_factory=dict[int, Tensor], init=False, repr=False)

    @property
    def ahead(self) -> int:
        """1 where the mask depends on pixels, which can mislead whoever looks at them in a single frame, else 0."""
        looks = self.mask.parser is not None or self.mask.occluder is not None or self.mask.teeth
        return 1 if looks else 0

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        """The matte (H, W, 3) of the first frame; a second one is only looked at."""
        frame, *following = frames
        matte = self._matte(frame)
        if self.ahead:
            after = (following[0], self._matte(following[0])) if following else None
            self._drawn.clear()
            self._drawn.update({} if after is None else {after[0].index: after[1]})
            matte = self._steady.steady(frame, matte, after)
        return [self._shown(frame.picture, matte.expand(-1, -1, 3))]

    def without(self, picture: Tensor) -> Tensor:
        """What a frame (H, W, 3) without any of the people becomes: the ground alone."""
        return self._shown(picture, torch.zeros_like(picture))

    def _matte(self, frame: TrackedFrame) -> Tensor:
        """(H, W, 1): the mask of everybody in a frame who is asked for."""
        if frame.index in self._drawn:
            return self._drawn[frame.index]
        height, width, _ = frame.picture.shape
        faces = Faces((tuple(face for face, _ in frame.people),), height, width)
        return self.mask.draw(faces, frame.picture[None])[0][0, ..., None].to(frame.picture)

    def _shown(self, picture: Tensor, matte: Tensor) -> Tensor:
        if self.shows == "matte":
            return matte
        return torch.lerp(picture.new_tensor(_GROUNDS[self.shows]).expand_as(picture), picture, matte)

    def state(self) -> Memory:
        """How the faces were masked last, so that the next mask is as steady."""
        return self._steady.state()

    def restore(self, state: Memory) -> None:
        """Go on where `state` was taken."""
        self._drawn.clear()
        self._steady.restore(state)
