"""Poses at moments, and what happens in between."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .motion import MAX_FRAMES, Motion, checked_fps, motion_from_values
from .timing import smooth_step, with_same_channels

Shares = NDArray[np.float64]
Easing = Callable[[Shares], Shares]


def _ease_in(share: Shares) -> Shares:
    return share**2


def _ease_out(share: Shares) -> Shares:
    return 1 - (1 - share) ** 2


def _linear(share: Shares) -> Shares:
    return share


def _hold(share: Shares) -> Shares:
    return np.zeros_like(share)


def _spring(share: Shares) -> Shares:
    """Shoots a tenth beyond and comes back, as cartoon faces do."""
    back = share - 1
    return 1 + back**2 * (2.70158 * back + 1.70158)


#: Name -> how far the way from one pose to the next has been gone when a share (0 to 1) of the time has.
EASINGS: dict[str, Easing] = {
    "smooth": smooth_step,
    "linear": _linear,
    "ease in": _ease_in,
    "ease out": _ease_out,
    "overshoot": _spring,
    "hold": _hold,
}


def keyframes(poses: Sequence[Motion], times_s: Sequence[float], fps: float, easing: Easing = smooth_step) -> Motion:
    """A motion through poses.

    poses: their first frames count. times_s: when each is reached, increasing, in seconds; before the first and after
    the last the pose is held. fps: of the result, which ends with the frame of the last pose. easing: share of the time
    between two poses -> share of the way, both 0 to 1, for arrays. Concretely a + (b - a) easing(s). Raises InputError
    for no poses, another number of times, or times that do not increase.
    """
    fps = checked_fps(fps)
    _check_times(len(poses), times_s)
    poses = with_same_channels(poses)
    count = round(times_s[-1] * fps) + 1
    if count > MAX_FRAMES:
        raise InputError(f"Poses up to {times_s[-1]} s need {count} frames, at most {MAX_FRAMES} are allowed.")
    now = np.arange(count) / fps
    if len(poses) == 1:
        start, share = np.zeros(count, np.int64), np.zeros(count)
    else:
        marks = np.asarray(times_s, dtype=np.float64)
        start = np.clip(np.searchsorted(marks, now, side="right") - 1, 0, len(marks) - 2)
        share = np.clip((now - marks[start]) / (marks[start + 1] - marks[start]), 0, 1)
    end = np.minimum(start + 1, len(poses) - 1)
    # both ends stay poses even where a drawn curve does not pass through them
    way = np.where(share <= 0, 0.0, np.where(share >= 1, 1.0, easing(share)))[:, None]

    def through(rows: Sequence[np.ndarray]) -> np.ndarray:
        stack = np.stack(rows).astype(np.float64)
        return (stack[start] + (stack[end] - stack[start]) * way).astype(np.float32)

    extra = {name: through([pose.channels[name][0] for pose in poses]) for name in poses[0].channels}
    return motion_from_values(fps, through([pose.values[0] for pose in poses]), extra)


def _check_times(count: int, times_s: Sequence[float]) -> None:
    if count == 0 or len(times_s) != count:
        raise InputError(f"There are {count} pose(s) but {len(times_s)} time(s): give each pose its moment in seconds.")
    finite = all(np.isfinite(time) and time >= 0 for time in times_s)
    if not finite or any(later <= time for time, later in zip(times_s, times_s[1:], strict=False)):
        raise InputError(
            f"The times {', '.join(f'{time:g}' for time in times_s)} s must be 0 or more, each after the one before."
        )


def times_from_text(text: str, count: int, spacing_s: float = 0.5) -> list[float]:
    """Seconds from text such as `0, 0.4, 1.2`; empty text spaces `count` poses evenly. Raises InputError."""
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    if not words:
        return [index * spacing_s for index in range(count)]
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"The times {text[:80]!r} are not numbers between commas ({error}).") from error
