"""Whether a talking portrait of five minutes needs more memory than one of thirty seconds: sound in, video file out."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import torch.nn.functional as F
from torch import Tensor

from ..pipelines.audio.backends import listen
from ..pipelines.audio.performance import Acting, speech_to_motion
from ..pipelines.audio.speech import RATE_HZ, Speech
from ..pipelines.face import Face
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.registry import Registry
from ..pipelines.render import renderer_named
from ..pipelines.render.performance import Performance
from ..pipelines.runtime import TorchRuntime
from ..pipelines.video.footage import Still
from ..pipelines.video.processing import AtEachTime
from ..pipelines.video.sound import Sound
from ..pipelines.video.stream import process_video
from .figure import Figure
from .librivox import spoken_clips
from .pictures import read_picture
from .swap_quality import SAMPLES

#: Seconds of the short and of the long video, and the width of the portrait: a small one makes the same number of
#: frames in less time, and what were kept of them would show as well.
_SHORT_S, _LONG_S, _WIDTH = 30, 300, 192


def talking_memory_figures() -> list[Figure]:
    """The peak of the resident memory of a long talk against that of a short one."""
    picture, face = _portrait()
    spoken = np.concatenate([clip.speech.samples for clip in spoken_clips()])
    peaks: list[float] = []
    # the first round brings in what is loaded once
    for seconds in (_SHORT_S, _SHORT_S, _LONG_S):
        with _peak_mb() as peak:
            _make(picture, face, np.resize(spoken, seconds * RATE_HZ))
        peaks.append(peak[0])
    return [
        Figure(f"peak memory of a talk of {_SHORT_S} s", peaks[1], None, unit="MB"),
        Figure(f"peak memory of {_LONG_S} s against it", peaks[2] / peaks[1], 1.1, unit="x"),
    ]


def _portrait() -> tuple[Tensor, Face]:
    large = read_picture(SAMPLES / "grace_hopper.jpg").permute(0, 3, 1, 2)
    height = round(_WIDTH * large.shape[2] / large.shape[3])
    picture = F.interpolate(large, size=(height, _WIDTH), mode="area").permute(0, 2, 3, 1)
    faces = load_embedded_analysis(Registry(TorchRuntime())).detect(picture)
    faces.require_any("The portrait")
    return picture[0], faces.frames[0][0]


def _make(picture: Tensor, face: Face, samples: np.ndarray) -> None:
    """A talking portrait with sound, as the nodes make it."""
    speech = Speech(np.asarray(samples, np.float32))
    motion, _ = speech_to_motion(speech, listen(speech), Acting())
    renderer = renderer_named("mesh").load(Registry(TorchRuntime()))
    shows = Performance(renderer, picture, [face], [motion], 1.0, BLENDSHAPE_NAMES)
    still = Still(picture, len(motion), Fraction(25))
    with tempfile.TemporaryDirectory(prefix="likeness-talk-") as name:
        target = Path(name) / "talk.mp4"
        sound = Sound(speech.samples[None], RATE_HZ)
        process_video(still, target, AtEachTime(shows.at), TorchRuntime().progress, "talk", sound=sound)


@contextmanager
def _peak_mb() -> Generator[list[float], None, None]:
    """The most resident memory of this process while it runs, looked at every 20 ms."""
    process, done, peak = psutil.Process(), threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], process.memory_info().rss / 1e6)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
