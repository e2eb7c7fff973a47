"""What frames are read from: a window of a file, or a picture that is shown for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ..errors import InputError
from .pixels import encodable, frame_of, precise
from .reader import Source, VideoFacts, VideoFrame

#: How a picture is encoded: what every player shows. BT.709 in the limited range; FFmpeg's codes of it.
_PIXEL_FORMAT, _BT709, _LIMITED = "yuv420p", 1, 1
_SMALLEST_PX, _LARGEST_PX = 2, 16384


class Footage(Protocol):
    """Frames with their times, once or from the middle on."""

    @property
    def facts(self) -> VideoFacts: ...

    @property
    def file(self) -> Source | None:
        """Where sound and texts are copied from."""
        ...

    @property
    def damaged(self) -> list[str]:
        """What could not be decoded so far, one text each."""
        ...

    def fingerprint(self) -> str:
        """What tells it from any other."""
        ...

    def read(self, skip: int = 0, from_ticks: int | None = None) -> Iterator[VideoFrame]:
        """The frames in the order they show, as `FrameReader.read` does."""
        ...


@dataclass(frozen=True, eq=False)
class Still:
    """A picture shown for a while: the footage of whatever draws each frame anew.

    picture: (H, W, 3) float in [0, 1], each of its frames is this very object. frames: how many. rate: per second.
    Frame k shows at k / rate. Raises InputError for another shape, no frame, or a rate that is not above 0.
    """

    picture: Tensor
    frames: int
    rate: Fraction

    def __post_init__(self) -> None:
        shape = tuple(self.picture.shape)
        sides = shape[:2]
        if len(shape) != 3 or shape[2] != 3 or not all(_SMALLEST_PX <= side <= _LARGEST_PX for side in sides):
            raise InputError(
                f"The picture has the shape {shape}; (height, width, 3) with sides of {_SMALLEST_PX} to {_LARGEST_PX} "
                "px is needed."
            )
        if self.frames < 1 or self.rate <= 0:
            raise InputError(f"{self.frames} frames at {float(self.rate):g} per second are no video.")

    @property
    def file(self) -> Source | None:
        return None

    @property
    def damaged(self) -> list[str]:
        return []

    @property
    def facts(self) -> VideoFacts:
        return VideoFacts(
            width=self.picture.shape[1],
            height=self.picture.shape[0],
            time_base=1 / self.rate,
            rate=self.rate,
            frames=self.frames,
            bit_depth=8,
            pixel_format=_PIXEL_FORMAT,
            alpha=False,
            quarter_turns=0,
            origin_s=0.0,
            pixel_aspect=Fraction(1),
            timed=True,
            sound=(),
        )

    def fingerprint(self) -> str:
        """The picture's values, length and rate."""
        values = hashlib.sha256(np.ascontiguousarray(self.picture.cpu().numpy()).tobytes()).hexdigest()
        return f"{values} {tuple(self.picture.shape)} {self.picture.dtype} {self.frames} {self.rate}"

    def read(self, skip: int = 0, from_ticks: int | None = None) -> Iterator[VideoFrame]:
        """The picture again and again. skip, from_ticks: as of `FrameReader.read`."""
        coded = self._coded()
        for index in range(skip if from_ticks is None else from_ticks, self.frames):
            yield VideoFrame(coded, index, 1, self.picture)

    def _coded(self) -> Any:
        """PyAV's frame of it, already in the format and size that is encoded."""
        size = encodable((self.facts.width, self.facts.height), _PIXEL_FORMAT)
        options = {"dst_colorspace": _BT709, "dst_color_range": _LIMITED}
        frame = frame_of(self.picture.float(), size).reformat(format=_PIXEL_FORMAT, **options, **precise())
        for name in ("color_primaries", "color_trc", "colorspace"):
            setattr(frame, name, _BT709)
        frame.color_range = _LIMITED
        return frame
