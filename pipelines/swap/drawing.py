"""What is drawn for one swap: the face's mesh, and a collar around it that absorbs the change of outline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..face import FloatArray, as_float_array
from ..geometry.features import EYES, LIP_RINGS, OVAL
from ..geometry.layout import rings_from_oval
from ..geometry.mesh import canonical_mesh
from ..geometry.raster import rasterise

#: The collar's outer edge: the landmarks' hull grown by this factor about its centre; nothing outside may change.
REACH = 1.2

#: Steps of the collar between the oval (0) and its outer edge (1).
_COLLAR = (0.2, 0.45, 0.7, 1.0)

#: How far beyond its oval the source's texture is drawn, in collar units that reach this factor about its centre.
_SOURCE_REACH = 1.2

#: The loops around the two eyes and the mouth: what lies inside has vertices of its own, so that it can be told apart.
OPENINGS = (EYES[0].lids.loop, EYES[1].lids.loop, LIP_RINGS[-1].loop)
_OPENING_POINTS = np.array([index for loop in OPENINGS for index in loop])


@dataclass(frozen=True, eq=False)
class Drawing:
    """Vertices of the mesh, of the insides of eyes and mouth, and of the collar, in this order.

    new: (V, 2) px of the window, where they are drawn. target: (V, 2) px of the window, what of the target's picture
    lies there before the change of shape. source: (V, 2) px of the source's crop. inside: (V,) edges from the oval,
    negative in the collar down to -1 at its outer edge. depth: (V,), larger is further away. height: of the
    window in px.
    """

    new: FloatArray
    target: FloatArray
    source: FloatArray
    inside: FloatArray
    depth: FloatArray
    height: int

    def maps(self, attributes: FloatArray, size_hw: tuple[int, int], step: int = 1) -> Tensor:
        """Values of the vertices (V, C) spread over the window: (C, h, w), 0 where nothing is drawn.

        step: drawn at 1 / step of the resolution and grown, enough for what changes smoothly over a large face.
        """
        small = (-(-size_hw[0] // step), -(-size_hw[1] // step))
        drawn = self.small_maps(attributes, small, 1 / step)
        if step == 1:
            return drawn
        grown = F.interpolate(drawn[None], scale_factor=step, mode="bilinear", align_corners=False)[0]
        return grown[:, : size_hw[0], : size_hw[1]]

    def small_maps(self, attributes: FloatArray, size_hw: tuple[int, int], scale: float) -> Tensor:
        """The same drawn at `scale` times the window's resolution, on (C, *size_hw)."""
        points = as_float_array((self.new + 0.5) * scale - 0.5)
        raster = rasterise(points, drawn_triangles(), size_hw, self.depth)
        return torch.from_numpy(raster.interpolate(attributes)).permute(2, 0, 1)

    def vertices(self, face: FloatArray, left_eye: float, right_eye: float, mouth: float, collar: float) -> FloatArray:
        """Values of the 468 mesh points, with one value each inside the openings and in the collar: (V,)."""
        lengths = [len(loop) for loop in OPENINGS]
        rest = len(self.new) - len(face) - sum(lengths)
        values = np.repeat([left_eye, right_eye, mouth, collar], [*lengths, rest])
        return np.concatenate([face, values]).astype(np.float32)


def draw(source: FloatArray, target: FloatArray, moved: FloatArray, height: int) -> Drawing:
    """The drawing of one face.

    source: (478, 3) px of the source's crop. target, moved: (478, 3) px of the window, the target's points before and
    after the change of shape. height: of the window in px.
    """
    source = _without_teeth(source)
    oval = list(OVAL)
    middle, source_middle = target[:468].mean(0), source[:468].mean(0)
    edge = middle + REACH * (target[oval] - middle)
    source_edge = source_middle + _SOURCE_REACH * (source[oval] - source_middle)
    steps = np.array(_COLLAR, dtype=np.float32)[:, None, None]

    def vertices(points: FloatArray, end: FloatArray) -> FloatArray:
        collar = points[oval] + steps * (end - points[oval])[None]
        return as_float_array(np.concatenate([points[:468], points[_OPENING_POINTS], collar.reshape(-1, 3)]))

    new = vertices(moved, edge)
    rank = np.minimum(rings_from_oval(), 3).astype(np.float32)
    collar = np.arange(len(new)) >= 468 + len(_OPENING_POINTS)
    inside = np.concatenate([rank, rank[_OPENING_POINTS], -np.repeat(steps.ravel(), len(oval))])
    return Drawing(
        new=new[:, :2],
        target=vertices(target, edge)[:, :2],
        source=vertices(source, source_edge)[:, :2],
        inside=as_float_array(inside),
        depth=np.where(collar, new[:, 2] + np.ptp(moved[:, 2]), new[:, 2]),
        height=height,
    )


def _without_teeth(source: FloatArray) -> FloatArray:
    """The source's points with the inner edge of its lips drawn into the lips, so that no teeth show beside it.

    The wider its mouth is open, the further: nearly to the next ring when the gap is a ninth of the mouth's width.
    """
    inner, middle, outer = LIP_RINGS[-1], LIP_RINGS[-2], LIP_RINGS[0]
    upper, lower = source[list(inner.upper)], source[list(inner.lower)]
    width = max(float(np.linalg.norm(source[inner.corners[1], :2] - source[inner.corners[0], :2])), 1e-6)
    share = min(8 * float(np.linalg.norm((lower - upper)[:, :2], axis=1).max()) / width, 0.9)
    out = source.copy()
    for points, towards in ((inner.upper, middle.upper), (inner.lower, middle.lower), (inner.corners, outer.corners)):
        out[list(points)] += share * (source[list(towards)] - source[list(points)])
    return out


@cache
def drawn_triangles() -> NDArray[np.int64]:
    """(T, 3): the face, the insides of eyes and mouth on vertices of their own, and the collar as strips of quads."""
    face = canonical_mesh().triangles.astype(np.int64)
    start = 468
    for loop in OPENINGS:
        inside = np.isin(face, loop).all(1)
        own = np.zeros(468, dtype=np.int64)
        own[list(loop)] = start + np.arange(len(loop))
        face[inside] = own[face[inside]]
        start += len(loop)
    count = len(OVAL)
    loops = [np.array(OVAL)] + [start + step * count + np.arange(count) for step in range(len(_COLLAR))]
    strips: list[NDArray[np.int64]] = []
    for near, far in zip(loops[:-1], loops[1:], strict=True):
        next_near, next_far = np.roll(near, -1), np.roll(far, -1)
        strips += [np.stack([near, next_near, far], 1), np.stack([next_near, next_far, far], 1)]
    return np.concatenate([face, *strips])


def window(target: FloatArray, height: int, width: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 (exclusive) of the part of the picture that a swap may touch."""
    middle = target[:468, :2].mean(0)
    reach = middle + REACH * (target[list(OVAL), :2] - middle)
    reach = np.concatenate([reach, target[:468, :2]])
    x0, y0 = np.floor(reach.min(0)).astype(int) - 1
    x1, y1 = np.ceil(reach.max(0)).astype(int) + 2
    return max(int(x0), 0), max(int(y0), 0), min(int(x1), width), min(int(y1), height)
