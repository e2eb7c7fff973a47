"""Mattes of faces in videos: whether their edges step or flicker, and what one costs."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..pipelines.face import Faces, TrackedFrame
from ..pipelines.geometry.templates import crop_from_image
from ..pipelines.geometry.warp import crop_pictures
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.stitch.masked_parts import MaskedParts
from ..pipelines.stitch.matte import TrackedMatte
from ..pipelines.stitch.regions import face_masks
from ..pipelines.swap.occluders import load_occluder
from .clips import Placed, clip_of
from .figure import Figure
from .threads import torch_threads
from .video_faces import tracked

#: Frames of a clip, side of the square in face coordinates, and half the width of the edge, px of it.
FRAMES, SIDE, EDGE = 36, 256, 8


@torch_threads(1)
def measure() -> list[Figure]:
    """Flicker at the edges of mattes, and time per frame."""
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    guess = load_occluder(registry, "guess")
    drifts = [(Placed("astronaut", 320 + 0.15 * step, 180, 120),) for step in range(FRAMES)]
    turns = [
        (Placed("astronaut", 310 + 80 * np.sin(step / 6), 180, 190 + 40 * np.sin(step / 6), 10 * np.sin(step / 4)),)
        for step in range(FRAMES)
    ]
    figures: list[Figure] = []
    # a face that moves changes its outline as well, whatever it is drawn with
    clips = (("a face that drifts slowly", drifts, 0.01, 0.35), ("one that moves and turns", turns, 0.004, 0.9))
    for title, places, noise, limit in clips:
        frames = tracked(analysis, list(clip_of(list(places), [4] * FRAMES, noise).frames))
        mattes = _flicker(frames, _drawn(frames, True)) / _flicker(frames, _drawn(frames, False))
        figures.append(
            Figure(f"flicker at the edge of a matte, in that of whole pixels: {title}", mattes, limit, unit="x")
        )
        mask = MaskedParts(("face",), occluder=guess)
        alone = [mask.draw(_faces(frame), frame.picture[None])[0][0] for frame in frames]
        guessed = _flicker(frames, _steady(frames, mask)) / _flicker(frames, alone)
        figures.append(
            Figure("... of what is guessed to be in front, in that of frames alone", guessed, 0.65, unit="x")
        )
    return [*figures, _cost(frames)]


def _faces(frame: TrackedFrame) -> Faces:
    return Faces((frame.faces,), frame.picture.shape[0], frame.picture.shape[1])


def _drawn(frames: Sequence[TrackedFrame], fine: bool) -> list[Tensor]:
    return [face_masks(_faces(frame), fine=fine)[0] for frame in frames]


def _steady(frames: Sequence[TrackedFrame], mask: MaskedParts) -> list[Tensor]:
    """The mattes (H, W) as the node makes them."""
    work = TrackedMatte(mask)
    return [work.change(frames[k : k + 1 + work.ahead])[0][..., 0] for k in range(len(frames))]


def _flicker(frames: Sequence[TrackedFrame], mattes: Sequence[Tensor]) -> float:
    """Mean of |m(t) - (m(t - 1) + m(t + 1)) / 2| at the edge, in face coordinates."""
    squares = [crop_from_image(frame.faces[0], "ffhq_512", SIDE)[None] for frame in frames]
    seen = torch.cat(
        [crop_pictures(m[None, ..., None], (0,), s, (SIDE, SIDE)) for m, s in zip(mattes, squares, strict=True)]
    )[..., 0]
    inside = (seen > 0.5).float().mean(0) > 0.5
    near, far = (F.max_pool2d(part.float()[None, None], 2 * EDGE + 1, 1, EDGE)[0, 0] > 0 for part in (inside, ~inside))
    return float((seen[1:-1] - (seen[:-2] + seen[2:]) / 2).abs()[:, near & far].mean())


def _cost(frames: Sequence[TrackedFrame]) -> Figure:
    times: list[float] = []
    for _ in range(5):
        start = time.perf_counter()
        _steady(frames, MaskedParts(("face",)))
        times.append((time.perf_counter() - start) * 1e3 / len(frames))
    return Figure("drawing the matte of a frame, 640 × 360, one face", float(np.median(times)), None, unit="ms")
