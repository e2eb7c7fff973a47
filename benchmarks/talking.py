"""Portraits that say the LibriVox clips, looked at frame by frame with the landmark and the identity network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..pipelines.audio.articulation import lips_apart
from ..pipelines.audio.heard import STEPS_HZ, Heard
from ..pipelines.audio.performance import Acting, speech_to_motion
from ..pipelines.audio.phone_shapes import CLOSED_SHARE
from ..pipelines.audio.speech import Speech
from ..pipelines.audio.visemes import opening_curve
from ..pipelines.face import FloatArray, as_float_array
from ..pipelines.motion.motion import Motion
from .expression import Sitter
from .threads import torch_threads

FPS = 25.0

#: Pairs of points on the inner edges of the lips (upper, lower), and the outer corners of the eyes.
_PAIRS, _EYES = ((82, 87), (13, 14), (312, 317)), (33, 263)

#: Lips nearer than this, in distances between the outer eye corners, are closed: a photo of closed lips measures up to
#: 0.015, an s 0.07 and more.
CLOSED = 0.035

#: Steps per second and the longest shift at which sound and picture are compared, s.
_SYNC_HZ, _SYNC_REACH_S = 200, 0.16


@dataclass(frozen=True, eq=False)
class Talk:
    """A portrait that said a clip: (T,) the gap between its lips as measured, the opening that drove it, the identity's
    distance; which frames show the middle of a p, b or m; what really was said."""

    gaps: FloatArray
    drive: FloatArray
    distances: FloatArray
    closures: tuple[int, ...]
    truth: Heard


def talk(sitter: Sitter, speech: Speech, heard: Heard, truth: Heard) -> Talk:
    """Render what was heard, with head, eyes and all, and measure every frame."""
    motion, _ = speech_to_motion(speech, heard, Acting(fps=FPS))
    gaps: list[float] = []
    distances: list[float] = []
    for picture in frames(sitter, motion):
        faces = sitter.analysis.detect(picture[None])
        faces.require_any("The rendered frame")
        face = faces.frames[0][0]
        assert face.landmarks is not None
        gaps.append(lip_gap(face.landmarks))
        vector = sitter.analysis.recogniser.embed(picture[None], [(0, face)])[0]
        distances.append(sitter.analysis.recogniser.distance(vector, sitter.vector))
    drive = lips_apart(motion.blendshapes)
    return Talk(as_float_array(gaps), drive, as_float_array(distances), closures(truth, len(motion)), truth)


def frames(sitter: Sitter, motion: Motion) -> Iterator[Tensor]:
    """The pictures (H, W, 3) of a motion."""
    for index in range(len(motion)):
        yield sitter.portrait.frame(motion.blendshapes[index], motion.rotation[index], motion.translation[index])


def lip_gap(mesh: FloatArray) -> float:
    """The mean distance between the inner lips, in distances between the outer eye corners."""
    between = [np.linalg.norm(mesh[upper, :2] - mesh[lower, :2]) for upper, lower in _PAIRS]
    return float(np.mean(between) / np.linalg.norm(mesh[_EYES[0], :2] - mesh[_EYES[1], :2]))


def closures(truth: Heard, count: int) -> tuple[int, ...]:
    """The frame that shows the middle of each closure."""
    moments = [p.start_s + CLOSED_SHARE[p.name] * (p.end_s - p.start_s) / 2 for p in truth.phones if p.name in "PBM"]
    return tuple(min(int(moment * FPS), count - 1) for moment in moments)


def correlation(talks: list[Talk]) -> float:
    """How the measured gap follows the opening that drove it, over all clips."""
    gaps, drive = (np.concatenate(rows) for rows in ([t.gaps for t in talks], [t.drive for t in talks]))
    return float(np.corrcoef(gaps, drive)[0, 1])


def closed_share(talks: list[Talk]) -> float:
    """The share of p, b and m whose frame shows closed lips."""
    found = [float(t.gaps[frame]) <= CLOSED for t in talks for frame in t.closures]
    return float(np.mean(found))


def sync(talks: list[Talk]) -> tuple[float, float]:
    """By how many ms the lips come after the sound (below 0: before it), and how well they then agree.

    The gap, held as long as a player shows its frame, is correlated with the opening that the true phones ask for, at
    all shifts; the best one is refined by a parabola. Clips are far apart, so none is compared with another one.
    """
    apart = np.zeros(round(2 * _SYNC_REACH_S * _SYNC_HZ))
    seen: list[NDArray[np.float64]] = []
    asked: list[NDArray[np.float64]] = []
    for one in talks:
        times = (np.arange(int(one.truth.duration_s * _SYNC_HZ)) + 0.5) / _SYNC_HZ
        gap = one.gaps[np.minimum((times * FPS).astype(int), len(one.gaps) - 1)].astype(np.float64)
        truth = opening_curve(one.truth)[np.minimum((times * STEPS_HZ).astype(int), len(one.truth.opening) - 1)]
        for rows, curve in ((seen, gap), (asked, truth.astype(np.float64))):
            rows += [curve - curve.mean(), apart]
    a, b = np.concatenate(seen), np.concatenate(asked)
    reach = round(_SYNC_REACH_S * _SYNC_HZ)
    scores = np.array([float((np.roll(b, shift) * a).sum()) for shift in range(-reach, reach + 1)])
    scores /= np.sqrt((a**2).sum() * (b**2).sum())
    best = int(np.clip(scores.argmax(), 1, len(scores) - 2))
    left, top, right = scores[best - 1 : best + 2]
    shift = best - reach + (left - right) / (2 * (left - 2 * top + right))
    return float(1000 * shift / _SYNC_HZ), float(top)


@torch_threads(2)
def frames_per_second(sitter: Sitter, motion: Motion) -> float:
    """How fast a talking portrait is rendered; the median of five rounds over a second of it."""
    rounds: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        for index in range(25, 50):
            sitter.portrait.frame(motion.blendshapes[index], motion.rotation[index], motion.translation[index])
        rounds.append(25 / (time.perf_counter() - began))
    return float(np.median(rounds))
