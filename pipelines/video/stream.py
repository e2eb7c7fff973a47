"""A video through a frame-wise processor: decoded, processed and encoded frame by frame, with its sound, resumable."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import VideoError
from .back_and_forth import BackAndForth
from .footage import Footage, Still
from .join import join, suffix_for
from .journal import Chunk, Journal
from .pixels import pyav
from .processing import FrameProcessor, Progress
from .reader import FrameReader, Source, VideoFacts, VideoFrame, Window, probe
from .sound import Sound
from .watch import as_frame, no_frames
from .writer import Encoding, SegmentWriter, encoded_format, encoded_size

#: Frames of one chunk: what is lost at most when the work is interrupted.
CHUNK_FRAMES = 120


@dataclass(frozen=True)
class VideoResult:
    """A finished video. path: the file. frames: how many. report: what was kept, changed, skipped."""

    path: Path
    frames: int
    report: str


def process_video(
    source: Source | Still,
    target: Path,
    processor: FrameProcessor,
    progress: Callable[[int], Progress],
    job: str,
    window: Window | None = None,
    encoding: Encoding | None = None,
    chunk_frames: int = CHUNK_FRAMES,
    folder: Path | None = None,
    sound: Sound | None = None,
    seconds: float = 0.0,
) -> VideoResult:
    """Send every frame of a video through a processor and write the result with the source's sound, or a new one.

    source: the video, or a picture that is shown for a while, which has neither window nor `seconds`. target: the file
    to write; its ending is chosen so that it can hold the sound. processor: what happens to the frames. progress: makes
    the progress bar of a number of frames. job: says everything else that the result depends on; interrupted work of
    the same source, job, window and encoding goes on after its last finished chunk. chunk_frames: frames of a chunk.
    folder: where chunks are kept, `target`'s name with ".parts" unless given. sound: takes the place of the source's
    own; chunks that are finished stay good when it changes. seconds: how long the result is, 0 for as long as the
    window; what is longer goes back and forth, with a new sound only.

    Memory does not grow with length: one chunk's compressed frames and what the processor holds back. Sound packets
    are copied. Times of frames are the source's, also where their rate varies; rotated video comes out upright.
    Raises VideoError for a video that cannot be read or written; after that, or whatever the processor or the
    progress bar raises, nothing lies at `target` and the finished chunks wait for the next try.
    """
    window, encoding = window or Window(), encoding or Encoding()
    footage = source if isinstance(source, Still) else _footage(source, window, seconds)
    facts = footage.facts
    target = target.with_suffix(suffix_for(facts, sound))
    key = "\n".join([footage.fingerprint(), job, repr(encoding), pyav().__version__])
    journal = Journal(folder or target.with_name(target.name + ".parts"), hashlib.sha256(key.encode()).hexdigest())
    resumed = journal.frames()
    work = _Work(footage, journal, encoding, chunk_frames)
    try:
        work.run(processor, progress(facts.frames))
    finally:
        if not journal.frames():
            # nothing to go on with
            journal.remove()
    frames = journal.frames()
    if frames == 0 and footage.file is not None:
        raise no_frames(footage.file, window)
    join(journal, footage.file, window, facts, target, sound)
    journal.remove()
    return VideoResult(target, frames, _report(facts, frames, resumed, footage.damaged, encoding, sound))


def _footage(source: Source, window: Window, seconds: float) -> Footage:
    """A window of a file that lasts as long as it is to."""
    reader = FrameReader(source, probe(source, window), window)
    longer_by = seconds - reader.facts.frames / float(reader.facts.rate)
    if not seconds or abs(longer_by) <= 0.5 / float(reader.facts.rate):
        return reader
    if longer_by > 0:
        return BackAndForth(reader, seconds)
    shorter = Window(window.start_s, seconds)
    return FrameReader(source, probe(source, shorter), shorter)


class _Work:
    """Frames on their way: read, processed, encoded into chunks."""

    def __init__(self, footage: Footage, journal: Journal, encoding: Encoding, chunk_frames: int) -> None:
        self._footage = footage
        self._facts = footage.facts
        self._journal = journal
        self._encoding = encoding
        self._chunk_frames = chunk_frames
        self._waiting: deque[tuple[VideoFrame, Tensor]] = deque()
        self._segment: SegmentWriter | None = None

    def run(self, processor: FrameProcessor, progress: Progress) -> None:
        """All frames that are not finished yet."""
        with self._discarding():
            for index, decoded in enumerate(self._remaining(processor, progress), self._journal.frames()):
                progress.update(0)  # cancel is noticed while nothing comes out yet, too
                frame = as_frame(decoded, self._facts, index)
                self._waiting.append((decoded, frame.picture))
                self._write(processor.push(frame), progress)
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
            return self._footage.read()
        processor.restore(self._journal.state())
        progress.update(done)
        last = self._journal.chunks[-1].ticks[-1]
        return self._footage.read(done, last + 1 if self._facts.timed else None)

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


def _heard(facts: VideoFacts, sound: Sound | None) -> str:
    """What sound the result has."""
    if sound is not None:
        return f"the new one of {sound.seconds:.2f} s, aac at {sound.coded_rate_hz()} Hz"
    return f"{', '.join(facts.sound)}, copied" if facts.sound else "none"


def _report(
    facts: VideoFacts,
    frames: int,
    resumed: int,
    damaged: Sequence[Any],
    encoding: Encoding,
    sound: Sound | None,
) -> str:
    size = encoded_size(facts)
    lines = [
        f"{frames} frame(s), {facts.width} × {facts.height} px, {float(facts.rate):.4g} per second on average; H.264 "
        f"({encoded_format(facts)}, crf {encoding.quality}), sound: {_heard(facts, sound)}."
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
