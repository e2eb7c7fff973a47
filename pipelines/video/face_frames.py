"""A frame processor for whatever is done to faces: tracked frames go to a work, several at once where it likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from ..face import Face, TrackedFrame
from .association import State, under
from .face_tracks import FaceTracks
from .processing import Frame
from .steady import packed, unpacked


class FaceWork(Protocol):
    """What is done to the faces of a video: swapping, restoring, masking, animating."""

    @property
    def batch(self) -> int:
        """How many frames it likes to get at once; the last ones of a video may be fewer."""
        ...

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        """One picture (H, W, 3) per frame, in order; the same object where nothing is changed.

        frames: consecutive but for those in which nobody is asked for: these do not come here.
        """
        ...

    def state(self) -> State:
        """What it remembers from frame to frame, as arrays; nothing that grows."""
        ...

    def restore(self, state: State) -> None:
        """Go on where `state` was taken."""
        ...


@dataclass(frozen=True)
class EachTracked:
    """A work out of a function that changes a few tracked frames and remembers nothing."""

    function: Callable[[Sequence[TrackedFrame]], Sequence[Tensor]]
    batch: int = 1

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        return self.function(frames)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None: ...


@dataclass(frozen=True, eq=False)
class _Known:
    """What was tracked in a frame before an interrupt; its picture comes once more."""

    faces: tuple[Face, ...]
    who: tuple[int, ...]
    cut: bool


class FaceFrames:
    """Hands the tracked faces of a video to a work.

    tracks: finds and follows them. work: what is done to them. without: what becomes of the picture (H, W, 3) of a
    frame in which nobody is asked for; unless given it passes as it is. ahead: how many frames after those that it
    changes the work sees as well, at the end of what it gets; it gives back no pictures for these.
    """

    def __init__(
        self,
        tracks: FaceTracks,
        work: FaceWork,
        without: Callable[[Tensor], Tensor] = lambda picture: picture,
        ahead: int = 0,
    ) -> None:
        self.tracks = tracks
        self._work = work
        self._without = without
        self._ahead = ahead
        self._ready: list[TrackedFrame] = []
        self._known: deque[_Known] = deque()

    def push(self, frame: Frame) -> Sequence[Tensor]:
        """The next frame; returns the pictures finished by it."""
        if self._known:  # pushed once more after `restore`, and tracked already then
            known = self._known.popleft()
            self._ready.append(
                TrackedFrame(frame.picture, known.faces, known.who, frame.index, frame.time_s, known.cut)
            )
            return []
        return [picture for tracked in self.tracks.push(frame) for picture in self._add(tracked)]

    def finish(self) -> Sequence[Tensor]:
        """The pictures still held back."""
        done = [picture for tracked in self.tracks.finish() for picture in self._add(tracked)]
        while self._ready:
            done += self._flush()
        return done

    def _add(self, tracked: TrackedFrame) -> Sequence[Tensor]:
        self._ready.append(tracked)
        return self._flush() if len(self._ready) >= self._work.batch + self._ahead else []

    def _flush(self) -> list[Tensor]:
        count = self._work.batch
        ready, self._ready, seen = self._ready[:count], self._ready[count:], self._ready[: count + self._ahead]
        meant = [tracked for tracked in seen if tracked.people]
        changed = iter(self._work.change(meant) if any(tracked.people for tracked in ready) else [])
        return [next(changed) if tracked.people else self._without(tracked.picture) for tracked in ready]

    def state(self) -> State:
        """Everything but pictures, as arrays."""
        found: State = {f"tracks.{name}": value for name, value in self.tracks.state().items()}
        found |= {f"work.{name}": value for name, value in self._work.state().items()}
        found["ready"] = np.array([[tracked.cut, len(tracked.faces)] for tracked in self._ready], np.int64)
        for row, tracked in enumerate(self._ready):
            found[f"who.{row}"] = np.array(list(zip((f.track for f in tracked.faces), tracked.who, strict=True)))
            for place, face in enumerate(tracked.faces):
                found |= packed(f"ready.{row}.{place}", face)
        return found

    def restore(self, state: State) -> None:
        """Go on where `state` was taken: the frames that were inside then are pushed once more."""
        self.tracks.restore(under(state, "tracks."))
        self._work.restore(under(state, "work."))
        self._ready, self._known = [], deque()
        for row, (cut, count) in enumerate(state["ready"].reshape(-1, 2).tolist()):
            people = [(int(track), int(who)) for track, who in state[f"who.{row}"].reshape(-1, 2).tolist()]
            faces = tuple(unpacked(state, f"ready.{row}.{place}", people[place][0]) for place in range(int(count)))
            self._known.append(_Known(faces, tuple(who for _, who in people), bool(cut)))
