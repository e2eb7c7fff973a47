"""Motion seen in pictures: of one photo, or of the same face through a series of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FaceNotFoundError, InputError
from ..face import MESH_LEFT_EYE, MESH_RIGHT_EYE, Face, Faces, FloatArray, as_float_array
from ..geometry.pose import VERTICAL_FIELD_OF_VIEW, rotation_from_landmarks
from .channels import ARKIT_NAMES, VALUE_NAMES
from .gaps import fill_gaps
from .motion import Motion, motion_from_values

_SHAPES = len(ARKIT_NAMES)
#: Below this overlap with where the face was one frame ago, the picture has changed: a cut, or another person.
_SAME_PLACE = 0.15


@dataclass(frozen=True)
class Captured:
    """A motion with what happened while it was taken.

    missing: frames without the face, filled from their neighbours. cuts: frames at which a new scene begins.
    """

    motion: Motion
    missing: tuple[int, ...]
    cuts: tuple[int, ...]

    @property
    def text(self) -> str:
        """One line per fact, with numbers."""
        count = len(self.motion)
        lines = [f"{count} frame(s) at {self.motion.fps:g} per second, {self.motion.duration_s:.2f} s"]
        if self.missing:
            lines.append(f"{len(self.missing)} frame(s) without the face were filled: {_runs(self.missing)}")
        if self.cuts:
            lines.append(f"{len(self.cuts)} scene cut(s), at frame {', '.join(map(str, self.cuts[:12]))}")
        return "\n".join(lines)


def measured_values(face: Face, size_hw: tuple[int, int], blendshape_names: Sequence[str]) -> FloatArray:
    """(58,) of a face as it is, in the order of `VALUE_NAMES`.

    size_hw: of its picture. blendshape_names: what `Face.blendshapes` has, in its order; names ARKit lacks are dropped,
    channels the network lacks are 0. Rotation as in `rotation_from_landmarks`; the place is that of the middle between
    the eyes seen by a camera with 63 degrees of vertical view, in eye distances from the picture's middle and from the
    camera (negative). Raises InputError for a face without landmarks or blendshapes.
    """
    if face.landmarks is None or face.blendshapes is None:
        raise InputError(
            "A face has no dense landmarks with expression: use Detect Faces with the embedded analysis, or ComfyUI's "
            "MediaPipe Face Landmarker; five-point detectors do not see expressions."
        )
    measured = dict(zip(blendshape_names, face.blendshapes.tolist(), strict=True))
    row = np.zeros(len(VALUE_NAMES), np.float32)
    row[:_SHAPES] = [measured.get(name, 0.0) for name in ARKIT_NAMES]
    row[_SHAPES : _SHAPES + 3] = rotation_from_landmarks(face.landmarks, size_hw)
    row[_SHAPES + 3 :] = _place(face.landmarks, size_hw)
    return row


def _place(landmarks: FloatArray, size_hw: tuple[int, int]) -> tuple[float, float, float]:
    points = landmarks.astype(np.float64)
    left, right = points[list(MESH_LEFT_EYE)].mean(0), points[list(MESH_RIGHT_EYE)].mean(0)
    unit = max(float(np.linalg.norm(right - left)), 1e-6)
    height, width = size_hw
    x, y, _ = (left + right) / 2
    focal_px = height / (2 * np.tan(VERTICAL_FIELD_OF_VIEW / 2))
    return (x - (width - 1) / 2) / unit, ((height - 1) / 2 - y) / unit, -focal_px / unit


def capture(
    faces: Faces, fps: float, blendshape_names: Sequence[str], number: int = 0, first_frame: int = 0
) -> Captured:
    """The motion of one face through a series of pictures, as measured, its place against where it is mostly.

    number: which face to follow, in the order of its first frame; from then on it is the face with the same track, or
    the one that overlaps most with where it was. A frame in which nothing overlaps begins a new scene, in which the
    face at the same place of the order is followed. first_frame: where to begin. Gaps are filled (see `fill_gaps`).
    Raises FaceNotFoundError when the face is in no picture.
    """
    frames = faces.frames[first_frame:]
    followed, cuts = follow(frames, number)
    if not any(followed):
        faces.require_any("Motion From Faces")
        most = max(len(frame) for frame in faces.frames)
        raise FaceNotFoundError(
            f"Face {number} is in none of the {len(frames)} pictures, which have at most {most} face(s). "
            "Numbers begin with 0; see the preview of Detect Faces."
        )
    size = (faces.height, faces.width)
    values = np.zeros((len(frames), len(VALUE_NAMES)), np.float32)
    known = np.array([face is not None for face in followed])
    for index, face in enumerate(followed):
        if face is not None:
            values[index] = measured_values(face, size, blendshape_names)
    values = fill_gaps(values, known, cuts)
    values[:, _SHAPES + 3 :] -= np.median(values[known, _SHAPES + 3 :], 0)
    missing = tuple(int(index) for index in np.flatnonzero(~known))
    return Captured(motion_from_values(fps, values), missing, cuts)


def capture_photo(faces: Faces, blendshape_names: Sequence[str], number: int = 0, what: str = "The photo") -> Motion:
    """What faces of photos do, one frame per picture that has the face; their place in the picture is left out.

    Raises FaceNotFoundError when no picture has that many faces.
    """
    faces.require_any(what)
    found = [frame[number] for frame in faces.frames if number < len(frame)]
    if not found:
        most = max(len(frame) for frame in faces.frames)
        raise FaceNotFoundError(f"{what} has no face {number}: at most {most} face(s) are there, counted from 0.")
    size = (faces.height, faces.width)
    values = np.stack([measured_values(face, size, blendshape_names) for face in found])
    values[:, _SHAPES + 3 :] = 0
    return motion_from_values(25.0, values)


def follow(frames: Sequence[Sequence[Face]], number: int) -> tuple[list[Face | None], tuple[int, ...]]:
    """The same face in every frame, None where it is not seen, and the frames at which a new scene begins."""
    followed: list[Face | None] = []
    cuts: list[int] = []
    last: Face | None = None
    for index, frame in enumerate(frames):
        if last is None:
            face = frame[number] if number < len(frame) else None
        else:
            face = _same_face(frame, last)
            if face is None and number < len(frame) and not _is_tracked(last):
                face = frame[number]
                cuts.append(index)
        followed.append(face)
        last = face or last
    return followed, tuple(cuts)


def _is_tracked(face: Face) -> bool:
    return face.track >= 0


def _same_face(frame: Sequence[Face], last: Face) -> Face | None:
    if _is_tracked(last):
        return next((face for face in frame if face.track == last.track), None)
    best = max(frame, key=lambda face: overlap(face, last), default=None)
    return best if best is not None and overlap(best, last) >= _SAME_PLACE else None


def overlap(first: Face, second: Face) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    low = np.maximum(first.bbox_xyxy[:2], second.bbox_xyxy[:2])
    high = np.minimum(first.bbox_xyxy[2:], second.bbox_xyxy[2:])
    common = float(np.prod(np.maximum(as_float_array(high - low), 0)))
    return common / max(first.area_px + second.area_px - common, 1e-9)


def _runs(frames: Sequence[int]) -> str:
    """Frame numbers as ranges, at most eight of them."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    shown = [str(low) if low == high else f"{low}-{high}" for low, high in runs[:8]]
    return ", ".join(shown) + (f" and {len(runs) - 8} more" if len(runs) > 8 else "")
