"""Blinks put into a motion, as often and as fast as people blink."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .channels import INDEX
from .motion import Motion

#: How long lids take to close, stay closed and open again, in seconds (Schiffman 2001: a blink lasts 0.1 to 0.4 s).
CLOSING_S, CLOSED_S, OPENING_S = 0.08, 0.04, 0.16

#: Eyes that are already this far closed do not blink.
_ALREADY_CLOSED = 0.4


def blink_times(duration_s: float, every_s: float, seed: int) -> tuple[float, ...]:
    """When a person blinks within a time, in seconds of the moment the lids start to close.

    every_s: mean pause; single pauses vary from half to nearly twice of it. seed: another one, another pattern.
    """
    if not 0.3 <= every_s <= 600:
        raise InputError(f"Blinks every {every_s} s are not possible: 0.3 to 600 s are allowed.")
    random = np.random.default_rng(seed)
    times: list[float] = []
    now = every_s * float(random.uniform(0.3, 1.0))
    while now < duration_s - CLOSING_S:
        times.append(now)
        now += max(every_s * float(random.uniform(0.5, 1.5)), CLOSING_S + CLOSED_S + OPENING_S)
    return tuple(times)


def blink_curve(at_s: np.ndarray) -> np.ndarray:
    """How far lids are closed, 0 to 1, this many seconds after they began to close; quick down, slower up."""
    closing = np.clip(at_s / CLOSING_S, 0, 1)
    opening = np.clip((at_s - CLOSING_S - CLOSED_S) / OPENING_S, 0, 1)
    return np.sin(closing * np.pi / 2) ** 2 * (1 - np.sin(opening * np.pi / 2) ** 2)


def insert_blinks(motion: Motion, every_s: float = 4.0, strength: float = 1.0, seed: int = 0) -> tuple[Motion, int]:
    """The motion with blinks, and how many were put in.

    every_s: mean pause in seconds; people blink every 3 to 5 s. The rest as in `insert_blinks_at`.
    """
    return insert_blinks_at(motion, blink_times(motion.duration_s, every_s, seed), strength)


def insert_blinks_at(motion: Motion, times: Sequence[float], strength: float = 1.0) -> tuple[Motion, int]:
    """The motion with blinks at these times, and how many were put in.

    times: s, when lids begin to close. strength: how far they close, 0 to 1. Lids that the motion closes further stay
    so, and no blink begins where they are already down. Concretely blink = max(motion, curve).
    """
    values = motion.values
    both = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]
    seconds = np.arange(len(motion)) / motion.fps
    count = 0
    for start in times:
        first, last = np.searchsorted(seconds, [start, start + CLOSING_S + CLOSED_S + OPENING_S])
        here = slice(int(first), int(last))
        if first == last or values[here][:, both].max() > _ALREADY_CLOSED:
            continue
        lids = (strength * blink_curve(seconds[here] - start)).astype(np.float32)
        # between the frames of a slow motion a blink would be lost: its nearest frame gets all of it
        lids[int(np.abs(seconds[here] - start - CLOSING_S - CLOSED_S / 2).argmin())] = strength
        for column in both:
            values[here, column] = np.maximum(values[here, column], lids)
        count += 1
    return motion.with_values(values), count
