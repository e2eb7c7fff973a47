"""A video that goes on for longer than it is: to its end, back to its beginning, and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import islice, takewhile

from ..errors import VideoError
from .pixels import pyav
from .reader import FrameReader, Source, VideoFacts, VideoFrame, name_of, opened, picture_stream

#: Frames that are held at once where the video runs backwards; more are faster and take more memory.
_HELD = 16


class BackAndForth:
    """The footage of a file that plays forwards and backwards until a length is reached.

    reader: of the file's window. seconds: how long it is to last. The turning frames show once; frames show for as
    long as they do in the file. Memory does not grow with either length. Raises VideoError, when it is read, for a file
    whose frames do not say when they show.
    """

    def __init__(self, reader: FrameReader, seconds: float) -> None:
        self._reader, self._seconds = reader, seconds
        self.facts: VideoFacts = replace(reader.facts, frames=max(1, round(seconds * float(reader.facts.rate))))

    @property
    def file(self) -> Source | None:
        return self._reader.file

    @property
    def damaged(self) -> list[str]:
        return self._reader.damaged

    def fingerprint(self) -> str:
        """The file's own and the length."""
        return f"{self._reader.fingerprint()}\n{self._seconds!r} s back and forth"

    def read(self, skip: int = 0, from_ticks: int | None = None) -> Iterator[VideoFrame]:
        """The frames in the order they show, ticks strictly increasing. skip: how many to leave out; from_ticks is not
        read, because their number says the same."""
        plan = list[tuple[int, int, int]]()
        for place in islice(self._plan(), skip, None):
            if plan and not self._goes_on(plan, place[0]):
                yield from self._run(plan)
                plan = []
            plan.append(place)
        yield from self._run(plan)

    def _goes_on(self, plan: list[tuple[int, int, int]], index: int) -> bool:
        """Whether a frame can be read together with those before it: in one direction, not too many."""
        if len(plan) == _HELD:
            return False
        return len(plan) < 2 or (index > plan[-1][0]) == (plan[-1][0] > plan[-2][0])

    def _run(self, plan: list[tuple[int, int, int]]) -> Iterator[VideoFrame]:
        """The frames of a stretch in one direction. A damaged one is replaced by the one before it in time."""
        if not plan:
            return
        first, last = (self._times[pick(place[0] for place in plan)] for pick in (min, max))
        read = takewhile(lambda frame: frame.ticks <= last, self._reader.read(from_ticks=first))
        found = {frame.ticks: frame for frame in read}
        for index, ticks, duration in plan:
            earlier = [time for time in found if time <= self._times[index]]
            if earlier:
                yield replace(found[max(earlier)], ticks=ticks, duration=duration)

    def _plan(self) -> Iterator[tuple[int, int, int]]:
        """(number of the frame in the file, when it shows in ticks, for how long), until the length is reached."""
        times, facts = self._times, self._reader.facts
        step = max(1, round(1 / (facts.rate * facts.time_base)))
        start = round(facts.origin_s / facts.time_base)
        end = start + round(self._seconds / float(facts.time_base))
        index, direction, now = 0, 1, max(times[0], start)
        while now < end:
            if not 0 <= index + direction < len(times):
                direction = -direction
            after = min(max(index + direction, 0), len(times) - 1)
            duration = abs(times[after] - times[index]) or step
            yield index, now, min(duration, end - now)
            index, now = after, now + duration

    @cached_property
    def _times(self) -> list[int]:
        """When each frame of the window shows, in ticks; nothing is decoded for it."""
        source, (begin, end) = self._reader.file, self._reader.bounds()
        with opened(source) as container:
            stream = picture_stream(container)
            found: set[int] = set()
            try:
                found.update(packet.pts for packet in container.demux(stream) if packet.pts is not None)
            except pyav().error.FFmpegError:
                pass  # the file ends in the middle of a packet: the reader reports it
        shown = sorted(time for time in found if (begin is None or time >= begin) and (end is None or time < end))
        if not shown:
            raise VideoError(
                f"{name_of(source)} has no frame that says when it shows, so it cannot be played backwards: choose to "
                "end with the video, or convert it to MP4."
            )
        return shown
