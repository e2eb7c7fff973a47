"""What every node with a VIDEO goes through: its file and window in, a file in ComfyUI's temporary folder out."""

from __future__ import annotations

import hashlib
import io as memory
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import Input, InputImpl

from ..pipelines.face import TrackedFrame
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.finder import FaceFinder
from ..pipelines.identity.identity import Identity
from ..pipelines.video.face_tracks import Choose, FaceTracks, everybody
from ..pipelines.video.processing import FrameProcessor
from ..pipelines.video.reader import Source, VideoFacts, Window, fingerprint, probe
from ..pipelines.video.steady import Smoothing
from ..pipelines.video.stream import process_video
from ..pipelines.video.watch import watch_faces
from ..pipelines.video.writer import Encoding
from .comfy_runtime import ComfyRuntime

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
) -> tuple[InputImpl.VideoFromFile, str]:
    """Send a VIDEO through a processor; returns the new one and the report.

    settings: all that the result depends on besides video, people and quality, as JSON can hold it, the node's name
    first: interrupted work goes on only where everything is the same.
    """
    source, window = source_of(video)
    job = _job(settings, people)
    name = hashlib.sha256(f"{job} {fingerprint(source)} {window} {crf}".encode()).hexdigest()[:16]
    temporary = Path(folder_paths.get_temp_directory(), f"likeness_{name}.mp4")
    parts = Path(folder_paths.get_output_directory(), UNFINISHED, name)
    progress = ComfyRuntime().progress
    result = process_video(source, temporary, processor, progress, job, window, Encoding(crf), folder=parts)
    return InputImpl.VideoFromFile(str(result.path)), result.report


def _job(settings: Sequence[Any], people: Sequence[Identity]) -> str:
    references = [hashlib.sha256(person.crops.numpy().tobytes()).hexdigest() for person in people]
    return json.dumps([list(settings), references, [person.name for person in people]])
