"""The five-point picture that IdentityNet was trained on, pixel for pixel.

Limbs from eyes and mouth corners to the nose as thin filled ellipses at 0.6 of their colour, discs of radius 10 over
them. The rasteriser repeats the integer rules of OpenCV's polygon and circle, which drew the training pictures.
Source: InstantID, pipeline_stable_diffusion_xl_instantid.py; OpenCV, modules/imgproc/src/drawing.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import FloatArray

#: Of the image-left eye, image-right eye, nose, image-left and image-right mouth corner.
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
#: Every other point is joined to the nose.
LIMBS = ((0, 2), (1, 2), (3, 2), (4, 2))
STICK_PX, DISC_PX, DIM = 4, 10, 0.6

Canvas = NDArray[np.uint8]
Point = tuple[int, int]

#: OpenCV keeps sines of whole degrees as float32 with seven decimals.
_SINES = [float(np.float32(round(math.sin(math.radians(degree)), 7))) for degree in range(451)]
#: Bits behind the point in OpenCV's scan conversion.
_SHIFT = 16


def draw_point_picture(points: Sequence[FloatArray], height: int, width: int) -> Tensor:
    """(H, W, 3) float in [0, 1] with every face drawn.

    points: per face (5, 2) px in the picture, order of `face.five_points`; parts outside the picture are cut off.
    Several faces: all limbs first, then all discs. Raises InputError for another number of points.
    """
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    for face in points:
        if face.shape != (5, 2):
            raise InputError(f"IdentityNet's picture shows five points per face, not {face.shape[0]}.")
        for start, end in LIMBS:
            _fill_polygon(canvas, _limb(face[start], face[end]), COLOURS[start])
    canvas = (canvas * DIM).astype(np.uint8)
    for face in points:
        for (x, y), colour in zip(face, COLOURS, strict=True):
            _fill_disc(canvas, (int(x), int(y)), colour)
    return torch.from_numpy(canvas).float() / 255


def _limb(start: FloatArray, end: FloatArray) -> list[Point]:
    """The outline of the ellipse between two points."""
    (x0, y0), (x1, y1) = start, end
    length = ((x0 - x1) ** 2 + (y0 - y1) ** 2) ** 0.5
    angle = int(math.degrees(math.atan2(y0 - y1, x0 - x1)))
    middle = (int(np.mean([x0, x1], dtype=start.dtype)), int(np.mean([y0, y1], dtype=start.dtype)))
    return _ellipse(middle, (int(length / 2), STICK_PX), angle)


def _ellipse(centre: Point, axes: tuple[int, int], angle: int) -> list[Point]:
    """A point per degree, rounded to pixels (halves to even), without repetitions in a row."""
    angle = angle % 360
    cosine, sine = _SINES[450 - angle], _SINES[angle]
    points: list[Point] = []
    for degree in range(361):
        x, y = axes[0] * _SINES[450 - degree], axes[1] * _SINES[degree]
        point = (round(centre[0] + x * cosine - y * sine), round(centre[1] + x * sine + y * cosine))
        if not points or points[-1] != point:
            points.append(point)
    return points if len(points) > 1 else [centre, centre]


def _fill_polygon(canvas: Canvas, points: list[Point], colour: Sequence[int]) -> None:
    """A convex polygon with its outline."""
    for before, point in zip([points[-1], *points[:-1]], points, strict=True):
        for x, y in _line(before, point):
            if 0 <= x < canvas.shape[1] and 0 <= y < canvas.shape[0]:
                canvas[y, x] = colour
    if len(points) >= 3:
        for y, first, last in _scanlines(points):
            _fill_row(canvas, y, first, last, colour)


def _fill_row(canvas: Canvas, y: int, first: int, last: int, colour: Sequence[int]) -> None:
    if 0 <= y < canvas.shape[0] and last >= 0:
        canvas[y, max(first, 0) : last + 1] = colour


def _line(start: Point, end: Point) -> Iterator[Point]:
    """Bresenham's line, always drawn from left to right."""
    if end[0] < start[0]:
        start, end = end, start
    (x, y), dx, dy = start, end[0] - start[0], abs(end[1] - start[1])
    down = 1 if end[1] >= start[1] else -1
    steep = dy > dx
    longer, shorter = (dy, dx) if steep else (dx, dy)
    error = longer - 2 * shorter
    for _ in range(longer + 1):
        yield x, y
        aside = error < 0
        error += 2 * (longer if aside else 0) - 2 * shorter
        x += 1 if not steep or aside else 0
        y += down if steep or aside else 0


class _Edge:
    """One side of a convex polygon, walked downwards in fixed point."""

    def __init__(self, points: list[Point], top: int, step: int) -> None:
        self.points, self.place, self.step = points, top, step
        self.end, self.x, self.slope = points[top][1], -(1 << _SHIFT), 0

    def next_side(self, y: int, left: int) -> int:
        """Take the next side that ends below row y; `left` sides are not yet used. Returns how many are left."""
        before = self.place
        place = (before + self.step) % len(self.points)
        while left > 0:
            left -= 1
            end = self.points[place][1]
            if end > y:
                first, last = self.points[before][0] << _SHIFT, self.points[place][0] << _SHIFT
                self.slope = _towards_zero((last - first) * 2 + (end - y), 2 * (end - y))
                self.end, self.x, self.place = end, first, place
                return left
            before, place = place, (place + self.step) % len(self.points)
        return left - 1


def _towards_zero(numerator: int, denominator: int) -> int:
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


def _scanlines(points: list[Point]) -> Iterator[tuple[int, int, int]]:
    """(row, first, last column) of the inside of a convex polygon."""
    top = min(range(len(points)), key=lambda index: points[index][1])
    edges = _Edge(points, top, 1), _Edge(points, top, len(points) - 1)
    left = len(points)
    for y in range(points[top][1], max(y for _, y in points) + 1):
        for edge in edges:
            if y >= edge.end:
                left = edge.next_side(y, left)
        first, last = sorted(((edge.x + (1 << _SHIFT >> 1)) >> _SHIFT) for edge in edges)
        yield y, first, last
        for edge in edges:
            edge.x += edge.slope


def _fill_disc(canvas: Canvas, centre: Point, colour: Sequence[int]) -> None:
    """OpenCV's filled circle of radius DISC_PX."""
    (x, y), error, dx, dy, plus, minus = centre, 0, DISC_PX, 0, 1, 2 * DISC_PX - 1
    while dx >= dy:
        for row, half in ((y - dy, dx), (y + dy, dx), (y - dx, dy), (y + dx, dy)):
            _fill_row(canvas, row, x - half, x + half, colour)
        dy, error, plus = dy + 1, error + plus, plus + 2
        if error > 0:
            error, dx, minus = error - minus, dx - 1, minus - 2
