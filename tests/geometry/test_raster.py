"""Triangles to pixels."""

import numpy as np
import pytest

from likeness.pipelines.geometry.raster import rasterise


def grid_mesh(seed=0, size=40.0):
    """A jittered grid that covers (2, 2) to (size, size) without gaps."""
    rng = np.random.default_rng(seed)
    steps = np.linspace(2, size, 8)
    x, y = np.meshgrid(steps, steps)
    points = np.stack([x, y], -1)
    points[1:-1, 1:-1] += rng.uniform(-1.5, 1.5, points[1:-1, 1:-1].shape)
    index = np.arange(64).reshape(8, 8)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    return points.reshape(-1, 2).astype(np.float32), np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def slow_raster(points, triangles, size_hw):
    out = np.full(size_hw, -1)
    for number, triangle in enumerate(triangles):
        a, b, c = points[triangle].astype(np.float64)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        for y in range(size_hw[0]):
            for x in range(size_hw[1]):
                p = np.array([x, y])
                u = ((b[0] - p[0]) * (c[1] - p[1]) - (b[1] - p[1]) * (c[0] - p[0])) / area
                v = ((c[0] - p[0]) * (a[1] - p[1]) - (c[1] - p[1]) * (a[0] - p[0])) / area
                if u >= 0 and v >= 0 and u + v <= 1:
                    out[y, x] = number
    return out


def test_the_same_pixels_as_the_slow_obvious_way():
    points, triangles = grid_mesh()
    points, triangles = points[:16], triangles[(triangles < 16).all(1)]
    covered = rasterise(points, triangles, (20, 50)).covered()
    slow = slow_raster(points, triangles, (20, 50)) >= 0
    assert slow.sum() > 100 and not (slow & ~covered).any() and (covered & ~slow).sum() <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_closed_mesh_has_no_holes_and_carries_its_coordinates_exactly(seed):
    points, triangles = grid_mesh(seed)
    raster = rasterise(points, triangles, (48, 48))
    y, x = np.mgrid[:48, :48]
    inside = (x >= 2) & (x <= 40) & (y >= 2) & (y <= 40)
    assert np.array_equal(raster.covered(), inside)
    maps = raster.interpolate(points, fill=-1)
    assert np.abs(maps[inside] - np.stack([x, y], -1)[inside]).max() < 1e-4
    assert (maps[~inside] == -1).all()


def test_what_lies_outside_the_picture_is_cut():
    points, triangles = grid_mesh()
    part = rasterise(points - 15, triangles, (20, 20))
    assert part.covered().all() and part.pixels().min() >= 0 and part.pixels().max() < 400


def test_the_nearer_of_two_triangles_is_seen_whatever_their_order():
    points = np.array([[0, 0], [20, 0], [0, 20], [0, 0], [20, 0], [0, 20]], dtype=np.float32)
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    value = np.array([[1], [1], [1], [2], [2], [2]], dtype=np.float32)
    depth = np.array([5, 5, 5, 1, 1, 1], dtype=np.float32)
    for order in ([0, 1], [1, 0]):
        seen = rasterise(points, triangles[order], (10, 10), depth).interpolate(value)
        assert (seen[:8, 0] == 2).all()


def test_triangles_without_area_and_both_windings_are_ordinary():
    points = np.array([[1, 1], [8, 1], [1, 8], [4, 4], [4, 4]], dtype=np.float32)
    one = rasterise(points, np.array([[0, 1, 2], [3, 4, 0]]), (10, 10)).covered()
    other = rasterise(points, np.array([[2, 1, 0]]), (10, 10)).covered()
    assert np.array_equal(one, other) and one.sum() == 36
    assert rasterise(points, np.array([[3, 4, 0]]), (10, 10)).covered().sum() == 0
