"""Frames of a video one after the other, upright, with their times, in memory that does not grow."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import VideoError
from .pixels import pyav

#: A path, or a whole file in memory.
Source = Path | io.BytesIO

#: FFmpeg's names of the containers that are opened. FFmpeg tells a container by content, whatever a file is called, and
#: playlists, lists of files and patterns of names (hls, dash, concat, image2 and more) would make it open other files.
_CONTAINERS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf"),
    *("ogg", "gif", "apng", "nut", "mxf", "gxf", "ivf", "rm", "dv", "wtv", "swf", "mjpeg", "yuv4mpegpipe", "m4v"),
    *("h261", "h263", "h264", "hevc", "vvc", "av1", "obu", "vc1", "dirac", "cavsvideo", "jpegxl_anim"),
    *("png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"),
)
#: Only the file itself is opened, never an address that its name or content could be taken for.
_SAFELY = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"}

#: Filters that turn a stored frame upright, by quarter turns counter-clockwise.
_TURNS = {1: (("transpose", "cclock"),), 2: (("hflip", None), ("vflip", None)), 3: (("transpose", "clock"),)}

#: The way out for a file whose pictures are not in it.
_RECORD_AGAIN = "Its writing was stopped before the first picture, or it is damaged: record, export or copy it again."


@dataclass(frozen=True)
class Window:
    """The part of a video to take, in seconds of its own clock; a duration of 0 means to its end."""

    start_s: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True, eq=False)
class VideoFacts:
    """What a video says of itself.

    width, height: px, upright. time_base: s per tick. rate: frames per second on average. frames: an estimate, at least
    1. quarter_turns: how far its frames are turned counter-clockwise to be upright. origin_s: the time that becomes 0.
    timed: whether the frames say when they show. sound: the codecs of its sound.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    frames: int
    bit_depth: int
    pixel_format: str
    alpha: bool
    quarter_turns: int
    origin_s: float
    pixel_aspect: Fraction
    timed: bool
    sound: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A decoded frame, upright. av: PyAV's. ticks: when it shows, and duration: for how long, in ticks or 0. picture:
    its pixels (H, W, 3) where they are known better than from `av`."""

    av: Any
    ticks: int
    duration: int
    picture: Tensor | None = None


@contextmanager
def opened(source: Source) -> Generator[Any]:
    """PyAV's input container. Raises VideoError for what is no video, has no picture, or names other files."""
    av = pyav()
    if isinstance(source, io.BytesIO):
        source.seek(0)
    try:
        # names and comments in an old encoding are no reason to refuse a video
        container = av.open(
            source if isinstance(source, io.BytesIO) else str(source),
            mode="r",
            metadata_errors="replace",
            options=_SAFELY,
        )
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"{name_of(source)} cannot be opened as a video: {error}. It is empty, cut off before its index, or of "
            "another kind, such as a playlist of other files; play it in a player, and convert it or copy it again."
        ) from error
    with container:
        if not any(stream.codec_context is not None for stream in container.streams.video):
            raise VideoError(_pictureless(source, container))
        yield container


def name_of(source: Source) -> str:
    """What messages call a source."""
    if isinstance(source, io.BytesIO):
        return f"The video in memory ({source.getbuffer().nbytes} bytes)"
    return f"The video {source.name}"


def _pictureless(source: Source, container: Any) -> str:
    """What is said of a file without a picture."""
    kinds = ", ".join(sorted({stream.type for stream in container.streams}))
    if not kinds:
        return f"{name_of(source)} holds neither pictures nor sound, only a header. {_RECORD_AGAIN}"
    return (
        f"{name_of(source)} has no picture that can be decoded, only {kinds}: connect another file, or convert it "
        "where its codec is unknown here."
    )


def picture_stream(container: Any) -> Any:
    """The first video stream with a decoder."""
    return next(stream for stream in container.streams.video if stream.codec_context is not None)


def probe(source: Source, window: Window) -> VideoFacts:
    """What a video says of itself, from its header and first frame. Raises VideoError where there is no frame."""
    av = pyav()
    with opened(source) as container:
        stream = picture_stream(container)
        first = next(_decoded(av, container, stream, []), None)
        if first is None:
            raise VideoError(f"{name_of(source)} holds no frame that can be decoded. {_RECORD_AGAIN}")
        turns = round(first.rotation / 90) % 4 if first.rotation else 0
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        length = _length_s(container, stream)
        if window.start_s or window.duration_s:
            rest = max(length - window.start_s, 0.0)
            length = min(window.duration_s, rest) if window.duration_s and length else window.duration_s or rest
        began = (container.start_time or 0) / av.time_base
        aspect = Fraction(stream.codec_context.sample_aspect_ratio or 1)
        width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
        components = first.format.components
        return VideoFacts(
            width=width,
            height=height,
            time_base=Fraction(stream.time_base),
            rate=rate,
            frames=max(1, round(length * float(rate))),
            bit_depth=max((part.bits for part in components), default=8),
            pixel_format=first.format.name,
            alpha=any(part.is_alpha for part in components) or first.format.name == "pal8",
            quarter_turns=turns,
            origin_s=window.start_s or min(began, _seconds(first, stream)),
            pixel_aspect=1 / aspect if turns % 2 else aspect,
            timed=first.pts is not None,
            sound=tuple(s.codec_context.name for s in container.streams.audio if s.codec_context is not None),
        )


def _seconds(frame: Any, stream: Any) -> float:
    return float((frame.pts or 0) * stream.time_base)


def _length_s(container: Any, stream: Any) -> float:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / pyav().time_base


def _decoded(av: Any, container: Any, stream: Any, damaged: list[str]) -> Iterator[Any]:
    """Every frame that can be decoded; what cannot is noted in `damaged`."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:  # the file ends in the middle of a packet
            damaged.append(str(error))
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            damaged.append(str(error))
            continue
        yield from frames


class FrameReader:
    """Reads the frames of a window of a video.

    After reading, `damaged` holds what could not be decoded, one text per packet.
    """

    def __init__(self, source: Source, facts: VideoFacts, window: Window) -> None:
        self.file = source
        self.facts = facts
        self._window = window
        self.damaged: list[str] = []

    def fingerprint(self) -> str:
        """A file's path, size and time, or the bytes in memory; and the window."""
        return f"{fingerprint(self.file)}\n{self._window!r}"

    def read(self, skip: int = 0, from_ticks: int | None = None) -> Iterator[VideoFrame]:
        """The frames in the order they show, ticks strictly increasing.

        skip: how many to leave out. from_ticks: the ticks of the first one wanted where they are known; the reader then
        jumps instead of decoding what is left out. Raises VideoError when the size of the pictures changes.
        """
        av = pyav()
        with opened(self.file) as container:
            stream = picture_stream(container)
            begin, end = self.bounds()
            jump = begin if from_ticks is None else from_ticks
            if jump is not None:
                container.seek(jump, stream=stream)
            turn, last = _Turn(av), None
            left_out = 0 if from_ticks is not None else skip
            for frame in _decoded(av, container, stream, self.damaged):
                ticks = self._ticks(frame, last)
                if jump is not None and frame.pts is not None and frame.pts < jump:
                    continue
                if end is not None and ticks >= end:
                    return
                last = ticks
                if left_out:
                    left_out -= 1
                    continue
                self._check_size(frame)
                duration = int(frame.duration or 0)
                if end is not None:
                    duration = min(duration, end - ticks)
                yield VideoFrame(turn.upright(frame, self.facts.quarter_turns), ticks, duration)

    def bounds(self) -> tuple[int | None, int | None]:
        """The first ticks of the window and those after its last; None where it is not bounded."""
        start, length = self._window.start_s, self._window.duration_s
        tick = self.facts.time_base
        begin = int(start / tick) if start else None
        return begin, int((start + length) / tick) if length else None

    def _ticks(self, frame: Any, last: int | None) -> int:
        step = max(1, round(1 / (self.facts.rate * self.facts.time_base)))
        if frame.pts is None:
            return 0 if last is None else last + step
        return int(frame.pts) if last is None else max(int(frame.pts), last + 1)

    def _check_size(self, frame: Any) -> None:
        size = (frame.height, frame.width) if self.facts.quarter_turns % 2 else (frame.width, frame.height)
        if size != (self.facts.width, self.facts.height):
            raise VideoError(
                f"{name_of(self.file)} changes from {self.facts.width} × {self.facts.height} px to "
                f"{size[0]} × {size[1]} px on the way: split it there and process the parts."
            )


def fingerprint(source: Source) -> str:
    """What tells one file from another: its path, size and time, or the bytes in memory."""
    if isinstance(source, io.BytesIO):
        return hashlib.sha256(source.getbuffer()).hexdigest()
    found = source.stat()
    return f"{source.resolve()} {found.st_size} {found.st_mtime_ns}"


class _Turn:
    """Turns frames by quarter turns with FFmpeg's filters, without touching their values."""

    def __init__(self, av: Any) -> None:
        self._av = av
        self._ends: tuple[Any, Any, Any] | None = None  # the graph must live as long as its ends

    def upright(self, frame: Any, turns: int) -> Any:
        """The frame turned counter-clockwise."""
        if turns == 0:
            return frame
        if self._ends is None:
            graph = self._av.filter.Graph()
            tail = first = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
            )
            for name, argument in _TURNS[turns]:
                step = graph.add(name, argument)
                tail.link_to(step)
                tail = step
            sink = graph.add("buffersink")
            tail.link_to(sink)
            graph.configure()
            self._ends = (first, sink, graph)
        self._ends[0].push(frame)
        return self._ends[1].pull()
