"""What happens to the frames of a video: one protocol for everything that works frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from .association import State


class Progress(Protocol):
    """A progress bar; `update` raises when the user has cancelled."""

    def update(self, steps: int = 1) -> None: ...


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video on its way.

    picture: (H, W, 3) float in [0, 1], upright. index: from 0 in what was asked for, also after an interrupt. time_s:
    when it shows, 0 where the window begins; a variable rate is followed.
    """

    picture: Tensor
    index: int
    time_s: float


class FrameProcessor(Protocol):
    """What happens to every frame. It may hold frames back to look ahead or to work on several at once."""

    def push(self, frame: Frame) -> Sequence[Tensor]:
        """The next frame. Returns finished pictures, in order and of the same size, or none.

        A picture that is returned as the same object is unchanged and keeps its decoded values.
        """
        ...

    def finish(self) -> Sequence[Tensor]:
        """There are no more frames: the pictures still held back."""
        ...

    def state(self) -> State:
        """What it has to remember after the frames it gave back, as arrays."""
        ...

    def restore(self, state: State) -> None:
        """Go on where `state` was taken: the frames that were held back then are pushed once more, then new ones."""
        ...


@dataclass(frozen=True)
class EachFrame:
    """A processor out of a function that changes one picture (H, W, 3) and remembers nothing."""

    function: Callable[[Tensor], Tensor]

    def push(self, frame: Frame) -> Sequence[Tensor]:
        return [self.function(frame.picture)]

    def finish(self) -> Sequence[Tensor]:
        return []

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None: ...


@dataclass(frozen=True)
class AtEachTime:
    """A processor out of a function that draws the picture (H, W, 3) of a time in s, whatever came before."""

    function: Callable[[float], Tensor]

    def push(self, frame: Frame) -> Sequence[Tensor]:
        return [self.function(frame.time_s)]

    def finish(self) -> Sequence[Tensor]:
        return []

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None: ...
