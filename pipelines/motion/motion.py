"""`Motion`: what a face does over time, without anyone's identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from ..errors import InputError
from ..face import FloatArray, as_float_array
from .channels import ARKIT_NAMES, VALUE_INDEX, VALUE_NAMES

#: Most frames of a motion: five and a half hours at 30 frames per second.
MAX_FRAMES = 600_000
MIN_FPS, MAX_FPS = 0.1, 1000.0

_SHAPES, _WIDTH = len(ARKIT_NAMES), len(VALUE_NAMES)


@dataclass(frozen=True, eq=False)
class Motion:
    """A change of expression, head turn and head place, frame by frame; all zeros leaves a portrait as it is.

    fps: frames per second. blendshapes: (T, 52) in the order of `ARKIT_NAMES`, 0 at rest, 1 fully there; negative
    values take away what the portrait already has. rotation: (T, 3) pitch, yaw, roll in radians: positive pitch looks
    down, positive yaw to the right of the picture, positive roll tips the head's top to the left of the picture;
    concretely Rz(roll) Ry(yaw) Rx(pitch) with x right, y up, z towards the camera. translation: (T, 3) right, up and
    towards the camera, in units of the distance between the eyes' middles. channels: what only some renderer or
    source knows, name -> (T, D). Raises InputError for other shapes, no frame, or numbers that are not finite.
    """

    fps: float
    blendshapes: FloatArray
    rotation: FloatArray
    translation: FloatArray
    channels: Mapping[str, FloatArray] = field(default_factory=dict[str, FloatArray])

    def __post_init__(self) -> None:
        object.__setattr__(self, "fps", checked_fps(self.fps))
        count = len(self.blendshapes)
        if not 1 <= count <= MAX_FRAMES:
            raise InputError(f"A motion has 1 to {MAX_FRAMES} frames, this one has {count}.")
        named = {"blendshapes": self.blendshapes, "rotation": self.rotation, "translation": self.translation}
        for name, width in (("blendshapes", _SHAPES), ("rotation", 3), ("translation", 3)):
            object.__setattr__(self, name, _checked(name, named[name], count, width))
        extra = {name: _checked(name, values, count, None) for name, values in self.channels.items()}
        object.__setattr__(self, "channels", MappingProxyType(extra))

    def __len__(self) -> int:
        return len(self.blendshapes)

    @property
    def duration_s(self) -> float:
        """How long the motion plays: every frame lasts 1 / fps."""
        return len(self) / self.fps

    @property
    def values(self) -> FloatArray:
        """(T, 58): blendshapes, rotation and translation side by side, as `VALUE_NAMES` says; a copy."""
        return np.concatenate([self.blendshapes, self.rotation, self.translation], 1)

    def channel(self, name: str) -> FloatArray:
        """(T,) of one channel of `VALUE_NAMES`."""
        return self.values[:, VALUE_INDEX[name]]

    def with_values(self, values: FloatArray) -> Motion:
        """The same motion with other numbers, (T, 58); extra channels stay."""
        return replace(self, **_parts(values))

    def map_frames(self, change: Callable[[FloatArray], FloatArray], fps: float | None = None) -> Motion:
        """Every array of the motion, extra channels too, through a function of (T, D) that gives (T', D)."""
        return motion_from_values(
            self.fps if fps is None else fps,
            change(self.values),
            {name: change(values) for name, values in self.channels.items()},
        )


def motion_from_values(fps: float, values: FloatArray, channels: Mapping[str, FloatArray] | None = None) -> Motion:
    """A motion from (T, 58) numbers in the order of `VALUE_NAMES`."""
    return Motion(fps=fps, channels=channels or {}, **_parts(values))


def still(values: Mapping[str, float], fps: float = 25.0, frames: int = 1) -> Motion:
    """A motion that holds one pose. values: channel of `VALUE_NAMES` -> number; the others are 0."""
    row = np.zeros(_WIDTH, np.float32)
    for name, value in values.items():
        row[VALUE_INDEX[name]] = value
    return motion_from_values(fps, np.repeat(row[None], frames, 0))


def checked_fps(fps: float) -> float:
    """A frame rate that can be used. Raises InputError for 0, NaN and what nobody plays."""
    if not MIN_FPS <= fps <= MAX_FPS:
        raise InputError(f"A motion of {fps} frames per second cannot be used: {MIN_FPS} to {MAX_FPS:g} are allowed.")
    return float(fps)


def _parts(values: FloatArray) -> dict[str, FloatArray]:
    return {
        "blendshapes": values[:, :_SHAPES],
        "rotation": values[:, _SHAPES : _SHAPES + 3],
        "translation": values[:, _SHAPES + 3 :],
    }


def _checked(name: str, values: FloatArray, count: int, width: int | None) -> FloatArray:
    array = as_float_array(values).copy()
    if array.ndim != 2 or len(array) != count or (width is not None and array.shape[1] != width):
        raise InputError(
            f"The {name!r} of a motion of {count} frame(s) have the shape {array.shape}, "
            f"({count}, {width or 'any width'}) is needed."
        )
    wrong = ~np.isfinite(array)
    if wrong.any():
        row, column = (int(value) for value in np.argwhere(wrong)[0])
        raise InputError(
            f"The {name!r} of a motion have {int(wrong.sum())} values that are NaN or infinite, "
            f"the first in frame {row}, column {column}."
        )
    array.setflags(write=False)
    return array
