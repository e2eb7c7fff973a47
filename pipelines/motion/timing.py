"""Motions in time: another frame rate, a part, the way back, again, and one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..face import FloatArray, as_float_array
from .motion import MAX_FRAMES, Motion, checked_fps

#: Frame numbers, in fractions too.
Frames = NDArray[Any]


def resample(motion: Motion, fps: float, speed: float = 1.0) -> Motion:
    """The same motion at another frame rate; frame i of the result shows the moment i / fps * speed.

    fps: of the result. speed: above 1 plays faster. A lower rate averages what falls between two of its frames (a box
    of that width), so that a blink is not lost; a higher one interpolates linearly. The first frame stays first.
    Raises InputError for a rate or speed that cannot be used, or a result that is too long.
    """
    fps, rate = checked_fps(fps), _checked_speed(speed) * motion.fps
    count = max(round(len(motion) * fps / rate), 1)
    if count > MAX_FRAMES:
        raise InputError(f"{len(motion)} frames at {fps:g} per second would be {count}, at most {MAX_FRAMES} are kept.")
    if count == len(motion) and abs(fps - rate) < 1e-9:
        return replace(motion, fps=fps)
    times = np.arange(count, dtype=np.float64) * (rate / fps)
    width = rate / fps
    return motion.map_frames(lambda values: _sampled(values, times, width), fps)


def _checked_speed(speed: float) -> float:
    if not 0.01 <= speed <= 100:
        raise InputError(f"A speed of {speed} cannot be used: 0.01 to 100 times are allowed.")
    return speed


def _sampled(values: FloatArray, times: Frames, width: float) -> FloatArray:
    """Rows at fractional frame numbers; means over a window of `width` frames where that is wider than a frame."""
    if width <= 1 or len(values) == 1:
        return interpolated(values, times)
    rows = values.astype(np.float64)
    area = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum((rows[1:] + rows[:-1]) / 2, 0)])
    last = len(rows) - 1.0
    low, high = np.clip(times - width / 2, 0, last), np.clip(times + width / 2, 0, last)
    span = high - low
    means = (_integral(rows, area, high) - _integral(rows, area, low)) / np.maximum(span, 1e-9)[:, None]
    return np.where(span[:, None] > 1e-6, means, interpolated(values, times)).astype(np.float32)


def _integral(rows: Frames, area: Frames, at: Frames) -> Frames:
    start = np.minimum(at.astype(np.int64), len(rows) - 2)
    part = (at - start)[:, None]
    return area[start] + rows[start] * part + (rows[start + 1] - rows[start]) * part**2 / 2


def interpolated(values: FloatArray, at: Frames) -> FloatArray:
    """Rows of (T, D) at fractional frame numbers (N,), linear between frames, held beyond the ends."""
    where = np.clip(at, 0, len(values) - 1)
    start = np.minimum(where.astype(np.int64), max(len(values) - 2, 0))
    part = (where - start).astype(np.float32)[:, None]
    after = values[np.minimum(start + 1, len(values) - 1)]
    return (values[start] * (1 - part) + after * part).astype(np.float32)


def trim(motion: Motion, start_s: float = 0.0, end_s: float = 0.0) -> Motion:
    """The frames from start_s on and before end_s; 0 as end keeps all, negative times count from the end.

    Raises InputError, with the length, when nothing would be left.
    """
    length = motion.duration_s
    start = start_s + length if start_s < 0 else start_s
    end = end_s + length if end_s <= 0 else end_s
    first = max(round(start * motion.fps), 0)
    after = min(round(end * motion.fps), len(motion))
    if first >= after:
        raise InputError(
            f"Nothing is left from {start:.3g} s to {end:.3g} s of a motion of {length:.3g} s "
            f"({len(motion)} frames at {motion.fps:g} per second)."
        )
    return motion.map_frames(lambda values: values[first:after])


def reverse(motion: Motion) -> Motion:
    """The same frames, last first."""
    return motion.map_frames(lambda values: values[::-1])


def loop(motion: Motion, times: int = 2, blend_s: float = 0.0, back_and_forth: bool = False) -> Motion:
    """The motion again and again.

    times: how often it plays. blend_s: how long the end of one round and the beginning of the next overlap, so that
    there is no jump (every round but the first is shorter by that). back_and_forth: every second round runs backwards,
    without showing the turning frame twice. Raises InputError when `times` is below 1 or the result is too long.
    """
    if times < 1 or len(motion) * times > MAX_FRAMES:
        raise InputError(f"{len(motion)} frames cannot be played {times} times: 1 to {MAX_FRAMES} frames are allowed.")
    count = len(motion)
    if not back_and_forth and round(blend_s * motion.fps) > 0:
        return concatenate([motion] * times, blend_s)
    if not back_and_forth:
        return motion.map_frames(lambda values: np.tile(values, (times, 1)))
    period = max(2 * count - 2, 1)
    steps = np.arange(count + (times - 1) * max(count - 1, 0)) % period
    order = np.where(steps < count, steps, period - steps)
    return motion.map_frames(lambda values: values[order])


def concatenate(motions: Sequence[Motion], blend_s: float = 0.0) -> Motion:
    """Motions one after the other, at the frame rate of the first.

    blend_s: how long neighbours overlap; the one fades into the other along a smooth step. An overlap longer than half
    of a neighbour is shortened to it. An extra channel that not all have is 0 where it is missing. Raises InputError
    for an empty list, a result that is too long, or extra channels of different widths.
    """
    if not motions:
        raise InputError("There is no motion to join.")
    fps = motions[0].fps
    parts = with_same_channels([resample(motion, fps) for motion in motions])
    if sum(len(part) for part in parts) > MAX_FRAMES:
        raise InputError(f"The motions have {sum(map(len, parts))} frames together, at most {MAX_FRAMES} are allowed.")
    overlap = max(round(blend_s * fps), 0)
    joined = parts[0]
    for number, part in enumerate(parts[1:]):
        before = len(parts[number])
        joined = _appended(joined, part, min(overlap, before // 2, len(part) // 2))
    return joined


def _appended(first: Motion, second: Motion, overlap: int) -> Motion:
    share = smooth_step((np.arange(overlap) + 1) / (overlap + 1)).astype(np.float32)[:, None]

    def joined(head: FloatArray, tail: FloatArray) -> FloatArray:
        cut = len(head) - overlap
        middle = head[cut:] * (1 - share) + tail[:overlap] * share
        return as_float_array(np.concatenate([head[:cut], middle, tail[overlap:]]))

    values = joined(first.values, second.values)
    extra = {name: joined(first.channels[name], second.channels[name]) for name in first.channels}
    result = first.map_frames(lambda rows: np.zeros((len(values), rows.shape[1]), np.float32))
    return replace(result, channels=extra).with_values(values)


def smooth_step(share: Frames) -> Frames:
    """0 to 1 without a kink at either end: 3 s^2 - 2 s^3."""
    return share * share * (3 - 2 * share)


def with_same_channels(motions: Sequence[Motion]) -> list[Motion]:
    """The motions with the extra channels of all of them, 0 where one has none. Raises InputError for other widths."""
    widths: dict[str, int] = {}
    for motion in motions:
        for name, values in motion.channels.items():
            if widths.setdefault(name, values.shape[1]) != values.shape[1]:
                raise InputError(
                    f"The extra channel {name!r} has {widths[name]} and {values.shape[1]} columns: these motions come "
                    "from different sources and cannot be joined with it."
                )
    return [
        replace(
            motion,
            channels={
                name: motion.channels.get(name, np.zeros((len(motion), width), np.float32))
                for name, width in widths.items()
            },
        )
        for motion in motions
    ]
