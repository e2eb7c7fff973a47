"""Encoding: one closed H.264 segment per chunk; pixels nobody changed keep the values they were decoded to."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import VideoError
from .pixels import encodable, frame_of, keep_untouched, precise, pyav, resized
from .reader import VideoFacts, VideoFrame

ENCODER = "libx264"


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded. quality: H.264's constant rate factor, 0 is lossless at 8 bit, 17 looks it. preset:
    x264's."""

    quality: int = 17
    preset: str = "medium"


def encoded_format(facts: VideoFacts) -> str:
    """The pixel format to encode: the source's chroma sampling, range and depth, as far as the encoder has them."""
    offered = {found.name for found in pyav().Codec(ENCODER, "w").video_formats}
    name = facts.pixel_format
    halved = {"yuv422": "422", "yuvj422": "422", "yuva422": "422", "yuv444": "444", "yuvj444": "444", "yuva444": "444"}
    chroma = next((kind for start, kind in halved.items() if name.startswith(start)), "420")
    full = "j" if name.startswith("yuvj") else ""
    deep = "10le" if facts.bit_depth > 8 else ""
    wanted = (f"yuv{full}{chroma}p{deep}", f"yuv{chroma}p{deep}", f"yuv420p{deep}", "yuv420p")
    return next(name for name in wanted if name in offered)


def encoded_size(facts: VideoFacts) -> tuple[int, int]:
    """(width, height) px: where chroma is halved an odd side gets one more column or row, a copy of the last."""
    return encodable((facts.width, facts.height), encoded_format(facts))


@dataclass(frozen=True)
class _Colours:
    """What the numbers of a video mean: FFmpeg's codes of primaries, transfer, matrix and range."""

    color_primaries: int
    color_trc: int
    colorspace: int
    color_range: int

    @staticmethod
    def of(frame: Any) -> _Colours:
        """Those of a decoded frame; RGB becomes BT.709 in the limited range."""
        space, reach = (1, 1) if frame.format.is_rgb else (int(frame.colorspace), int(frame.color_range))
        return _Colours(int(frame.color_primaries), int(frame.color_trc), space, reach)

    def tag(self, target: Any) -> None:
        """Write them on a frame or an encoder."""
        for name in ("color_primaries", "color_trc", "colorspace", "color_range"):
            setattr(target, name, getattr(self, name))

    def conversion(self) -> dict[str, int]:
        """What PyAV needs to convert to them: its own numbers, nothing where FFmpeg's default (BT.601) holds."""
        space = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}.get(self.colorspace)
        found = {"dst_color_range": self.color_range or 1}
        return found if space is None else found | {"dst_colorspace": space}


class SegmentWriter:
    """Writes frames into one file that begins with a key frame and refers to nothing outside.

    Use it as a context: it closes the file, and deletes it when the work inside did not end well.
    """

    def __init__(self, path: Path, facts: VideoFacts, encoding: Encoding, first: Any) -> None:
        self.path = path
        self._facts = facts
        self._format = encoded_format(facts)
        self._size = encoded_size(facts)
        self._colours = _Colours.of(first)
        self.ticks: list[int] = []
        self.last_duration = 0
        with disk_errors(path):
            self._container = pyav().open(str(path), mode="w", format="mp4")
            self._stream = self._add_stream(encoding)

    def _add_stream(self, encoding: Encoding) -> Any:
        stream = self._container.add_stream(ENCODER, rate=_plain_rate(self._facts.rate))
        context = stream.codec_context
        context.width, context.height = self._size
        context.pix_fmt = self._format
        context.time_base = self._facts.time_base
        context.max_b_frames = 0  # packets come in the order of frames, so that segments join by copying
        context.options = {"crf": str(encoding.quality), "preset": encoding.preset}
        context.sample_aspect_ratio = self._facts.pixel_aspect
        self._colours.tag(context)
        return stream

    def write(self, frame: VideoFrame, before: Tensor, after: Tensor) -> None:
        """Encode one frame. before: its pixels (H, W, 3) as decoded; after: as processed, the same object if unchanged.

        Raises VideoError when the picture has another size or there is no room.
        """
        picture = self._coded(frame.av) if after is before else self._changed(frame.av, before, after)
        picture.pts = frame.ticks - (self.ticks[0] if self.ticks else frame.ticks)
        picture.time_base = self._facts.time_base
        picture.pict_type = 0  # the source's choice of key frames is not ours
        with disk_errors(self.path):
            self._container.mux(self._stream.encode(picture))
        self.ticks.append(frame.ticks)
        self.last_duration = frame.duration

    def _changed(self, source: Any, before: Tensor, after: Tensor) -> Any:
        if after.shape != before.shape:
            raise VideoError(
                f"A processed frame has the shape {tuple(after.shape)}, the video's are {tuple(before.shape)}: "
                "every frame must keep its size."
            )
        coded = self._coded(frame_of(after, self._size))
        touched = (after != before).any(-1).to("cpu").numpy()
        keep_untouched(coded, self._coded(source), touched)
        return coded

    def _coded(self, frame: Any) -> Any:
        """The frame in the encoder's format and size."""
        whole = resized(frame, self._size)
        coded = whole.reformat(format=self._format, **self._colours.conversion(), **precise())
        self._colours.tag(coded)
        return coded

    def close(self) -> None:
        """Finish the file."""
        with disk_errors(self.path):
            self._container.mux(self._stream.encode(None))
            self._container.close()

    def discard(self) -> None:
        """Give up: close the file as it is and delete it."""
        av = pyav()
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError):
            pass  # it is deleted anyway
        self.path.unlink(missing_ok=True)


def _plain_rate(rate: Fraction) -> Fraction:
    """The rate as a fraction that fits into the header."""
    return rate.limit_denominator(1001) if rate > 0 else Fraction(25)


@contextmanager
def disk_errors(path: Path) -> Generator[None]:
    """Failures to write `path` become a VideoError with the way out."""
    try:
        yield
    except (pyav().error.FFmpegError, OSError) as error:
        free = shutil.disk_usage(path.parent).free / 1e6
        raise VideoError(
            f"{path} could not be written: {error}. {free:.0f} MB are free on that disk. Make room or choose another "
            "place, and run again: the work goes on after the last finished chunk."
        ) from error
