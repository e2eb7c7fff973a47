"""A window over the tracked faces of the last frames: gaps filled, single sightings dropped, numbers smoothed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from ..face import Face, FloatArray, as_float_array
from .association import State
from .frames import alike, face_patch, shared_area
from .smoothing import LOOK_FRAMES, OneEuro, smooth_at

#: zero_lag looks six frames ahead and back, one_euro only back, none keeps the numbers of the detector.
Smoothing = Literal["zero_lag", "one_euro", "none"]
SMOOTHINGS: tuple[Smoothing, ...] = get_args(Smoothing)

#: A face that is missing for at most so many frames is put where it must have been.
LONGEST_GAP = 6
#: ... if the picture there looks like the face, and no other face lies over it.
_GAP_LOOK, _GAP_SHARED = 0.5, 0.3
#: In how many frames of the window a face must be found (or in all, where the shot is shorter).
_LEAST_SIGHTINGS = 3
#: How much landmarks of a still face tremble, in face sizes.
_NOISE = 0.004


@dataclass(frozen=True, eq=False)
class Moment:
    """The faces of one frame by track, and how they look.

    index: of the frame. cut: whether a shot begins with it. patches: of `face_patch`, by track. picture: (H, W, 3), or
    None once it is not needed any more.
    """

    index: int
    cut: bool
    faces: dict[int, Face]
    patches: dict[int, FloatArray]
    picture: Tensor | None


class SteadyWindow:
    """Takes frames with tracked faces and gives them back, `delay` frames later, with steady faces."""

    def __init__(self, smoothing: Smoothing) -> None:
        self._smoothing: Smoothing = smoothing
        self.delay = LOOK_FRAMES if smoothing == "zero_lag" else 0
        self._moments: deque[Moment] = deque()
        self._given = 0
        self._filters: dict[int, OneEuro] = {}

    def push(self, moment: Moment) -> list[tuple[Face, ...]]:
        """Add the next frame; returns the faces of the frame that is finished by it, if any."""
        self._moments.append(moment)
        while self._moments[0].index < self._given - LOOK_FRAMES:
            self._moments.popleft()
        return [self._give()] if moment.index - self._given >= self.delay else []

    def finish(self) -> list[tuple[Face, ...]]:
        """The faces of the frames that are still inside, in order."""
        inside = self._moments[-1].index + 1 - self._given if self._moments else 0
        return [self._give() for _ in range(inside)]

    def _give(self) -> tuple[Face, ...]:
        index, self._given = self._given, self._given + 1
        shot = self._shot(index)
        place = next(k for k, moment in enumerate(self._moments) if moment.index == index)
        here = self._moments[place]
        self._moments[place] = replace(here, picture=None)
        if self._smoothing != "zero_lag":
            return self._causal(here)
        steady: list[Face] = []
        for track in dict.fromkeys(track for moment in shot for track in moment.faces):
            sightings = [(moment.index - index, moment.faces[track]) for moment in shot if track in moment.faces]
            if len(sightings) < min(_LEAST_SIGHTINGS, len(shot)):
                continue
            if track in here.faces:
                steady.append(_smoothed(here.faces[track], sightings))
            else:
                filled = _filled(sightings)
                if filled is not None and self._plausible(filled, here, shot):
                    steady.append(filled)
        return tuple(steady)

    def _shot(self, index: int) -> list[Moment]:
        """The frames of the window that belong to the shot of a frame."""
        shot = [moment for moment in self._moments if abs(moment.index - index) <= LOOK_FRAMES]
        begins = max((moment.index for moment in shot if moment.cut and moment.index <= index), default=-1)
        ends = min((moment.index for moment in shot if moment.cut and moment.index > index), default=index + 10**6)
        return [moment for moment in shot if begins <= moment.index < ends]

    def _causal(self, here: Moment) -> tuple[Face, ...]:
        if self._smoothing == "none":
            return tuple(here.faces.values())
        kept = {} if here.cut else self._filters
        self._filters = {track: kept.get(track, OneEuro()) for track in here.faces}
        return tuple(
            unpack(self._filters[track].step(pack(face), noise_of(face)), face) for track, face in here.faces.items()
        )

    def _plausible(self, face: Face, here: Moment, shot: list[Moment]) -> bool:
        """Whether a face can be where it was not found: nothing lies over it and the picture looks like it."""
        if any(shared_area(face, other) > _GAP_SHARED for other in here.faces.values()):
            return False
        assert here.picture is not None
        seen = [moment for moment in shot if face.track in moment.faces]
        nearest = min(seen, key=lambda moment: abs(moment.index - here.index))
        return alike(nearest.patches[face.track], face_patch(here.picture, face)) > _GAP_LOOK

    def show(self, index: int, picture: Tensor) -> None:
        """Give a frame its picture again, after `restore`."""
        for place, moment in enumerate(self._moments):
            if moment.index == index:
                self._moments[place] = replace(moment, picture=picture)

    def state(self) -> State:
        """Everything but the pictures, as arrays."""
        found: State = {"given": np.array([self._given], np.int64)}
        found["moments"] = np.array([[m.index, m.cut] for m in self._moments], np.int64).reshape(-1, 2)
        for moment in self._moments:
            for track, face in moment.faces.items():
                name = f"face.{moment.index}.{track}"
                found |= packed(name, face)
                found[f"{name}.patch"] = moment.patches[track]
        for track, filtered in self._filters.items():
            found[f"filter.{track}"] = np.stack([filtered.value, filtered.speed])
        return found

    def restore(self, state: State) -> None:
        """Go on where `state` was taken; `show` must bring the pictures of the frames not yet given."""
        self._given = int(state["given"][0])
        moments = {int(index): Moment(int(index), bool(cut), {}, {}, None) for index, cut in state["moments"].tolist()}
        self._filters = {}
        for name, values in state.items():
            kind, *numbers = name.split(".")
            if kind == "face" and len(numbers) == 2:
                moment, track = moments[int(numbers[0])], int(numbers[1])
                moment.faces[track] = unpacked(state, name, track)
                moment.patches[track] = as_float_array(state[f"{name}.patch"])
            elif kind == "filter":
                filtered = self._filters.setdefault(int(numbers[0]), OneEuro())
                filtered.value, filtered.speed = as_float_array(values)
        self._moments = deque(moments[index] for index in sorted(moments))


def _smoothed(face: Face, sightings: list[tuple[int, Face]]) -> Face:
    same = [(offset, other) for offset, other in sightings if _layout(other) == _layout(face)]
    offsets = np.array([offset for offset, _ in same], np.int64)
    return unpack(smooth_at(offsets, np.stack([pack(other) for _, other in same]), noise_of(face)), face)


def _filled(sightings: list[tuple[int, Face]]) -> Face | None:
    """The face between its last sighting and its next one, by straight interpolation; None where that is too far."""
    before = max((s for s in sightings if s[0] < 0), key=lambda s: s[0], default=None)
    after = min((s for s in sightings if s[0] > 0), key=lambda s: s[0], default=None)
    if before is None or after is None or after[0] - before[0] - 1 > LONGEST_GAP:
        return None
    if _layout(before[1]) != _layout(after[1]):
        return None
    share = -before[0] / (after[0] - before[0])
    values = (1 - share) * pack(before[1]) + share * pack(after[1])
    face = replace(before[1], score=min(before[1].score, after[1].score))
    return unpack(as_float_array(values), face)


def pack(face: Face) -> FloatArray:
    """All that moves of a face, as one vector (K,): box, five points, dense landmarks, blendshapes."""
    parts = [face.bbox_xyxy, face.landmarks5.reshape(-1)]
    parts += [part.reshape(-1) for part in (face.landmarks, face.blendshapes) if part is not None]
    return as_float_array(np.concatenate(parts))


def unpack(values: FloatArray, like: Face) -> Face:
    """The face that `pack` made a vector of; what does not move comes from `like`."""
    points, shapes = _layout(like)
    landmarks = values[14 : 14 + 3 * points].reshape(-1, 3) if points else None
    blendshapes = np.clip(values[len(values) - shapes :], 0, 1) if shapes else None
    five = values[4:14].reshape(5, 2)
    return replace(like, bbox_xyxy=values[:4], landmarks5=five, landmarks=landmarks, blendshapes=blendshapes)


def packed(name: str, face: Face) -> State:
    """A face as arrays for a processor's memory, under a name; `unpacked` makes it a face again."""
    return {name: pack(face), f"{name}.layout": np.array([*_layout(face), face.score], np.float64)}


def unpacked(state: State, name: str, track: int) -> Face:
    """The face that `packed` put into a processor's memory under a name."""
    points, shapes, score = (float(value) for value in state[f"{name}.layout"].tolist())
    return unpack(as_float_array(state[name]), _blank(int(points), int(shapes), score, track))


def noise_of(face: Face) -> FloatArray:
    """(K,) what each number of `pack` trembles by; 0 for the blendshapes, which must stay quick."""
    points, shapes = _layout(face)
    still = np.full(14 + 3 * points, _NOISE * max(face.width_px, face.height_px), np.float32)
    return np.concatenate([still, np.zeros(shapes, np.float32)])


def _layout(face: Face) -> tuple[int, int]:
    """How many dense landmarks and blendshapes a face has."""
    points = 0 if face.landmarks is None else len(face.landmarks)
    return points, 0 if face.blendshapes is None else len(face.blendshapes)


def _blank(points: int, shapes: int, score: float, track: int) -> Face:
    mesh = np.zeros((points, 3), np.float32) if points else None
    activations = np.zeros(shapes, np.float32) if shapes else None
    return Face(np.zeros(4, np.float32), score, np.zeros((5, 2), np.float32), mesh, activations, track)
