"""A video through a frame-wise processor: decoded, processed and encoded frame by frame, with its sound, resumable."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ..errors import VideoError
from .association import State
from .join import join, suffix_for
from .journal import Chunk, Journal
from .pixels import pyav, rgb_of
from .reader import FrameReader, Source, VideoFacts, VideoFrame, Window, name_of, probe
from .writer import Encoding, SegmentWriter, encoded_format, encoded_size

#: Frames of one chunk: what is lost at most when the work is interrupted.
CHUNK_FRAMES = 120


class Progress(Protocol):
    """A progress bar; `update` raises when the user has cancelled."""

    def update(self, steps: int = 1) -> None: ...


class FrameProcessor(Protocol):
    """What happens to every frame. It may hold frames back to look ahead or to work on several at once."""

    def push(self, frame: Tensor) -> Sequence[Tensor]:
        """The next frame (H, W, 3) float in [0, 1]. Returns finished frames, in order and of the same size, or none.

        A frame that is returned as the same object is unchanged and keeps its decoded values.
        """
        ...

    def finish(self) -> Sequence[Tensor]:
        """There are no more frames: those still held back."""
        ...

    def state(self) -> State:
        """What it has to remember after the frames it gave back, as arrays."""
        ...

    def restore(self, state: State) -> None:
        """Go on where `state` was taken: the frames that were held back then are pushed once more, then new ones."""
        ...


@dataclass(frozen=True)
class EachFrame:
    """A processor out of a function that changes one picture (H, W, 3) and remembers nothing."""

    function: Callable[[Tensor], Tensor]

    def push(self, frame: Tensor) -> Sequence[Tensor]:
        return [self.function(frame)]

    def finish(self) -> Sequence[Tensor]:
        return []

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None: ...


@dataclass(frozen=True)
class VideoResult:
    """A finished video. path: the file. frames: how many. report: what was kept, changed, skipped."""

    path: Path
    frames: int
    report: str


def process_video(
    source: Source,
    target: Path,
    processor: FrameProcessor,
    progress: Callable[[int], Progress],
    job: str,
    window: Window | None = None,
    encoding: Encoding | None = None,
    chunk_frames: int = CHUNK_FRAMES,
    folder: Path | None = None,
) -> VideoResult:
    """Send every frame of a video through a processor and write the result with the source's sound.

    source: the video. target: the file to write; its ending is chosen so that it can hold the sound. processor: what
    happens to the frames. progress: makes the progress bar of a number of frames. job: says everything else that the
    result depends on; interrupted work of the same source, job, window and encoding goes on after its last finished
    chunk. chunk_frames: frames of a chunk. folder: where chunks are kept, `target`'s name with ".parts" unless given.

    Memory does not grow with length: one chunk's compressed frames and what the processor holds back. Sound packets
    are copied. Times of frames are the source's, also where their rate varies; rotated video comes out upright.
    Raises VideoError for a video that cannot be read or written; after that, or whatever the processor or the
    progress bar raises, nothing lies at `target` and the finished chunks wait for the next try.
    """
    window, encoding = window or Window(), encoding or Encoding()
    facts = probe(source, window)
    target = target.with_suffix(suffix_for(facts))
    key = "\n".join([fingerprint(source), job, repr(window), repr(encoding), pyav().__version__])
    journal = Journal(folder or target.with_name(target.name + ".parts"), hashlib.sha256(key.encode()).hexdigest())
    resumed = journal.frames()
    work = _Work(FrameReader(source, facts, window), facts, journal, encoding, chunk_frames)
    work.run(processor, progress(facts.frames))
    frames = journal.frames()
    if frames == 0:
        length = f"{window.duration_s:g} s" if window.duration_s else "everything"
        raise VideoError(
            f"{name_of(source)} has no frame in what was asked for: {length} from {window.start_s:g} s on."
        )
    join(journal, source, window, facts, target)
    journal.remove()
    return VideoResult(target, frames, _report(facts, frames, resumed, work.damaged, encoding))


class _Work:
    """Frames on their way: read, processed, encoded into chunks."""

    def __init__(
        self, reader: FrameReader, facts: VideoFacts, journal: Journal, encoding: Encoding, chunk_frames: int
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._journal = journal
        self._encoding = encoding
        self._chunk_frames = chunk_frames
        self._waiting: deque[tuple[VideoFrame, Tensor]] = deque()
        self._segment: SegmentWriter | None = None

    @property
    def damaged(self) -> list[str]:
        return self._reader.damaged

    def run(self, processor: FrameProcessor, progress: Progress) -> None:
        """All frames that are not finished yet."""
        with self._discarding():
            for frame in self._remaining(processor, progress):
                picture = rgb_of(frame.av)
                self._waiting.append((frame, picture))
                self._write(processor.push(picture), progress)
                if self._segment is not None and len(self._segment.ticks) >= self._chunk_frames:
                    self._finish_chunk(processor)
            self._write(processor.finish(), progress)
            if self._waiting:
                raise VideoError(f"The processor has kept {len(self._waiting)} frame(s): it must give back all.")
            if self._segment is not None:
                self._finish_chunk(processor)

    def _remaining(self, processor: FrameProcessor, progress: Progress) -> Iterator[VideoFrame]:
        done = self._journal.frames()
        if not done:
            return self._reader.read()
        processor.restore(self._journal.state())
        progress.update(done)
        last = self._journal.chunks[-1].ticks[-1]
        return self._reader.read(done, last + 1 if self._facts.timed else None)

    def _write(self, pictures: Sequence[Tensor], progress: Progress) -> None:
        for picture in pictures:
            if not self._waiting:
                raise VideoError("The processor has given back more frames than it was given.")
            frame, before = self._waiting.popleft()
            if self._segment is None:
                path = self._journal.segment(len(self._journal.chunks))
                self._segment = SegmentWriter(path, self._facts, self._encoding, frame.av)
            self._segment.write(frame, before, picture)
            progress.update()

    def _finish_chunk(self, processor: FrameProcessor) -> None:
        assert self._segment is not None
        self._segment.close()
        chunk = Chunk(len(self._journal.chunks), tuple(self._segment.ticks), self._segment.last_duration)
        self._journal.finish_chunk(chunk, processor.state())
        self._segment = None

    @contextmanager
    def _discarding(self) -> Generator[None]:
        """Whatever ends the work, also a cancel: no half-written segment stays."""
        try:
            yield
        finally:
            if self._segment is not None:
                self._segment.discard()


def fingerprint(source: Source) -> str:
    """What tells one source from another: a file's path, size and time, or the bytes in memory."""
    if isinstance(source, io.BytesIO):
        return hashlib.sha256(source.getbuffer()).hexdigest()
    found = source.stat()
    return f"{source.resolve()} {found.st_size} {found.st_mtime_ns}"


def _report(facts: VideoFacts, frames: int, resumed: int, damaged: Sequence[Any], encoding: Encoding) -> str:
    size = encoded_size(facts)
    lines = [
        f"{frames} frame(s), {facts.width} × {facts.height} px, {float(facts.rate):.4g} per second on average; H.264 "
        f"({encoded_format(facts)}, crf {encoding.quality}), sound: {', '.join(facts.sound) or 'none'}"
        f"{', copied' if facts.sound else ''}."
    ]
    if resumed:
        lines.append(f"The first {resumed} frame(s) were finished before an interrupt.")
    if size != (facts.width, facts.height):
        lines.append(f"Written as {size[0]} × {size[1]} px: H.264 needs even sides here; the last line is repeated.")
    if facts.alpha:
        lines.append("Its transparency is not kept: H.264 has none.")
    if damaged:
        lines.append(f"{len(damaged)} damaged packet(s) were skipped, the first: {damaged[0]}")
    if frames < 0.9 * facts.frames:
        lines.append(f"The file says it has about {facts.frames} frames, {frames} could be read: it is cut off.")
    return "\n".join(lines)
