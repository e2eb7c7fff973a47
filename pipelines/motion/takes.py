"""A finished take: a face followed through pictures, against its rest, without trembling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from ..errors import InputError
from ..face import Faces, FloatArray
from .capture import Captured, capture, capture_photo
from .channels import GROUPS, VALUE_NAMES
from .motion import Motion
from .retargeting import calm_row, changed_from, middle_row
from .smoothing import smooth

Against = Literal["calm", "first frame", "neutral", "nothing"]
AGAINST: tuple[str, ...] = get_args(Against)

#: Lids are too fast to be averaged.
_SMOOTHED = tuple(name for name in VALUE_NAMES if name not in GROUPS["blink"])


def take_motion(
    faces: Faces,
    fps: float,
    blendshape_names: Sequence[str],
    against: Against = "calm",
    smooth_s: float = 0.04,
    number: int = 0,
    neutral: Faces | None = None,
) -> tuple[Motion, str]:
    """The motion of one face through a series of pictures, and what happened in words.

    against: what counts as no motion: the calmest tenth of the frames, the first frame with the face, the faces in
    `neutral` (median), or nothing, which leaves blendshapes and head turn as measured. smooth_s: see `smooth`; scenes
    are smoothed apart and blinks kept. number, blendshape_names: as in `capture`. Raises InputError when `neutral` is
    needed and missing, or for another word; FaceNotFoundError when the face is never seen.
    """
    require_rest(against, neutral)
    return finish_take(capture(faces, fps, blendshape_names, number), blendshape_names, against, smooth_s, neutral)


def require_rest(against: str, neutral: Faces | None) -> None:
    """Raise InputError for what is no rest, or one that is not there."""
    if against not in AGAINST:
        raise InputError(f"against is {against!r}, it must be one of {', '.join(AGAINST)}.")
    if against == "neutral" and neutral is None:
        raise InputError("against is neutral, but no neutral faces are connected: connect them or choose calm.")


def finish_take(
    captured: Captured, blendshape_names: Sequence[str], against: Against, smooth_s: float, neutral: Faces | None
) -> tuple[Motion, str]:
    """A captured motion without trembling and against its rest; arguments as in `take_motion`."""
    motion = _smoothed(captured, smooth_s)
    if against != "nothing":
        motion = changed_from(motion, _rest(captured, motion, blendshape_names, against, neutral))
    return motion, f"{captured.text}\nmeasured against: {against}"


def _rest(captured: Captured, motion: Motion, names: Sequence[str], against: str, neutral: Faces | None) -> FloatArray:
    if neutral is not None and against == "neutral":
        row = middle_row(capture_photo(neutral, names, 0, "The neutral photo"))
        row[-3:] = 0  # the place in another picture says nothing about this one
        return row
    if against == "first frame":
        first = next(index for index in range(len(motion)) if index not in captured.missing)
        return motion.values[first]
    return calm_row(motion)


def _smoothed(captured: Captured, seconds: float) -> Motion:
    motion = captured.motion
    bounds = [0, *captured.cuts, len(motion)]
    scenes = [
        smooth(motion.map_frames(lambda values, a=a, b=b: values[a:b]), seconds, _SMOOTHED).values
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    return motion.with_values(np.concatenate(scenes))
