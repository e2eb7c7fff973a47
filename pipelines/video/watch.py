"""Reading a video without writing one: its frames with their times, and the people in them, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import VideoError
from ..face import TrackedFrame
from .face_tracks import FaceTracks
from .pixels import rgb_of
from .processing import Frame, Progress
from .reader import FrameReader, Source, VideoFacts, VideoFrame, Window, name_of, probe


def as_frame(decoded: VideoFrame, facts: VideoFacts, index: int) -> Frame:
    """A decoded frame as processors get it."""
    time_s = float(decoded.ticks * facts.time_base) - facts.origin_s
    return Frame(rgb_of(decoded.av) if decoded.picture is None else decoded.picture, index, time_s)


def watch_video(source: Source, progress: Callable[[int], Progress], window: Window | None = None) -> Iterator[Frame]:
    """The frames of a video, one after the other, for whoever only looks.

    source: the video. progress: makes the progress bar of a number of frames. window: the part to watch. Damaged
    packets are skipped. Raises VideoError for a video that cannot be read, and where it has no frame; `probe` says its
    rate and size.
    """
    window = window or Window()
    facts = probe(source, window)
    bar, count = progress(facts.frames), 0
    for decoded in FrameReader(source, facts, window).read():
        yield as_frame(decoded, facts, count)
        count += 1
        bar.update()
    if count == 0:
        raise no_frames(source, window)


def watch_faces(
    source: Source, tracks: FaceTracks, progress: Callable[[int], Progress], window: Window | None = None
) -> Iterator[TrackedFrame]:
    """Every frame of a video with its tracked faces, in order; see `watch_video`.

    tracks: a fresh one; afterwards it knows who was seen in how many frames.
    """
    for frame in watch_video(source, progress, window):
        yield from tracks.push(frame)
    yield from tracks.finish()


def no_frames(source: Source, window: Window) -> VideoError:
    """What to say when nothing lies in the window."""
    length = f"{window.duration_s:g} s" if window.duration_s else "everything"
    return VideoError(
        f"{name_of(source)} has no frame in what was asked for: {length} from {window.start_s:g} s on. Choose a part "
        "that lies inside the video."
    )
