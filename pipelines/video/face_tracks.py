"""The faces of a video, frame by frame: found, tracked, steadied, and locked to who they are."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from torch import Tensor

from ..face import NOBODY, Face, FloatArray, TrackedFrame
from .association import Appearance, State, under
from .following import Finder, Follower, Sight
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

    finder: finds the faces; see `Follower` for when. appearance: tells people apart. smoothing: see `FaceStream`; only
    "zero_lag" also looks back for where a new face came in, so at most 17 frames are held back. choose: who a track is.
    It is asked until a track is somebody, each time more of it was seen, and a track that is somebody stays so until
    it ends.
    """

    def __init__(
        self,
        finder: Finder,
        appearance: Appearance,
        smoothing: Smoothing = "zero_lag",
        choose: Choose = everybody,
    ) -> None:
        self._follower = Follower(finder, look_back=smoothing == "zero_lag")
        self._choose = choose
        self._stream = FaceStream(appearance, smoothing)
        self._frames: deque[Frame] = deque()
        self._given = 0
        self._again: deque[Callable[[Tensor], None]] = deque()
        self._who: dict[int, int] = {}
        self._judged: dict[int, int] = {}
        self.seen: Counter[int] = Counter()
        self.empty = 0

    def push(self, frame: Frame) -> list[TrackedFrame]:
        """The next frame; returns those that are finished by it."""
        self._frames.append(frame)
        if self._again:  # pushed once more after `restore`
            self._again.popleft()(frame.picture)
            return []
        return self._tracked(self._follower.push(frame.picture))

    def finish(self) -> list[TrackedFrame]:
        """The frames still held back."""
        return [*self._tracked(self._follower.finish()), *map(self._named, self._stream.finish())]

    def _tracked(self, sights: Sequence[Sight]) -> list[TrackedFrame]:
        done: list[TrackedFrame] = []
        for sight in sights:
            assert sight.picture is not None
            done += map(self._named, self._stream.push(sight.picture, sight.faces, sight.cut, sight.views))
        return done

    def _named(self, faces: tuple[Face, ...]) -> TrackedFrame:
        frame, place, self._given = self._frames.popleft(), self._given, self._given + 1
        self._judge([face.track for face in faces])
        self.seen.update(face.track for face in faces)
        self.empty += not faces
        who = tuple(self._who.get(face.track, NOBODY) for face in faces)
        return TrackedFrame(frame.picture, faces, who, frame.index, frame.time_s, place in self._stream.cuts)

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
        found |= {f"follower.{name}": value for name, value in self._follower.state().items()}
        return found | {
            "counters": np.array([self._given, len(self._frames), self.empty], np.int64),
            "tracks": np.array(rows, np.int64).reshape(-1, 4),
            "cuts": np.array(self._stream.cuts, np.int64),
        }

    def restore(self, state: State) -> None:
        """Go on where `state` was taken: the frames that were inside then are pushed once more."""
        self._stream.restore(under(state, "stream."))
        self._given, inside, self.empty = (int(value) for value in state["counters"].tolist())
        waiting = self._follower.restore(under(state, "follower."))
        streamed = range(self._given, self._given + inside - waiting)
        self._frames.clear()
        self._again = deque([partial(self._stream.show, index) for index in streamed])
        self._again.extend([self._follower.show] * waiting)
        self.seen, self._who, self._judged = Counter(), {}, {}
        for track, seen, who, judged in state["tracks"].tolist():
            self.seen[int(track)], self._who[int(track)], self._judged[int(track)] = int(seen), int(who), int(judged)
        self._stream.cuts = [int(cut) for cut in state["cuts"].tolist()]


def describe_people(
    tracks: FaceTracks, names: Sequence[str], nobody: str = "unchanged", empty: str = "passed unchanged"
) -> str:
    """Per track in how many frames it was and who it became.

    names: by the numbers of the choice. nobody: what became of the others, and empty: of frames without a face.
    """
    who, seen = tracks.who(), tracks.seen
    lines = [f"{len(seen)} person(s) tracked; {tracks.empty} frame(s) without a face {empty}."]
    for track, count in sorted(seen.items())[:20]:
        person = who.get(track, NOBODY)
        lines.append(f"track {track}, {count} frame(s): {names[person] if person != NOBODY else nobody}")
    if len(seen) > 20:
        lines.append(f"and {len(seen) - 20} more")
    if tracks.cuts():
        lines.append(f"{len(tracks.cuts())} cut(s), the first before frame {tracks.cuts()[0]}.")
    return "\n".join(lines)
