"""The same person through all frames: stable track numbers, gaps filled, landmarks that do not tremble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces
from .association import Appearance, State, Tracker, under
from .frames import CutFinder
from .steady import Moment, Smoothing, SteadyWindow


class FaceStream:
    """Frames with found faces go in one by one, the same faces come out tracked and steady, `delay` frames later.

    appearance: the recogniser that tells people apart. smoothing: "zero_lag" needs six frames ahead, "one_euro" and
    "none" give every frame at once and fill no gaps.
    """

    def __init__(self, appearance: Appearance, smoothing: Smoothing = "zero_lag") -> None:
        self.tracker = Tracker(appearance)
        self.cuts: list[int] = []
        self._window = SteadyWindow(smoothing)
        self.delay = self._window.delay
        self._cut_finder = CutFinder()
        self._count = 0

    def push(
        self,
        picture: Tensor,
        faces: tuple[Face, ...],
        cut: bool | None = None,
        views: Mapping[int, tuple[Tensor, Face]] | None = None,
    ) -> list[tuple[Face, ...]]:
        """The next frame (H, W, 3) in [0, 1], what was found in it, and whether a shot begins with it.

        cut: None looks for itself. views: see `Tracker.update`. Returns no frame or one: its tracked faces.
        """
        cut = self._cut_finder.begins(picture) if cut is None else cut
        if cut:
            self.cuts = [*self.cuts[-999:], self._count]
        numbers = self.tracker.update(picture, faces, cut, views)
        tracked = {number: replace(face, track=number) for number, face in zip(numbers, faces, strict=True)}
        patches = {number: self.tracker.tracks[number].patch for number in numbers}
        moment = Moment(self._count, cut, tracked, patches, picture)
        self._count += 1
        return self._window.push(moment)

    def show(self, index: int, picture: Tensor) -> None:
        """After `restore`: the picture of a frame that went in before and has not come out yet."""
        self._window.show(index, picture)

    def finish(self) -> list[tuple[Face, ...]]:
        """The tracked faces of the frames that are still inside, in order."""
        return self._window.finish()

    def state(self) -> State:
        """All it has to remember, without pictures, as arrays."""
        found: State = {f"tracker.{name}": value for name, value in self.tracker.state().items()}
        found |= {f"window.{name}": value for name, value in self._window.state().items()}
        found |= {f"cuts.{name}": value for name, value in self._cut_finder.state().items()}
        return found | {"count": np.array([self._count], np.int64)}

    def restore(self, state: State) -> None:
        """Go on where `state` was taken."""
        self.tracker.restore(under(state, "tracker."))
        self._window.restore(under(state, "window."))
        self._count = int(state["count"][0])
        self._cut_finder.restore(under(state, "cuts."))


def track_faces(images: Tensor, faces: Faces, appearance: Appearance, smoothing: Smoothing = "zero_lag") -> Faces:
    """The faces of consecutive frames with track numbers, gaps filled and steady landmarks.

    images: (B, H, W, 3) float in [0, 1], the frames in order. faces: what was found in them. appearance: the
    recogniser. smoothing: see `FaceStream`. Returns faces of the same pictures: `track` is the same number for the same
    person, from 0 in order of appearance; single sightings that nothing before or after confirms are left out.
    Raises InputError when frames and faces do not belong together.
    """
    faces.require_frames(len(images), "The clip")
    if tuple(images.shape[1:3]) != (faces.height, faces.width):
        raise InputError(
            f"The frames have {images.shape[2]} × {images.shape[1]} px but the faces were found in some of "
            f"{faces.width} × {faces.height} px: connect the frames that Detect Faces saw."
        )
    stream = FaceStream(appearance, smoothing)
    done: list[tuple[Face, ...]] = []
    for image, found in zip(images[..., :3], faces.frames, strict=True):
        done += stream.push(image, found)
    return faces.with_frames(tuple([*done, *stream.finish()]))


def describe_tracks(faces: Faces, cuts: tuple[int, ...] = ()) -> str:
    """Per track in which frames it is and how large; the cuts."""
    seen: dict[int, list[tuple[int, float]]] = {}
    for index, face in faces:
        seen.setdefault(face.track, []).append((index, face.width_px))
    lines = [f"{len(seen)} person(s) in {len(faces.frames)} frame(s), {len(faces)} face(s)."]
    for track, places in sorted(seen.items()):
        frames, widths = zip(*places, strict=True)
        lines.append(
            f"track {track}: frames {frames[0]} to {frames[-1]}, in {len(frames)} of them, "
            f"{min(widths):.0f} to {max(widths):.0f} px wide"
        )
    if cuts:
        lines.append(f"cuts before frame(s) {', '.join(str(cut) for cut in cuts)}")
    return "\n".join(lines)
