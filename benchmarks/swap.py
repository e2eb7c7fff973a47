"""What a swap costs, in passes of the embedded identity network: one thread, one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ..pipelines.face import Face, as_float_array
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.build import build_identity
from ..pipelines.identity.identity import Identity
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.stitch import stitch_faces
from ..pipelines.swap import SWAPPERS, SwapOptions, swap_faces
from .figure import Figure
from .pictures import read_picture
from .swap_quality import SAMPLES
from .threads import torch_threads

FACE_PX = 320
ROUNDS = 15


@torch_threads(1)
def measure() -> list[Figure]:
    """A face of 320 px, swapped and stitched into its picture, against one pass of the identity network."""
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    source, target = read_picture(SAMPLES / "astronaut.png"), read_picture(SAMPLES / "grace_hopper.jpg")
    identity, _ = build_identity(analysis, [source], "source", "")
    picture, face = enlarged(analysis, target, FACE_PX)
    swapper = SWAPPERS[0].load(Registry(TorchRuntime()))
    options = SwapOptions()

    def swap() -> None:
        stitch_faces(picture, swap_faces(swapper, picture, [(0, face, identity)], options))

    pass_ms, swap_ms = alternating(lambda: _embed(analysis, identity), swap)
    return [
        Figure("one pass of the identity network", pass_ms, None, unit="ms"),
        Figure(f"swap and stitch a {FACE_PX} px face", swap_ms, None, unit="ms"),
        Figure(f"a {FACE_PX} px face in passes of the identity network", swap_ms / pass_ms, 4.5, unit="x"),
    ]


def enlarged(analysis: FaceAnalysis, picture: Tensor, face_px: int) -> tuple[Tensor, Face]:
    """The picture scaled so that the longer side of its largest face is `face_px`, and that face in it."""
    face = analysis.detect(picture).frames[0][0]
    scale = face_px / max(face.width_px, face.height_px)
    larger = F.interpolate(picture.permute(0, 3, 1, 2), scale_factor=scale, mode="bicubic").clamp(0, 1)
    landmarks = None if face.landmarks is None else as_float_array(face.landmarks * np.float32(scale))
    moved = replace(
        face,
        bbox_xyxy=as_float_array(face.bbox_xyxy * scale),
        landmarks5=as_float_array(face.landmarks5 * scale),
        landmarks=landmarks,
    )
    return larger.permute(0, 2, 3, 1).contiguous(), moved


def alternating(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """Median ms of both, run in turns so that both see the same load of the machine."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(ROUNDS + 2):
        for row, run in zip(times, (first, second), strict=True):
            start = time.perf_counter()
            run()
            if round_ >= 2:
                row.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times[0])), float(np.median(times[1]))


def _embed(analysis: FaceAnalysis, identity: Identity) -> None:
    analysis.recogniser.embed(identity.pictures()[:1], identity.faces()[:1])
