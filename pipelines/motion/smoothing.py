"""Trembling taken out of a motion without making it late, and numbers brought into what a face can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..face import FloatArray, as_float_array
from .channels import ARKIT_NAMES, VALUE_NAMES, rows_of
from .motion import Motion

#: What `limit` lets through: blendshapes from fully undone to fully there, a head that turns and moves plausibly.
LOW, HIGH = -1.0, 1.0
MAX_TURN_RAD, MAX_MOVE = np.pi / 2, 10.0


def smooth(motion: Motion, seconds: float, names: Sequence[str] = VALUE_NAMES) -> Motion:
    """Channels averaged with a Gaussian bell around each frame: as much future as past, so nothing comes late.

    seconds: standard deviation of the bell; 0 changes nothing. At the ends the bell is cut and weighs what is there.
    Extra channels stay as they are. Raises InputError for a negative or endless time.
    """
    if not 0 <= seconds <= 60:
        raise InputError(f"A motion cannot be smoothed over {seconds} s: 0 to 60 s are allowed.")
    if seconds * motion.fps < 1e-3 or len(motion) == 1:
        return motion
    values, rows = motion.values, rows_of(names)
    values[:, rows] = _bell(values[:, rows], seconds * motion.fps)
    return motion.with_values(values)


def _bell(values: FloatArray, sigma: float) -> FloatArray:
    radius = max(int(np.ceil(4 * sigma)), 1)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    size = len(values) + 2 * radius
    transformed = np.fft.rfft(kernel, size)[:, None]
    padded = np.concatenate([values.astype(np.float64), np.ones((len(values), 1))], 1)
    spread = np.fft.irfft(np.fft.rfft(padded, size, axis=0) * transformed, size, axis=0)
    spread = spread[radius : radius + len(values)]
    means = spread[:, :-1] / spread[:, -1:]
    return as_float_array(np.where(np.abs(means) < 1e-9, 0.0, means))  # what the transform leaves of nothing


@dataclass(frozen=True)
class Limited:
    """What `limit` cut. counts: channel -> frames in which it was out of range, most first."""

    counts: dict[str, int]

    @property
    def text(self) -> str:
        """One line with the number of values and the channels; empty when nothing was cut."""
        if not self.counts:
            return ""
        shown = ", ".join(f"{name} ({count})" for name, count in list(self.counts.items())[:4])
        more = f" and {len(self.counts) - 4} more" if len(self.counts) > 4 else ""
        return f"{sum(self.counts.values())} value(s) were out of range and were clamped: {shown}{more}."


def limit(motion: Motion, low: float = LOW, high: float = HIGH) -> tuple[Motion, Limited]:
    """Values clamped to what a face can do, and what was clamped.

    low, high: of the blendshapes. Head turns are kept within 90 degrees, its place within 10 eye distances.
    """
    values = motion.values
    bounds = np.repeat([[low], [high]], len(VALUE_NAMES), 1)
    shapes = len(ARKIT_NAMES)
    bounds[:, shapes : shapes + 3] = [[-MAX_TURN_RAD], [MAX_TURN_RAD]]
    bounds[:, shapes + 3 :] = [[-MAX_MOVE], [MAX_MOVE]]
    clamped = np.clip(values, bounds[0].astype(np.float32), bounds[1].astype(np.float32))
    out = (np.abs(values - clamped) > 1e-6).sum(0)
    order = [int(index) for index in np.argsort(-out, kind="stable") if out[index]]
    return motion.with_values(clamped), Limited({VALUE_NAMES[index]: int(out[index]) for index in order})
