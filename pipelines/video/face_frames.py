"""A frame processor for whatever is done to faces: finds, tracks and steadies them, and locks who each of them is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from ..face import Face, Faces, FloatArray
from .association import Appearance, State
from .steady import Smoothing
from .tracking import FaceStream

#: Nobody of the people asked for.
NOBODY = -1


class FaceStage(Protocol):
    """What is done to the faces of a frame."""

    def choose(self, vectors: FloatArray, taken: frozenset[int]) -> Sequence[int]:
        """Who each face is, given its track's mean vector (T, D) so far; -1 is nobody. taken: who is in the frame."""
        ...

    def change(self, picture: Tensor, people: Sequence[tuple[Face, int]]) -> Tensor:
        """The picture (H, W, 3) with faces changed, each given with who it is."""
        ...


class FaceFrames:
    """Tracks the faces of a video and hands them, with who they are, to a stage.

    find: detects the faces of pictures (1, H, W, 3). appearance: tells people apart. smoothing: see `FaceStream`. Who a
    track is is decided by all that was seen of it, and once it is somebody it stays so until it ends. A frame in which
    nothing is changed passes as it is.
    """

    def __init__(
        self,
        find: Callable[[Tensor], Faces],
        appearance: Appearance,
        stage: FaceStage,
        smoothing: Smoothing = "zero_lag",
    ) -> None:
        self._find = find
        self._stage = stage
        self._stream = FaceStream(appearance, smoothing)
        self._pictures: deque[Tensor] = deque()
        self._pushed = 0
        self._analysed = 0
        self._who: dict[int, int] = {}
        self._judged: dict[int, int] = {}
        self.seen: Counter[int] = Counter()
        self.empty = 0

    def push(self, frame: Tensor) -> Sequence[Tensor]:
        """The next frame; returns those finished by it."""
        index, self._pushed = self._pushed, self._pushed + 1
        self._pictures.append(frame)
        if index < self._analysed:  # pushed once more after `restore`
            self._stream.show(index, frame)
            return []
        self._analysed += 1
        found = self._find(frame[None])
        return [self._changed(faces) for faces in self._stream.push(frame, found.frames[0])]

    def finish(self) -> Sequence[Tensor]:
        """The frames still held back."""
        return [self._changed(faces) for faces in self._stream.finish()]

    def _changed(self, faces: tuple[Face, ...]) -> Tensor:
        picture = self._pictures.popleft()
        self._judge([face.track for face in faces])
        self.seen.update(face.track for face in faces)
        self.empty += not faces
        people = [(face, self._who[face.track]) for face in faces if self._who.get(face.track, NOBODY) != NOBODY]
        return self._stage.change(picture, people) if people else picture

    def _judge(self, tracks: Sequence[int]) -> None:
        """Ask who the tracks are that are nobody yet and of which more was seen since they were asked about."""
        known = self._stream.tracker.tracks
        looks = {track: known[track].looks for track in tracks if track in known}
        unsure = [t for t in looks if self._who.get(t, NOBODY) == NOBODY and self._judged.get(t) != looks[t]]
        if not unsure:
            return
        taken = frozenset(self._who.get(track, NOBODY) for track in tracks) - {NOBODY}
        chosen = self._stage.choose(np.stack([known[track].vector for track in unsure]), taken)
        for track, person in zip(unsure, chosen, strict=True):
            self._judged[track] = looks[track]
            self._who[track] = person

    def who(self) -> dict[int, int]:
        """Per track who it was found to be; -1 is nobody."""
        return dict(self._who)

    def cuts(self) -> list[int]:
        """The frames that begin a shot."""
        return self._stream.cuts

    def state(self) -> State:
        """Everything but pictures, as arrays."""
        tracks = sorted(self.seen)
        rows = [[t, self.seen[t], self._who.get(t, NOBODY), self._judged.get(t, -1)] for t in tracks]
        found: State = {f"stream.{name}": value for name, value in self._stream.state().items()}
        return found | {
            "counters": np.array([self._pushed - len(self._pictures), self._analysed, self.empty], np.int64),
            "tracks": np.array(rows, np.int64).reshape(-1, 4),
            "cuts": np.array(self._stream.cuts, np.int64),
        }

    def restore(self, state: State) -> None:
        """Go on where `state` was taken."""
        prefix = "stream."
        self._stream.restore({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)})
        self._pushed, self._analysed, self.empty = (int(value) for value in state["counters"].tolist())
        self._pictures.clear()
        self.seen, self._who, self._judged = Counter(), {}, {}
        for track, seen, who, judged in state["tracks"].tolist():
            self.seen[int(track)], self._who[int(track)], self._judged[int(track)] = int(seen), int(who), int(judged)
        self._stream.cuts = [int(cut) for cut in state["cuts"].tolist()]


def describe_people(frames: FaceFrames, names: Sequence[str]) -> str:
    """Per track in how many frames it was and who it became. names: by the stage's numbers."""
    who, seen = frames.who(), frames.seen
    lines = [f"{len(seen)} person(s) tracked; {frames.empty} frame(s) without a face passed unchanged."]
    for track, count in sorted(seen.items())[:20]:
        person = who.get(track, NOBODY)
        lines.append(f"track {track}, {count} frame(s): {names[person] if person != NOBODY else 'unchanged'}")
    if len(seen) > 20:
        lines.append(f"and {len(seen) - 20} more")
    if frames.cuts():
        lines.append(f"{len(frames.cuts())} cut(s), the first before frame {frames.cuts()[0]}.")
    return "\n".join(lines)
