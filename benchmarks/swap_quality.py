"""How good a swap is: whose face it shows, whether expression and pose stayed, and what else changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..pipelines.errors import FaceNotFoundError
from ..pipelines.face import Face, Faces, FloatArray
from ..pipelines.geometry.pose import rotation_from_landmarks
from ..pipelines.geometry.raster import rasterise
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.identity.build import build_identity
from ..pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from ..pipelines.stitch import stitch_faces
from ..pipelines.swap import SWAPPERS, swap_faces
from .figure import Figure
from .pictures import read_picture

SAMPLES = Path(__file__).resolve().parents[1] / "assets" / "samples"

#: The landmarks' hull grown by this factor bounds what may change.
HULL_GROWTH = 1.25

_GAZE = [index for index, name in enumerate(BLENDSHAPE_NAMES) if name.startswith("eyeLook")]


def measure() -> list[Figure]:
    """The demo pair in the demo's direction, and the way back for information."""
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    astronaut, hopper = read_picture(SAMPLES / "astronaut.png"), read_picture(SAMPLES / "grace_hopper.jpg")
    figures = measure_swap(analysis, astronaut, hopper)
    back = measure_swap(analysis, hopper, astronaut)
    return figures + [Figure(f"{f.name}, other direction", f.value, None, f.at_most, f.unit) for f in back]


def measure_swap(analysis: FaceAnalysis, source: Tensor, target: Tensor) -> list[Figure]:
    """Swap the largest face of `source` (1, H, W, 3) onto the largest of `target` and measure the result."""
    identity, _ = build_identity(analysis, [source], "source", "")
    faces = analysis.detect(target)
    faces.require_any("The target")
    crops = swap_faces(SWAPPERS[0].load(Registry(TorchRuntime())), target, [(0, faces.frames[0][0], identity)])
    result, mask = stitch_faces(target, crops)
    return measure_pair(analysis, source, target, result, mask)


def measure_pair(analysis: FaceAnalysis, source: Tensor, target: Tensor, result: Tensor, mask: Tensor) -> list[Figure]:
    """The figures of one swap of the largest faces.

    source, target, result: (1, H, W, 3) float in [0, 1]; result and target of one size. mask: (1, H, W), the stitcher's.
    Raises FaceNotFoundError when one of the pictures shows no face.
    """
    before, after = _largest(analysis, target, "The target"), _largest(analysis, result, "The result")
    person = _largest(analysis, source, "The source")
    to_source, to_target = _distances(analysis, (source, person), (target, before), (result, after))
    changed = (result != target).any(-1)[0].numpy()
    hull = grown_hull(_points(before), (target.shape[1], target.shape[2]), HULL_GROWTH)
    expression = np.abs(_blendshapes(after) - _blendshapes(before))
    size = (target.shape[1], target.shape[2])
    turn = np.subtract(
        rotation_from_landmarks(_points(after), size), rotation_from_landmarks(_points(before), size)
    )
    outside = float((changed & (mask[0].numpy() == 0)).sum())
    return [
        Figure("identity distance to the source", to_source, 0.40),
        Figure("identity distance to the target minus to the source", to_target - to_source, 0.0, at_most=False),
        Figure("expression, mean blendshape difference to the target", float(expression.mean()), 0.05),
        Figure("gaze, mean difference of its channels", float(expression[_GAZE].mean()), 0.05),
        Figure("pose, largest difference to the target", float(np.rad2deg(np.abs(turn)).max()), 2.5, unit="°"),
        Figure("pixels changed outside the hull grown by 25 %", float((changed & ~hull).sum()), 0.0),
        Figure("pixels changed outside the mask", outside, 0.0),
        Figure("gradient across the seam, against the target's", _seam(target, result, before), 1.15, unit="x"),
    ]


def grown_hull(landmarks: FloatArray, size_hw: tuple[int, int], growth: float) -> NDArray[np.bool_]:
    """(h, w): inside the convex hull of the landmarks, scaled by `growth` about the landmarks' mean."""
    points = landmarks[:, :2].astype(np.float64)
    order = np.lexsort((points[:, 1], points[:, 0]))
    chain = [*_half_hull(points[order]), *_half_hull(points[order[::-1]])]
    middle = points.mean(0)
    hull = middle + growth * (np.array(chain) - middle)
    fan = np.stack([np.zeros(len(hull) - 2), np.arange(1, len(hull) - 1), np.arange(2, len(hull))], 1).astype(np.int64)
    return rasterise(hull.astype(np.float32), fan, size_hw).covered()


def _half_hull(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """One side of the convex hull of sorted points, without its last one (Andrew 1979)."""
    chain: list[NDArray[np.float64]] = []
    for point in points:
        while len(chain) >= 2:
            a, b = chain[-1] - chain[-2], point - chain[-2]
            if a[0] * b[1] - a[1] * b[0] > 0:
                break
            chain.pop()
        chain.append(point)
    return chain[:-1]


def _largest(analysis: FaceAnalysis, picture: Tensor, what: str) -> Face:
    faces: Faces = analysis.detect(picture)
    faces.require_any(what)
    return faces.frames[0][0]


def _points(face: Face) -> FloatArray:
    if face.landmarks is None:
        raise FaceNotFoundError("Swaps are measured with dense landmarks: use the embedded face analysis.")
    return face.landmarks


def _blendshapes(face: Face) -> FloatArray:
    if face.blendshapes is None:
        raise FaceNotFoundError("Expressions are measured with blendshapes: use the embedded face analysis.")
    return face.blendshapes


def _distances(
    analysis: FaceAnalysis, source: tuple[Tensor, Face], target: tuple[Tensor, Face], result: tuple[Tensor, Face]
) -> tuple[float, float]:
    """The recogniser's distances from the result to the source and to the target."""
    recogniser = analysis.recogniser
    vectors = [recogniser.embed(picture, [(0, face)])[0] for picture, face in (source, target, result)]
    return recogniser.distance(vectors[2], vectors[0]), recogniser.distance(vectors[2], vectors[1])


def _seam(target: Tensor, result: Tensor, face: Face) -> float:
    """Mean brightness gradient along the contour of the target's face, the result's over the target's.

    The contour is the landmarks' hull between 0.9 and 1.1 of its size.
    """
    size = (target.shape[1], target.shape[2])
    band = grown_hull(_points(face), size, 1.1) & ~grown_hull(_points(face), size, 0.9)
    return _mean_gradient(result, band) / max(_mean_gradient(target, band), 1e-9)


def _mean_gradient(picture: Tensor, where: NDArray[np.bool_]) -> float:
    grey = picture[0, :, :, :3].mean(-1)
    x = F.pad(grey[:, 2:] - grey[:, :-2], (1, 1)) / 2
    y = F.pad((grey[2:] - grey[:-2]), (0, 0, 1, 1)) / 2
    return float(torch.sqrt(x * x + y * y)[torch.from_numpy(where)].mean())
