"""Who is who from frame to frame: motion while it is clear, appearance where it is not, one optimal assignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import MissingPackageError
from ..face import Face, FloatArray, as_float_array
from .frames import alike, face_patch, shared_area, visible_part

State = dict[str, NDArray[np.generic]]

#: Distances are in face sizes. A track reaches this far, and so much further for every frame it was missed.
_REACH, _REACH_PER_FRAME, _MOST_REACH = 0.7, 0.15, 2.0
#: A face this near to one track, as large and looking as before, needs no recogniser.
_SURE_REACH, _SURE_SCALE, _SURE_LOOK = 0.4, 0.3, 0.7
_LARGEST_SCALE = 0.6
#: After so many frames without a face a track is found again by appearance only.
_MOTION_FRAMES = 15
#: A face is recognised at its first sightings and then every so many frames.
FIRST_LOOKS, LOOK_EVERY = 3, 12
#: Least probability of being the same person: where the place agrees, and where it does not.
_NEAR_PROBABILITY, _FAR_PROBABILITY = 0.05, 0.5
#: A near face that looks as in the frame before is at least this likely the same, whatever the recogniser says.
_LOOK_ALIKE, _LOOK_PROBABILITY = 0.85, 0.3
#: Cost (-log of probability and motion terms) of beginning a new track, and of a face found far from where it was.
_NEW_TRACK_COST, _FAR_COST = 4.0, 1.5
#: What the recogniser says of a face that others cover by this much, or of which less than this lies in the picture, is
#: not remembered.
_HIDDEN, _WHOLE = 0.3, 0.8
#: The mean vector of a track follows its last so many looks; the tracks that are remembered.
_MEMORY, _MOST_TRACKS = 20, 256


def under(state: State, prefix: str) -> State:
    """The part of a memory whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


class Appearance(Protocol):
    """What tells people apart: a recogniser's vectors and the calibrated meaning of their distances."""

    def embed(self, images: Tensor, faces: Sequence[tuple[int, Face]]) -> FloatArray: ...

    def distance(self, a: FloatArray, b: FloatArray) -> float: ...

    def probability(self, distance: float) -> float: ...


@dataclass(eq=False)
class Track:
    """One person's way through the frames.

    center (2,) px, velocity (2,) px per frame, size px: at the frame `last`. shot: number of the shot it was last in.
    looks: how many vectors `vector` is the mean of (of the last 20). looked: the frame of the last one. patch: how
    the face looked. seen: in how many frames.
    """

    number: int
    center: FloatArray
    size: float
    last: int
    shot: int
    patch: FloatArray
    velocity: FloatArray
    vector: FloatArray
    looks: int = 0
    looked: int = -LOOK_EVERY
    seen: int = 1


class Tracker:
    """Gives the faces of one frame after the other their track numbers, from 0, in order of appearance."""

    def __init__(self, appearance: Appearance) -> None:
        self.tracks: dict[int, Track] = {}
        self._appearance = appearance
        self._frame = -1
        self._shot = 0
        self._next = 0

    def update(
        self, picture: Tensor, faces: Sequence[Face], cut: bool, views: Mapping[int, tuple[Tensor, Face]] | None = None
    ) -> tuple[int, ...]:
        """The track of every face.

        picture: (H, W, 3) the next frame. cut: whether a new shot begins with it. views: place in `faces` -> where the
        recogniser sees that face better: another picture and the face there.
        """
        self._frame += 1
        self._shot += int(cut)
        patches = [face_patch(picture, face) for face in faces]
        tracks = list(self.tracks.values())
        near = np.array([[self._distance(t, f) for f in faces] for t in tracks]).reshape(len(tracks), len(faces))
        found = self._sure(tracks, faces, patches, near)
        open_faces = [k for k in range(len(faces)) if k not in found]
        vectors: dict[int, FloatArray] = {}
        if open_faces:
            vectors = self._vectors({k: (views or {}).get(k, (picture, faces[k])) for k in open_faces})
            free = [row for row, track in enumerate(tracks) if track.number not in found.values()]
            found |= self._assigned([tracks[row] for row in free], near[free], patches, vectors)
        for k, face in enumerate(faces):
            hidden = any(shared_area(face, other) > _HIDDEN for other in faces if other is not face)
            hidden |= k not in (views or {}) and visible_part(face, picture) < _WHOLE
            found[k] = self._note(found.get(k), face, patches[k], vectors.get(k), hidden)
        self._forget()
        return tuple(found[k] for k in range(len(faces)))

    def _vectors(self, seen: Mapping[int, tuple[Tensor, Face]]) -> dict[int, FloatArray]:
        """Looks at faces, given with the picture (H, W, 3) each is in; those of one picture at once."""
        found: dict[int, FloatArray] = {}
        for picture in {id(picture): picture for picture, _ in seen.values()}.values():
            here = [k for k, (other, _) in seen.items() if other is picture]
            rows = self._appearance.embed(picture[None], [(0, seen[k][1]) for k in here])
            found |= dict(zip(here, rows, strict=True))
        return {k: found[k] for k in seen}

    def _distance(self, track: Track, face: Face) -> float:
        """How far a face is from where the track must be, in face sizes; infinite where motion says nothing."""
        gap = self._frame - track.last
        scale = abs(np.log(max(_size(face), 1e-3) / track.size))
        if track.shot != self._shot or gap > _MOTION_FRAMES or scale > _LARGEST_SCALE:
            return np.inf
        away = float(np.linalg.norm(face.center - track.center - track.velocity * min(gap, 5))) / track.size
        return away if away <= min(_REACH + _REACH_PER_FRAME * (gap - 1), _MOST_REACH) else np.inf

    def _sure(
        self, tracks: list[Track], faces: Sequence[Face], patches: list[FloatArray], near: NDArray[np.float64]
    ) -> dict[int, int]:
        """Face -> track number where place, size and look leave no doubt and no new look is due."""
        found: dict[int, int] = {}
        for k, face in enumerate(faces):
            rows = np.flatnonzero(np.isfinite(near[:, k]))
            if len(rows) != 1 or np.isfinite(near[rows[0]]).sum() != 1:
                continue
            track = tracks[rows[0]]
            due = track.looks < FIRST_LOOKS or self._frame - track.looked >= LOOK_EVERY
            same_size = abs(np.log(_size(face) / track.size)) < _SURE_SCALE
            steady = track.last == self._frame - 1 and near[rows[0], k] < _SURE_REACH and same_size
            if steady and not due and alike(track.patch, patches[k]) > _SURE_LOOK:
                found[k] = track.number
        return found

    def _assigned(
        self, tracks: list[Track], near: NDArray[np.float64], patches: list[FloatArray], vectors: dict[int, FloatArray]
    ) -> dict[int, int]:
        """Face -> track number that costs least in all; a face whose every track costs more than a new one is left out.

        Concretely the Hungarian method (Kuhn 1955) on -log(probability) + (distance / 0.5)² / 2, with one extra column
        per face for "nobody yet".
        """
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError as error:
            raise MissingPackageError("Tracking faces needs the package scipy: `pip install scipy`.") from error
        open_faces = list(vectors)
        cost = np.full((len(open_faces), len(tracks) + len(open_faces)), _NEW_TRACK_COST)
        for row, k in enumerate(open_faces):
            for column, track in enumerate(tracks):
                cost[row, column] = self._cost(track, near[column, k], patches[k], vectors[k])
        rows, columns = linear_sum_assignment(cost)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        chosen = [(r, c) for r, c in pairs if c < len(tracks) and cost[r, c] < _NEW_TRACK_COST]
        return {open_faces[row]: tracks[column].number for row, column in chosen}

    def _cost(self, track: Track, away: float, patch: FloatArray, vector: FloatArray) -> float:
        probability = self._appearance.probability(self._appearance.distance(track.vector, vector))
        motion = _FAR_COST if probability >= _FAR_PROBABILITY else np.inf  # whoever is sure to be it may be anywhere
        if np.isfinite(away):
            if track.last == self._frame - 1 and alike(track.patch, patch) > _LOOK_ALIKE:
                probability = max(probability, _LOOK_PROBABILITY)
            if probability >= _NEAR_PROBABILITY:
                motion = min(motion, 0.5 * (away / 0.5) ** 2)
        return float(motion - np.log(max(probability, 1e-9))) if np.isfinite(motion) else 1e6

    def _note(self, number: int | None, face: Face, patch: FloatArray, vector: FloatArray | None, hidden: bool) -> int:
        """Write down where a face is, as a new track when it has no number; returns its number."""
        if number is None:
            # only what the recogniser has just looked at can begin a track
            first = np.zeros(0, np.float32) if vector is None else vector
            number, self._next = self._next, self._next + 1
            still = np.zeros(2, np.float32)
            track = Track(number, face.center, _size(face), self._frame, self._shot, patch, still, first)
            self.tracks[number] = track
        else:
            track = self.tracks[number]
            gap = self._frame - track.last
            moved = (face.center - track.center) / gap
            same_shot = track.shot == self._shot and gap <= _MOTION_FRAMES
            track.velocity = as_float_array(0.5 * track.velocity + 0.5 * moved if same_shot else 0 * moved)
            track.center, track.size, track.patch = face.center, _size(face), patch
            track.last, track.shot, track.seen = self._frame, self._shot, track.seen + 1
        if vector is not None and (track.looks == 0 or not hidden):
            share = 1 / (min(track.looks, _MEMORY - 1) + 1)
            track.vector = as_float_array(track.vector + (vector - track.vector) * share)
            track.looks, track.looked = track.looks + 1, self._frame
        return number

    def _forget(self) -> None:
        """Keep the memory bounded: of too many tracks the shortest, then the oldest, are forgotten."""
        if len(self.tracks) > _MOST_TRACKS:
            lost = [track for track in self.tracks.values() if track.last < self._frame]
            for track in sorted(lost, key=lambda track: (track.seen > FIRST_LOOKS, track.last))[: _MOST_TRACKS // 4]:
                del self.tracks[track.number]

    def state(self) -> State:
        """Everything the tracker has to remember, as arrays."""
        tracks = list(self.tracks.values())
        found: State = {"counters": np.array([self._frame, self._shot, self._next], np.int64)}
        if tracks:
            found["whole"] = np.array([[t.number, t.last, t.shot, t.looks, t.looked, t.seen] for t in tracks], np.int64)
            found["size"] = np.array([track.size for track in tracks], np.float64)
            for name in ("center", "velocity", "patch", "vector"):
                found[name] = np.stack([getattr(track, name) for track in tracks])
        return found

    def restore(self, state: State) -> None:
        """Go on where `state` was taken."""
        self._frame, self._shot, self._next = (int(value) for value in state["counters"].tolist())
        self.tracks = {}
        for row in range(len(state["whole"]) if "whole" in state else 0):
            number, last, shot, looks, looked, seen = (int(value) for value in state["whole"][row].tolist())
            center, velocity, patch, vector = (
                as_float_array(state[name][row]) for name in ("center", "velocity", "patch", "vector")
            )
            size = float(state["size"][row])
            self.tracks[number] = Track(number, center, size, last, shot, patch, velocity, vector, looks, looked, seen)


def _size(face: Face) -> float:
    return float(np.sqrt(max(face.area_px, 1e-6)))
