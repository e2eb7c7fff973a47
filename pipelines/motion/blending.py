"""Motions mixed, made stronger or weaker, shifted, and mirrored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..face import as_float_array
from .channels import MIRRORED, VALUE_INDEX, VALUE_NAMES, channels_in, rows_of
from .motion import Motion
from .timing import interpolated, resample, with_same_channels

Weights = NDArray[np.float64]


def mix(motions: Sequence[Motion], weights: Weights, length: str = "longest") -> Motion:
    """The weighted sum of motions, at the frame rate of the first.

    weights: (N, 58), one row per motion in the order of `VALUE_NAMES` (see `weights_from_text`); they are used as they
    are, so weights that sum to 1 mix and weights of 1 add. Extra channels get the mean weight of the row. length:
    "longest" holds the last frame of the shorter ones, "shortest" cuts, "first" follows the first.
    Concretely values = sum_n weights_n * values_n. Raises InputError for no motion or another shape of weights.
    """
    if not motions or weights.shape != (len(motions), len(VALUE_NAMES)):
        raise InputError(f"{len(motions)} motion(s) cannot be mixed with weights of shape {weights.shape}.")
    parts = with_same_channels([resample(motion, motions[0].fps) for motion in motions])
    counts = [len(part) for part in parts]
    if length not in ("longest", "shortest", "first"):
        raise InputError(f"length is {length!r}, it must be longest, shortest or first.")
    count = {"longest": max(counts), "shortest": min(counts), "first": counts[0]}[length]
    parts = [part.map_frames(lambda values: interpolated(values, np.arange(count))) for part in parts]
    total = sum(part.values * row.astype(np.float32) for part, row in zip(parts, weights, strict=True))
    means = weights.mean(1)
    extra = {
        name: as_float_array(sum(part.channels[name] * mean for part, mean in zip(parts, means, strict=True)))
        for name in parts[0].channels
    }
    return replace(parts[0], channels=extra).with_values(as_float_array(total))


def weights_from_text(text: str, count: int, add: bool = False) -> Weights:
    """(count, 58) weights from words.

    text: lines (or parts between ;) of `channels: w, w, ...` with one number per motion; a part without channels sets
    all of them; later parts win. Empty text: 1 for every motion when `add`, else the same share for each. Without `add`
    the numbers of a part are made to sum to 1. Raises InputError, naming the part, for another count or no numbers.
    """
    weights = np.full((count, len(VALUE_NAMES)), 1.0 if add else 1.0 / max(count, 1))
    for part in (part.strip() for part in re.split(r"[;\n]", text)):
        if not part:
            continue
        names, _, numbers = part.rpartition(":")
        row = _numbers(part, numbers, count)
        if not add:
            if row.sum() <= 0:
                raise InputError(f"The weights {part!r} sum to {row.sum():g}: at least one must be above 0.")
            row = row / row.sum()
        weights[:, rows_of(channels_in(names))] = row[:, None]
    return weights


def _numbers(part: str, text: str, count: int) -> NDArray[np.float64]:
    words = [word for word in re.split(r"[,\s]+", text.strip()) if word]
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise InputError(
            f"The weights {part[:80]!r} are not numbers ({error}). Write for example 'mouth: 1, 0'."
        ) from error
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(f"The weights {part[:80]!r} are {len(numbers)} number(s); there are {count} motion(s).")
    return numbers


def scale(motion: Motion, factor: float, names: Sequence[str] = VALUE_NAMES) -> Motion:
    """Channels times a factor: 0 takes them away, above 1 exaggerates. Extra channels stay."""
    values = motion.values
    values[:, rows_of(names)] *= np.float32(factor)
    return motion.with_values(values)


def offset(motion: Motion, changes: Mapping[str, float]) -> Motion:
    """Constant values added to channels. changes: channel of `VALUE_NAMES` -> what is added."""
    values = motion.values
    for name, change in changes.items():
        values[:, VALUE_INDEX[name]] += np.float32(change)
    return motion.with_values(values)


def parse_values(text: str) -> dict[str, float]:
    """Channel -> number from text such as `jawOpen=0.4, mouthSmile*=0.2, headYaw=0.1`; groups are allowed.

    Raises InputError for a part without a number or an unknown channel.
    """
    changes: dict[str, float] = {}
    for part in (part.strip() for part in re.split(r"[;,\n]", text)):
        if not part:
            continue
        name, sign, number = part.partition("=")
        try:
            value = float(number) if sign else float("nan")
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise InputError(f"{part[:80]!r} is no channel with a number. Write for example 'jawOpen=0.4, brows=-0.2'.")
        changes |= dict.fromkeys(channels_in(name), value)
    return changes


def mirror(motion: Motion) -> Motion:
    """The motion as seen in a mirror: left and right channels exchanged, yaw, roll and the sideways place turned.

    Raises InputError for extra channels, whose two sides nobody knows.
    """
    if motion.channels:
        raise InputError(
            f"A motion with the extra channel(s) {', '.join(motion.channels)} cannot be mirrored: which of their "
            "columns are left and right is not known. Mirror before these channels are added, or take the channels out."
        )
    signs = np.array([1, -1, -1], np.float32)
    return replace(
        motion,
        blendshapes=motion.blendshapes[:, list(MIRRORED)],
        rotation=motion.rotation * signs,
        translation=motion.translation * np.array([-1, 1, 1], np.float32),
    )
