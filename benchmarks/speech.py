"""How well portraits talk: what is heard in speech, and what the rendered lips show of it."""

from __future__ import annotations

import time

import numpy as np

from ..pipelines.audio.backends import listen
from ..pipelines.audio.english_model import english_model
from ..pipelines.audio.heard import Heard
from ..pipelines.audio.performance import Acting, speech_to_motion
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from .expression import PORTRAITS, Sitter
from .figure import Figure
from .librivox import SpokenClip, spoken_clips
from .pictures import read_picture
from .speech_listening import listening_figures
from .swap_quality import SAMPLES
from .talking import Talk, closed_share, correlation, frames_per_second, sync, talk
from .talking_memory import talking_memory_figures
from .threads import torch_threads

#: Portrait -> what it is called here, and the least correlation of its lips with what drives them.
_SITTERS = {"astronaut.png": ("smiling portrait", 0.85), "grace_hopper.jpg": ("closed-mouth portrait", 0.95)}


@torch_threads(1)
def measure() -> list[Figure]:
    """All figures of speech to motion: listening, acting, rendered lips, memory."""
    clips = spoken_clips()
    model = english_model()  # read once, as a graph that runs again would not
    heard = [listen(clip.speech) for clip in clips]
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    sitters = {name: Sitter(analysis, read_picture(SAMPLES / name)) for name in PORTRAITS}
    figures = [*listening_figures(), *_analysis_figures(clips)]
    for name, sitter in sitters.items():
        figures += _portrait_figures(sitter, clips, *_SITTERS[name])
    figures += _listened_figures(sitters["grace_hopper.jpg"], clips, heard)
    figures += talking_memory_figures()
    del model
    return figures


def _portrait_figures(sitter: Sitter, clips: list[SpokenClip], title: str, least: float) -> list[Figure]:
    """What a portrait shows that is driven by the true phones."""
    talks = [talk(sitter, clip.speech, clip.truth, clip.truth) for clip in clips]
    offset, agreement = sync(talks)
    motion, _ = speech_to_motion(clips[0].speech, clips[0].truth, Acting())
    return [
        Figure(f"{title}, lip gap follows its drive", correlation(talks), least, at_most=False),
        Figure(f"{title}, p b m with closed lips", closed_share(talks), 0.9, at_most=False),
        Figure(f"{title}, lips after the sound, true phones", abs(offset), 10, unit="ms"),
        Figure(f"{title}, agreement with the true phones then", agreement, None),
        Figure(f"{title}, identity distance of the worst frame", _farthest(talks), 0.42),
        Figure(f"{title}, frames per second on two idle cores", frames_per_second(sitter, motion), 40, at_most=False),
    ]


def _listened_figures(sitter: Sitter, clips: list[SpokenClip], heard: list[Heard]) -> list[Figure]:
    """The same portrait driven by what the pack itself hears without the text."""
    talks = [talk(sitter, clip.speech, what, clip.truth) for clip, what in zip(clips, heard, strict=True)]
    offset, agreement = sync(talks)
    by = heard[0].backend
    return [
        Figure(f"closed-mouth portrait, lips after the sound, heard by {by}", abs(offset), 10, unit="ms"),
        Figure(f"closed-mouth portrait, agreement then, heard by {by}", agreement, None),
        Figure(f"closed-mouth portrait, identity distance, heard by {by}", _farthest(talks), 0.42),
    ]


def _analysis_figures(clips: list[SpokenClip]) -> list[Figure]:
    """Seconds of speech per second of work of one core, listening and acting together; the median of three rounds."""
    seconds = sum(clip.speech.duration_s for clip in clips)
    whole: list[float] = []
    acting: list[float] = []
    for _ in range(3):
        began = time.process_time()
        heard = [listen(clip.speech) for clip in clips]
        between = time.process_time()
        for clip, what in zip(clips, heard, strict=True):
            speech_to_motion(clip.speech, what, Acting())
        ended = time.process_time()
        whole.append(seconds / (ended - began))
        acting.append(seconds / (ended - between))
    return [
        Figure("analysis, times faster than real time", float(np.median(whole)), 15, at_most=False, unit="x"),
        Figure("acting alone, times faster than real time", float(np.median(acting)), None, unit="x"),
    ]


def _farthest(talks: list[Talk]) -> float:
    return float(max(one.distances.max() for one in talks))
