"""Faces followed from frame to frame, detected only now and then; new ones are followed back to where they came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from ..face import Face
from .association import State, under
from .frames import CutFinder, shared_area, visible_part
from .steady import packed, unpacked

#: A detector looks at every so-manieth frame, at the first one of a shot and wherever a face was lost.
DETECT_EVERY = 12
#: Least score of a face that is still followed, and the most that its size may change between two frames.
_PRESENT, _LARGEST_CHANGE = 0.5, 1.35
#: Followed faces that share more than this (of the smaller one) may have become one: the detector decides.
_MEETING = 0.4
#: A detected face that shares this much with a followed one is that one.
_SAME = 0.4
#: A detected face is looked at so often before it is followed: then it has stopped sliding.
_SETTLING_LOOKS = 3
#: Least part of a face's box that lies in the picture.
_INSIDE = 0.3
#: A face that the detector did not see so many times in a row is not followed any more.
_UNCONFIRMED = 2


class Finder(Protocol):
    """Finds the faces of single pictures."""

    def detect(self, picture: Tensor, known: Sequence[Face]) -> tuple[Sequence[Face], Sequence[Face | None]]:
        """The faces of a picture (H, W, 3) that are not among the known ones, and these: None where it sees none."""
        ...

    def follow(self, picture: Tensor, faces: Sequence[Face]) -> Sequence[Face]:
        """The same faces, in their order, in the next picture; their score in [0, 1] says if they are there."""
        ...


@dataclass(frozen=True, eq=False)
class Sight:
    """A frame and its faces.

    picture: (H, W, 3), None after `restore` until it comes once more. cut: whether a shot begins with it. detected:
    whether a detector has seen it. views: place in `faces` -> a later picture and the same face there, where it is seen
    better: what tells who it is.
    """

    picture: Tensor | None
    faces: tuple[Face, ...]
    cut: bool
    detected: bool = False
    views: Mapping[int, tuple[Tensor, Face]] = field(default_factory=dict[int, tuple[Tensor, Face]])


class Follower:
    """Takes the frames of a video in order and gives them back with their faces.

    finder: finds them. look_back: hold the frames between two detections back, so that a face that is first detected in
    the middle of its way is followed back to its first frame; else frames come at once, and a new face is found at most
    `every` frames late. every: how far detections lie apart where nothing happens.
    """

    def __init__(self, finder: Finder, look_back: bool = True, every: int = DETECT_EVERY) -> None:
        self._finder = finder
        self._look_back = look_back
        self._every = every
        self._cuts = CutFinder()
        self._waiting: list[Sight] = []
        self._faces: list[Face] = []
        self._missed: list[int] = []
        self._since = every

    def push(self, picture: Tensor) -> list[Sight]:
        """The next frame; returns those that are finished by it, none or several."""
        cut = self._cuts.begins(picture)
        done = self._settle() if cut else []
        clear = not cut and self._follow(picture)
        self._since += 1
        due = not clear or self._since >= self._every
        self._waiting.append(Sight(picture, tuple(self._faces), cut))
        if due:
            self._detect()
        return done + (self._release() if due or not self._look_back else [])

    def finish(self) -> list[Sight]:
        """The frames still held back."""
        return self._settle()

    def show(self, picture: Tensor) -> None:
        """After `restore`: the picture of the next frame that went in before and has not come out yet."""
        place = next(k for k, sight in enumerate(self._waiting) if sight.picture is None)
        self._waiting[place] = replace(self._waiting[place], picture=picture)

    def _release(self) -> list[Sight]:
        done, self._waiting = self._waiting, []
        return done

    def _settle(self) -> list[Sight]:
        """The shot ends: who came in since the last detection is looked for in its last frame."""
        if self._waiting and not self._waiting[-1].detected:
            self._detect()
        self._faces, self._missed = [], []
        return self._release()

    def _follow(self, picture: Tensor) -> bool:
        """Take the faces along; False where one is lost or two may have become one."""
        after = self._finder.follow(picture, self._faces) if self._faces else []
        kept = [k for k, face in enumerate(after) if self._goes_on(self._faces[k], face, picture)]
        clear = len(kept) == len(self._faces)
        faces = [after[k] for k in kept]
        if any(shared_area(a, b) > _MEETING for k, a in enumerate(faces) for b in faces[:k]):
            faces, kept, clear = [], [], False
        self._faces, self._missed = faces, [self._missed[k] for k in kept]
        return clear

    def _goes_on(self, before: Face, after: Face, picture: Tensor) -> bool:
        grown = max(after.area_px, 1e-6) / max(before.area_px, 1e-6)
        same_size = _LARGEST_CHANGE**-2 < grown < _LARGEST_CHANGE**2
        return after.score >= _PRESENT and same_size and visible_part(after, picture) >= _INSIDE

    def _detect(self) -> None:
        """Look for all faces of the last frame; the new ones are followed back through the frames that wait."""
        last = self._waiting[-1]
        assert last.picture is not None
        found, seen = self._finder.detect(last.picture, self._faces)
        self._confirm(seen)
        new = [face for face in found if all(shared_area(face, known) <= _SAME for known in self._faces)]
        new = self._settled(last.picture, new)
        self._faces += new
        self._missed += [0] * len(new)
        self._waiting[-1] = replace(last, faces=tuple(self._faces), detected=True)
        self._since = 0
        if new and not last.cut:
            self._follow_back(last.picture, new)

    def _confirm(self, seen: Sequence[Face | None]) -> None:
        """Forget the followed faces that the detector does not see again and again. seen: what it says of each."""
        missed = [0 if face is not None else times + 1 for face, times in zip(seen, self._missed, strict=True)]
        faces = [now or before for now, before in zip(seen, self._faces, strict=True)]
        kept = [k for k, times in enumerate(missed) if times < _UNCONFIRMED]
        self._faces, self._missed = [faces[k] for k in kept], [missed[k] for k in kept]

    def _settled(self, picture: Tensor, faces: list[Face]) -> list[Face]:
        """Detected faces where following puts them: it would draw them there over the next frames."""
        for _ in range(_SETTLING_LOOKS if faces else 0):
            after = self._finder.follow(picture, faces)
            faces = [now if now.score >= _PRESENT else face for face, now in zip(faces, after, strict=True)]
        return faces

    def _follow_back(self, picture: Tensor, new: list[Face]) -> None:
        """Add faces that were first detected in the last frame to those before it, as far as they can be seen."""
        chains = [(face, face) for face in new]  # where it is now, and as it was detected
        for place in range(len(self._waiting) - 2, -1, -1):
            sight = self._waiting[place]
            assert sight.picture is not None
            earlier = self._finder.follow(sight.picture, [face for face, _ in chains])
            pairs = [(face, before, first) for face, (before, first) in zip(earlier, chains, strict=True)]
            chains = [(face, first) for face, before, first in pairs if self._goes_on(before, face, sight.picture)]
            chains = [c for c in chains if all(shared_area(c[0], known) <= _SAME for known in sight.faces)]
            if not chains:
                return
            views = {len(sight.faces) + k: (picture, first) for k, (_, first) in enumerate(chains)}
            faces = (*sight.faces, *(face for face, _ in chains))
            self._waiting[place] = replace(sight, faces=faces, views={**sight.views, **views})
            if sight.cut:
                return

    def state(self) -> State:
        """Everything but pictures, as arrays."""
        found: State = {f"cuts.{name}": value for name, value in self._cuts.state().items()}
        found["since"] = np.array([self._since], np.int64)
        found["missed"] = np.array(self._missed, np.int64)
        rows = [(sight.cut, sight.detected, len(sight.faces)) for sight in self._waiting]
        found["waiting"] = np.array(rows, np.int64).reshape(-1, 3)
        for row, faces in enumerate([self._faces, *(sight.faces for sight in self._waiting)]):
            for place, face in enumerate(faces):
                found |= packed(f"face.{row}.{place}", face)
        return found

    def restore(self, state: State) -> int:
        """Go on where `state` was taken; returns for how many frames `show` must bring the picture."""
        self._cuts.restore(under(state, "cuts."))
        self._since = int(state["since"][0])
        self._missed = [int(missed) for missed in state["missed"].tolist()]
        self._faces = [unpacked(state, f"face.0.{place}", -1) for place in range(len(self._missed))]
        self._waiting = []
        for row, (cut, detected, count) in enumerate(state["waiting"].tolist(), 1):
            faces = tuple(unpacked(state, f"face.{row}.{place}", -1) for place in range(int(count)))
            self._waiting.append(Sight(None, faces, bool(cut), bool(detected)))
        return len(self._waiting)
