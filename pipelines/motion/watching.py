"""Motion seen in a video: one tracked face, frame by frame, of which only numbers are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import FaceNotFoundError, InputError
from ..face import Face, Faces, FloatArray, TrackedFrame
from .capture import Captured, measured_values
from .channels import ARKIT_NAMES, VALUE_NAMES
from .gaps import fill_gaps
from .motion import MAX_FRAMES, Motion, checked_fps, motion_from_values
from .takes import Against, finish_take, require_rest
from .timing import interpolated

_PLACE = len(ARKIT_NAMES) + 3

#: Among several people a face may be out of sight for so long before another one is followed, in seconds.
_LOST_S = 1.0


class FaceWatch:
    """Keeps the measured values (58,) of one face, not its pictures.

    names: of `Face.blendshapes`. number: which of the people asked for is followed, largest first, in the frame where
    as many are seen for the first time. After a cut, or when that face has been out of sight for a second (at once,
    where there never was anybody else), the same rule chooses again.
    """

    def __init__(self, names: Sequence[str], number: int = 0) -> None:
        self._names, self._number = names, number
        self._track: int | None = None
        self._cut = False
        self._rows: list[FloatArray | None] = []
        self._times: list[float] = []
        self._cuts: list[int] = []
        self._most = 0
        self._seen_s = 0.0

    def see(self, frame: TrackedFrame) -> None:
        """The next frame of the video. Raises InputError for more frames than a motion can have."""
        if len(self._rows) >= MAX_FRAMES:
            raise InputError(f"The video has more than {MAX_FRAMES} frames, the most of a motion: trim it.")
        if frame.cut and self._rows:
            self._cuts.append(len(self._rows))
        self._cut |= frame.cut
        face = self._followed([face for face, _ in frame.people], frame.time_s)
        size_hw = (frame.picture.shape[0], frame.picture.shape[1])
        self._rows.append(None if face is None else measured_values(face, size_hw, self._names))
        self._times.append(frame.time_s)

    def _followed(self, people: Sequence[Face], time_s: float) -> Face | None:
        self._most = max(self._most, len(people))
        for face in people:
            if face.track == self._track:
                self._cut, self._seen_s = False, time_s
                return face
        waits = self._most > 1 and time_s - self._seen_s < _LOST_S
        if self._track is not None and not self._cut and waits:
            return None
        ordered = sorted(people, key=lambda face: -face.area_px)
        if self._number >= len(ordered):
            return None
        self._track, self._cut, self._seen_s = ordered[self._number].track, False, time_s
        return ordered[self._number]

    def captured(self, fps: float) -> Captured:
        """All that was seen, on an even grid of `fps`; gaps are filled, not across cuts (see `fill_gaps`).

        The place is that against where the face is mostly. Raises FaceNotFoundError when it was in no frame.
        """
        known = np.array([row is not None for row in self._rows])
        if not known.any():
            raise FaceNotFoundError(
                f"Face {self._number} is in none of the {len(known)} frames of the video, which have at most "
                f"{self._most} face(s) of whom was asked for. Numbers begin with 0; lower the threshold, or check the "
                "person with Compare Identities."
            )
        nothing = np.zeros(len(VALUE_NAMES), np.float32)
        values = np.stack([nothing if row is None else row for row in self._rows])
        values = fill_gaps(values, known, self._cuts)
        values[:, _PLACE:] -= np.median(values[known, _PLACE:], 0)
        return self._evenly(checked_fps(fps), values, known)

    def _evenly(self, fps: float, values: FloatArray, known: np.ndarray) -> Captured:
        missing = np.flatnonzero(~known)
        at = (np.array(self._times) - self._times[0]) * fps
        if np.abs(at - np.arange(len(at))).max() >= 0.5:  # a variable rate
            count = min(round(float(at[-1])) + 1, MAX_FRAMES)
            frames = np.interp(np.arange(count), at, np.arange(len(at)))
            values = interpolated(values, frames)
            missing = np.flatnonzero(~known[np.round(frames).astype(int)])
            cuts = tuple(int(np.ceil(at[cut] - 1e-6)) for cut in self._cuts)
        else:
            cuts = tuple(self._cuts)
        inside = tuple(cut for cut in cuts if 0 < cut < len(values))
        return Captured(motion_from_values(fps, values), tuple(int(index) for index in missing), inside)


def take_video(
    frames: Iterable[TrackedFrame],
    fps: float,
    blendshape_names: Sequence[str],
    against: Against = "calm",
    smooth_s: float = 0.04,
    number: int = 0,
    neutral: Faces | None = None,
) -> tuple[Motion, str]:
    """The motion of one face through a video, and what happened in words; nothing of the pictures is kept.

    frames: as they come, tracked. fps: of the motion, usually the video's. number: see `FaceWatch`. The other
    arguments are as in `take_motion`. Raises the same and FaceNotFoundError when the face is never seen.
    """
    require_rest(against, neutral)
    watch = FaceWatch(blendshape_names, number)
    for frame in frames:
        watch.see(frame)
    return finish_take(watch.captured(fps), blendshape_names, against, smooth_s, neutral)
