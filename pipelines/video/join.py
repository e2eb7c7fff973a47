"""Segments and the source's sound become one file, by copying packets; nothing is encoded again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import VideoError
from .journal import Chunk, Journal
from .pixels import pyav
from .reader import Source, VideoFacts, Window, opened
from .sound import Sound
from .writer import disk_errors

#: Sound that .mp4 holds and players expect in it; uncompressed sound goes into .mov, everything else into .mkv.
_MP4_SOUND = {"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "libopus", "flac", "alac", "mp2", "mp2float"}


def suffix_for(facts: VideoFacts, sound: Sound | None = None) -> str:
    """The ending of a file that can hold the source's sound as it is, or the new one."""
    if sound is not None or all(name in _MP4_SOUND for name in facts.sound):
        return ".mp4"
    return ".mov" if all(name in _MP4_SOUND or name.startswith("pcm_") for name in facts.sound) else ".mkv"


def join(
    journal: Journal, source: Source | None, window: Window, facts: VideoFacts, target: Path, sound: Sound | None = None
) -> None:
    """Write `target` from the finished chunks and the source's sound or a new one, all at once by an atomic rename.

    source: the file with the sound; None where there is none.
    Raises VideoError when a segment is damaged or there is no room; nothing is left under the final name then.
    """
    unfinished = target.with_name(f"{target.stem}.unfinished{target.suffix}")
    try:
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(journal, source, window, facts, unfinished, sound)
            with open(unfinished, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(
    journal: Journal, source: Source | None, window: Window, facts: VideoFacts, path: Path, new_sound: Sound | None
) -> None:
    options = {} if path.suffix == ".mkv" else {"movflags": "use_metadata_tags+faststart"}
    with ExitStack() as stack:
        given = None if source is None else stack.enter_context(opened(source))
        first = stack.enter_context(pyav().open(str(journal.segment(0))))
        output = stack.enter_context(pyav().open(str(path), mode="w", options=options))
        for name, value in ({} if given is None else given.metadata).items():
            output.metadata[name] = value
        picture = output.add_stream_from_template(first.streams.video[0])
        picture.time_base = facts.time_base
        end_s = _end_s(journal.chunks, facts)
        if new_sound is not None:
            sound = new_sound.packets(output, end_s - facts.origin_s)
        elif given is None:
            sound = iter(())
        else:
            sound = _sound_packets(given, _copied_streams(given, output), facts.origin_s, end_s, window)
        waiting = next(sound, None)
        for packet in _picture_packets(journal, facts):
            while waiting is not None and waiting[0] <= float(packet.pts * facts.time_base):
                output.mux(waiting[1])
                waiting = next(sound, None)
            packet.stream = picture
            output.mux(packet)
        while waiting is not None:
            output.mux(waiting[1])
            waiting = next(sound, None)


def _copied_streams(given: Any, output: Any) -> dict[int, Any]:
    """Index of a stream of sound -> the stream in `output` that its packets go to."""
    return {
        stream.index: output.add_stream_from_template(stream)
        for stream in given.streams.audio
        if stream.codec_context is not None
    }


def _end_s(chunks: list[Chunk], facts: VideoFacts) -> float:
    """When the last frame ends, in the source's clock."""
    last = chunks[-1]
    return float((last.ticks[-1] + (last.last_duration or _step(facts))) * facts.time_base)


def _step(facts: VideoFacts) -> int:
    return max(1, round(1 / (facts.rate * facts.time_base)))


def _picture_packets(journal: Journal, facts: VideoFacts) -> Iterator[Any]:
    """The packets of all segments at their frames' own times, shifted so that the window begins at 0."""
    ticks = [tick for chunk in journal.chunks for tick in chunk.ticks]
    ends = [*ticks[1:], ticks[-1] + (journal.chunks[-1].last_duration or _step(facts))]
    origin, place = round(facts.origin_s / facts.time_base), 0
    for chunk in journal.chunks:
        with pyav().open(str(journal.segment(chunk.number))) as segment:
            packets = [packet for packet in segment.demux(video=0) if packet.dts is not None]
            if len(packets) != len(chunk.ticks):
                raise VideoError(
                    f"{journal.segment(chunk.number)} has {len(packets)} frames instead of {len(chunk.ticks)}: delete "
                    f"the folder {journal.folder} and run again."
                )
            for packet in packets:
                packet.time_base = facts.time_base
                packet.pts = packet.dts = ticks[place] - origin
                packet.duration = ends[place] - ticks[place]
                place += 1
                yield packet


def _sound_packets(
    given: Any, sounds: dict[int, Any], origin_s: float, end_s: float, window: Window
) -> Iterator[tuple[float, Any]]:
    """(time in the new clock in s, packet) of all sound of the window, in the order they are stored."""
    if not sounds:
        return
    av = pyav()
    streams = [given.streams[index] for index in sounds]
    if window.start_s:
        given.seek(int(max(window.start_s - 1, 0) * av.time_base))
    packets = given.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:  # the picture's reader has reported that the file is cut off
            return
        if packet is None:
            return
        if packet.dts is None or packet.pts is None:
            continue
        base = Fraction(packet.time_base)
        begin_s = float(packet.pts * base)
        if window.start_s and begin_s + float((packet.duration or 0) * base) <= origin_s:
            continue  # one packet that begins earlier stays: its sound is needed, and players skip what is before 0
        if (window.start_s or window.duration_s) and begin_s >= end_s:
            continue
        shift = round(origin_s / base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = sounds[packet.stream.index]
        yield begin_s - origin_s, packet
