"""The faces of a video, frame by frame: found, tracked, steadied, and locked to who they are."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from ..face import NOBODY, Face, Faces, FloatArray, TrackedFrame
from .association import Appearance, State
from .processing import Frame
from .steady import Smoothing
from .tracking import FaceStream

#: Says who tracks are: their mean vectors (T, D) so far and who is in the frame already -> numbers, -1 is nobody.
Choose = Callable[[FloatArray, frozenset[int]], Sequence[int]]


def everybody(vectors: FloatArray, taken: frozenset[int]) -> Sequence[int]:
    """A choice without names: each track is person 0."""
    return [0] * len(vectors)


class FaceTracks:
    """Frames go in one by one, the same frames come out with their tracked faces, a few frames later.

    find: detects the faces of pictures (1, H, W, 3). appearance: tells people apart. smoothing: see `FaceStream`.
    choose: who a track is. It is asked until a track is somebody, each time more of it was seen, and a track that is
    somebody stays so until it ends.
    """

    def __init__(
        self,
        find: Callable[[Tensor], Faces],
        appearance: Appearance,
        smoothing: Smoothing = "zero_lag",
        choose: Choose = everybody,
    ) -> None:
        self._find = find
        self._choose = choose
        self._stream = FaceStream(appearance, smoothing)
        self._frames: deque[Frame] = deque()
        self._pushed = 0
        self._analysed = 0
        self._who: dict[int, int] = {}
        self._judged: dict[int, int] = {}
        self.seen: Counter[int] = Counter()
        self.empty = 0

    def push(self, frame: Frame) -> list[TrackedFrame]:
        """The next frame; returns those that are finished by it."""
        index, self._pushed = self._pushed, self._pushed + 1
        self._frames.append(frame)
        if index < self._analysed:  # pushed once more after `restore`
            self._stream.show(index, frame.picture)
            return []
        self._analysed += 1
        found = self._find(frame.picture[None])
        return [self._tracked(faces) for faces in self._stream.push(frame.picture, found.frames[0])]

    def finish(self) -> list[TrackedFrame]:
        """The frames still held back."""
        return [self._tracked(faces) for faces in self._stream.finish()]

    def _tracked(self, faces: tuple[Face, ...]) -> TrackedFrame:
        frame = self._frames.popleft()
        place = self._pushed - len(self._frames) - 1
        self._judge([face.track for face in faces])
        self.seen.update(face.track for face in faces)
        self.empty += not faces
        who = tuple(self._who.get(face.track, NOBODY) for face in faces)
        cut = place in self._stream.cuts
        return TrackedFrame(frame.picture, faces, who, frame.index, frame.time_s, cut)

    def _judge(self, tracks: Sequence[int]) -> None:
        """Ask who the tracks are that are nobody yet and of which more was seen since they were asked about."""
        known = self._stream.tracker.tracks
        looks = {track: known[track].looks for track in tracks if track in known}
        unsure = [t for t in looks if self._who.get(t, NOBODY) == NOBODY and self._judged.get(t) != looks[t]]
        if not unsure:
            return
        taken = frozenset(self._who.get(track, NOBODY) for track in tracks) - {NOBODY}
        chosen = self._choose(np.stack([known[track].vector for track in unsure]), taken)
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
            "counters": np.array([self._pushed - len(self._frames), self._analysed, self.empty], np.int64),
            "tracks": np.array(rows, np.int64).reshape(-1, 4),
            "cuts": np.array(self._stream.cuts, np.int64),
        }

    def restore(self, state: State) -> None:
        """Go on where `state` was taken: the frames that were inside then are pushed once more."""
        self._stream.restore(under(state, "stream."))
        self._pushed, self._analysed, self.empty = (int(value) for value in state["counters"].tolist())
        self._frames.clear()
        self.seen, self._who, self._judged = Counter(), {}, {}
        for track, seen, who, judged in state["tracks"].tolist():
            self.seen[int(track)], self._who[int(track)], self._judged[int(track)] = int(seen), int(who), int(judged)
        self._stream.cuts = [int(cut) for cut in state["cuts"].tolist()]


def under(state: State, prefix: str) -> State:
    """The part of a memory whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def describe_people(tracks: FaceTracks, names: Sequence[str]) -> str:
    """Per track in how many frames it was and who it became. names: by the numbers of the choice."""
    who, seen = tracks.who(), tracks.seen
    lines = [f"{len(seen)} person(s) tracked; {tracks.empty} frame(s) without a face passed unchanged."]
    for track, count in sorted(seen.items())[:20]:
        person = who.get(track, NOBODY)
        lines.append(f"track {track}, {count} frame(s): {names[person] if person != NOBODY else 'unchanged'}")
    if len(seen) > 20:
        lines.append(f"and {len(seen) - 20} more")
    if tracks.cuts():
        lines.append(f"{len(tracks.cuts())} cut(s), the first before frame {tracks.cuts()[0]}.")
    return "\n".join(lines)
