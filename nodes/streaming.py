"""What every node with a VIDEO goes through: its file and window in, a file in ComfyUI's temporary folder out."""

from __future__ import annotations

import hashlib
import io as memory
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import Input, InputImpl

from ..pipelines.face import TrackedFrame
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.finder import FaceFinder
from ..pipelines.identity.identity import Identity
from ..pipelines.safety.protected import ProtectedPersonError
from ..pipelines.video.face_tracks import Choose, FaceTracks, everybody
from ..pipelines.video.footage import Still
from ..pipelines.video.processing import FrameProcessor
from ..pipelines.video.reader import Source, VideoFacts, Window, fingerprint, probe
from ..pipelines.video.sound import Sound
from ..pipelines.video.steady import Smoothing
from ..pipelines.video.stream import process_video
from ..pipelines.video.watch import watch_faces
from ..pipelines.video.writer import Encoding
from .comfy_runtime import ComfyRuntime
from .protection import protected_list

#: Unfinished videos wait here, below ComfyUI's output folder; the temporary folder is emptied at every start.
UNFINISHED = "likeness_unfinished"


def source_of(video: Input.Video) -> tuple[Source, Window]:
    """Where a VIDEO's frames are read from, and which part of it is meant."""
    given = video.get_stream_source()
    source: Source = given if isinstance(given, memory.BytesIO) else Path(given)
    return source, Window(*video.get_active_trim_window())


def facts_of(video: Input.Video) -> VideoFacts:
    """Size, rate, length and sound of a VIDEO."""
    return probe(*source_of(video))


def face_tracks(
    analysis: FaceAnalysis,
    threshold: float,
    smoothing: Smoothing,
    choose: Choose = everybody,
    blendshapes: bool = False,
) -> FaceTracks:
    """Follows the faces of a video. choose: who a track is. blendshapes: whether its faces have them."""
    return FaceTracks(FaceFinder(analysis, threshold, blendshapes), analysis.recogniser, smoothing, choose)


def watched(video: Input.Video, tracks: FaceTracks) -> Iterator[TrackedFrame]:
    """The frames of a VIDEO with their tracked faces, for nodes that write none."""
    source, window = source_of(video)
    return watch_faces(source, tracks, ComfyRuntime().progress, window)


def send_through(
    video: Input.Video,
    processor: FrameProcessor,
    settings: Sequence[Any],
    people: Sequence[Identity] = (),
    crf: int = 17,
    sound: Sound | None = None,
    seconds: float = 0.0,
) -> tuple[InputImpl.VideoFromFile, str]:
    """Send a VIDEO through a processor; returns the new one and the report.

    settings: all that the result depends on besides video, people, quality and sound, as JSON can hold it, the node's
    name first: interrupted work goes on only where everything is the same. sound: in place of the video's own. seconds:
    how long the result is, 0 for as long as the video.
    """
    source, window = source_of(video)
    return _sent(source, window, fingerprint(source), processor, _job(settings, people), crf, sound, seconds)


def send_still(
    still: Still, processor: FrameProcessor, settings: Sequence[Any], crf: int = 17, sound: Sound | None = None
) -> tuple[InputImpl.VideoFromFile, str]:
    """Draw the frames of a VIDEO over a picture; returns it and the report. Arguments as of `send_through`."""
    return _sent(still, Window(), still.fingerprint(), processor, _job(settings, ()), crf, sound)


def _sent(
    source: Source | Still,
    window: Window,
    known_as: str,
    processor: FrameProcessor,
    job: str,
    crf: int,
    sound: Sound | None,
    seconds: float = 0.0,
) -> tuple[InputImpl.VideoFromFile, str]:
    name = _digest(f"{job} {known_as} {window} {crf} {seconds}")
    # chunks are the same whatever is heard, the finished file is not
    heard = name if sound is None else _digest(f"{name} {sound.fingerprint()}")
    temporary = Path(folder_paths.get_temp_directory(), f"likeness_{heard}.mp4")
    parts = Path(folder_paths.get_output_directory(), UNFINISHED, name)
    progress = ComfyRuntime().progress
    encoding = Encoding(crf)
    try:
        result = process_video(
            source, temporary, processor, progress, job, window, encoding, folder=parts, sound=sound, seconds=seconds
        )
    except ProtectedPersonError:
        # finished chunks may show the person already
        if parts.is_dir():
            shutil.rmtree(parts)
        raise
    return InputImpl.VideoFromFile(str(result.path)), result.report


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _job(settings: Sequence[Any], people: Sequence[Identity]) -> str:
    references = [hashlib.sha256(person.crops.numpy().tobytes()).hexdigest() for person in people]
    names = [person.name for person in people]
    protected = protected_list()
    return json.dumps([list(settings), references, names, *([protected] if protected else [])])
