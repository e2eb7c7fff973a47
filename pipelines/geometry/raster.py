"""Triangles to pixels: one vectorised pass that carries any number of vertex attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray

_EDGE_PX = 1e-4  # a pixel centre this far outside an edge still belongs, so that neighbours leave no gap


@dataclass(frozen=True, eq=False)
class Raster:
    """Which triangle covers which pixel centre, as runs of pixels along rows.

    Run r covers the pixels `(x[r] .. x[r] + length[r] - 1, y[r])` of triangle `triangle[r]`; where runs overlap the
    later one is in front. points: (V, 2) px and triangles: (T, 3) are what was drawn.
    """

    points: FloatArray
    triangles: NDArray[np.int64]
    size_hw: tuple[int, int]
    triangle: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    length: NDArray[np.int64]
    run: NDArray[np.int64]
    step: NDArray[np.int64]

    def pixels(self) -> NDArray[np.int64]:
        """(P,) flat index `y * width + x` of every covered pixel, in drawing order."""
        return (self.y * self.size_hw[1] + self.x)[self.run] + self.step

    def interpolate(self, attributes: FloatArray, fill: float = 0.0) -> FloatArray:
        """Vertex attributes (V, C) spread linearly over the triangles: (h, w, C), `fill` where nothing is drawn.

        Concretely the affine function through a triangle's three vertices, evaluated at each pixel centre.
        """
        height, width = self.size_hw
        channels = attributes.shape[1]
        out = np.full((channels, height * width), fill, dtype=np.float32)
        pixels = self.pixels()
        base, slope = self._affine(attributes)
        step = self.step.astype(np.float32)
        for channel in range(channels):
            out[channel, pixels] = base[:, channel][self.run] + slope[:, channel][self.run] * step
        return np.ascontiguousarray(out.reshape(channels, height, width).transpose(1, 2, 0))

    def covered(self) -> NDArray[np.bool_]:
        """(h, w): where any triangle lies."""
        out = np.zeros(self.size_hw[0] * self.size_hw[1], dtype=np.bool_)
        out[self.pixels()] = True
        return out.reshape(self.size_hw)

    def _affine(self, attributes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Per run the attribute at its first pixel and its change per pixel along the row."""
        corners = self.points[self.triangles].astype(np.float64)
        values = attributes[self.triangles].astype(np.float64)
        edges, rise = corners[:, 1:] - corners[:, :1], values[:, 1:] - values[:, :1]
        determinant = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
        inverse = 1.0 / determinant[:, None]
        by_x = (rise[:, 0] * edges[:, 1, 1:] - rise[:, 1] * edges[:, 0, 1:]) * inverse
        by_y = (rise[:, 1] * edges[:, 0, :1] - rise[:, 0] * edges[:, 1, :1]) * inverse
        from_corner = np.stack([self.x, self.y], 1) - corners[self.triangle, 0]
        base = values[self.triangle, 0] + by_x[self.triangle] * from_corner[:, :1] + by_y[self.triangle] * from_corner[:, 1:]
        return base.astype(np.float32), by_x[self.triangle].astype(np.float32)


def rasterise(
    points: FloatArray, triangles: NDArray[np.int64], size_hw: tuple[int, int], depth: FloatArray | None = None
) -> Raster:
    """Find the pixels of every triangle.

    points: (V, 2) px, pixel centres at integers. triangles: (T, 3) indices; either winding; triangles without area
    are left out. size_hw: of the picture; what lies outside is cut. depth: (V,) larger is further away: nearer
    triangles are drawn over further ones (by their mean depth); without it later triangles win.
    """
    corners = points[triangles][:, :, :2].astype(np.float64)
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    order = np.arange(len(triangles)) if depth is None else np.argsort(-depth[triangles].mean(1), kind="stable")
    order = order[np.abs(area[order]) > 1e-6]
    corners, area = corners[order], area[order]
    corners = np.where((area < 0)[:, None, None], corners[:, [0, 2, 1]], corners)
    triangle, y, low, high = _runs(corners, size_hw)
    length = high - low + 1
    keep = length > 0
    triangle, y, low, length = triangle[keep], y[keep], low[keep], length[keep]
    run = np.repeat(np.arange(len(length)), length)
    step = np.arange(len(run)) - np.repeat(np.cumsum(length) - length, length)
    return Raster(
        points[:, :2].astype(np.float32), triangles[order], size_hw, triangle, low, y, length, run, step
    )


def _runs(
    corners: NDArray[np.float64], size_hw: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Per triangle and row: (triangle, y, first x, last x), counter-clockwise corners in y-down pixels."""
    height, width = size_hw
    first = np.maximum(np.ceil(corners[:, :, 1].min(1) - _EDGE_PX), 0).astype(np.int64)
    last = np.minimum(np.floor(corners[:, :, 1].max(1) + _EDGE_PX), height - 1).astype(np.int64)
    rows = np.maximum(last - first + 1, 0)
    triangle = np.repeat(np.arange(len(corners)), rows)
    y = first[triangle] + np.arange(len(triangle)) - np.repeat(np.cumsum(rows) - rows, rows)
    low = np.zeros(len(triangle))
    high = np.full(len(triangle), width - 1.0)
    for index in range(3):
        start, end = corners[:, index], corners[:, (index + 1) % 3]
        direction = end - start
        # inside is where cross(direction, p - start) >= 0, linear in x with slope -direction_y
        slope = -direction[triangle, 1]
        value = direction[triangle, 0] * (y - start[triangle, 1]) + direction[triangle, 1] * start[triangle, 0]
        slack = _EDGE_PX * np.abs(direction).sum(1)[triangle]
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = -(value + slack) / slope
        low = np.where(slope > 0, np.maximum(low, bound), low)
        high = np.where(slope < 0, np.minimum(high, bound), high)
        high = np.where((slope == 0) & (value + slack < 0), -1.0, high)
    return triangle, y, np.ceil(np.clip(low, -1, width)).astype(np.int64), np.floor(np.clip(high, -1, width)).astype(np.int64)


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
