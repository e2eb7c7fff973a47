"""What a motion does, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .channels import ARKIT_NAMES, ROTATION_NAMES, VALUE_INDEX, VALUE_NAMES
from .motion import Motion

#: A head turned by this much counts as strong as a full blendshape.
_FULL_TURN_RAD = 0.6
_FULL_MOVE = 1.0


@dataclass(frozen=True)
class Strength:
    """One channel: how strong it counts against the others, and its lowest and highest value."""

    name: str
    strength: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """The channel with its range; turns in degrees."""
        turn = self.name in ROTATION_NAMES
        low, high = (round(float(np.rad2deg(value)) if turn else value, 2) + 0.0 for value in (self.low, self.high))
        form, unit = ("{:.1f}", "°") if turn else ("{:.2f}", "")
        if abs(high - low) < (0.05 if turn else 0.005):
            return f"{self.name} {form.format(high)}{unit}"
        return f"{self.name} {form.format(low)} to {form.format(high)}{unit}"


def strongest(motion: Motion, count: int = 8, least: float = 0.02) -> tuple[Strength, ...]:
    """The channels that do most, strongest first, at most `count`, none below `least` of its full strength."""
    values = motion.values
    low, high = values.min(0), values.max(0)
    shapes = len(ARKIT_NAMES)
    full = np.ones(len(VALUE_NAMES))
    full[shapes : shapes + 3], full[shapes + 3 :] = _FULL_TURN_RAD, _FULL_MOVE
    strength = np.maximum(np.abs(low), np.abs(high)) / full
    order = [int(index) for index in np.argsort(-strength, kind="stable") if strength[index] >= least]
    return tuple(Strength(VALUE_NAMES[i], float(strength[i]), float(low[i]), float(high[i])) for i in order[:count])


def describe_motion(motion: Motion, count: int = 8) -> str:
    """Length and frame rate, then the strongest channels with their ranges, one per line."""
    lines = [f"{len(motion)} frame(s) at {motion.fps:g} per second, {motion.duration_s:.2f} s"]
    lines += [part.text for part in strongest(motion, count)] or ["At rest: no channel does anything."]
    if motion.channels:
        extra = ", ".join(f"{name} ({values.shape[1]})" for name, values in motion.channels.items())
        lines.append(f"Extra channels: {extra}")
    return "\n".join(lines)


def strongest_names(motion: Motion, count: int) -> tuple[str, ...]:
    """Names of the strongest channels, in the order of `VALUE_NAMES`; jawOpen when the motion is at rest."""
    names = [part.name for part in strongest(motion, count)] or ["jawOpen"]
    return tuple(sorted(names, key=VALUE_INDEX.__getitem__))
