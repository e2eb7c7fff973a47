"""The canonical mesh and its features fit together."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.geometry import mesh
from likeness.pipelines.geometry.mesh import canonical_mesh

LOOPS = ("FACE_OVAL", "LIPS_OUTER", "LIPS_INNER", "LEFT_EYE", "RIGHT_EYE", "LEFT_BROW", "RIGHT_BROW", "NOSE")


def edges(triangles: np.ndarray) -> list[tuple[int, int]]:
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return [(int(a), int(b)) for a, b in np.sort(pairs, axis=1)]


def test_the_mesh_has_468_points_898_triangles_and_852_of_skin() -> None:
    canonical = canonical_mesh()
    assert canonical.points.shape == (468, 3) and canonical.uv.shape == (468, 2)
    assert canonical.triangles.shape == (898, 3) and canonical.skin_triangles.shape == (852, 3)
    assert sorted(np.unique(canonical.triangles)) == list(range(468))
    assert canonical.uv.min() >= 0 and canonical.uv.max() <= 1
    assert canonical.pose_points.shape == canonical.pose_weights.shape == (33,)


def test_the_border_of_the_mesh_is_the_face_oval_and_of_its_skin_also_eyes_and_mouth() -> None:
    def border(triangles: np.ndarray) -> set[int]:
        found = edges(triangles)
        once = {edge for edge in found if found.count(edge) == 1}
        return {point for edge in once for point in edge}

    canonical = canonical_mesh()
    assert border(canonical.triangles) == set(mesh.FACE_OVAL)
    openings = {*mesh.LEFT_EYE, *mesh.RIGHT_EYE, *mesh.LIPS_INNER}
    assert border(canonical.skin_triangles) == set(mesh.FACE_OVAL) | openings


@pytest.mark.parametrize("name", ["FACE_OVAL", "LIPS_OUTER", "LIPS_INNER", "LEFT_EYE", "RIGHT_EYE"])
def test_neighbours_on_a_loop_are_joined_by_an_edge_of_the_mesh(name: str) -> None:
    loop = getattr(mesh, name)
    joined = set(edges(canonical_mesh().triangles))
    for a, b in zip(loop, (*loop[1:], loop[0]), strict=True):
        assert (min(a, b), max(a, b)) in joined, (name, a, b)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_name_each_point_once_and_do_not_cross_themselves(name: str) -> None:
    loop = list(getattr(mesh, name))
    assert len(set(loop)) == len(loop)
    points = canonical_mesh().points[loop, :2].astype(np.float64)
    following = np.roll(points, -1, axis=0)
    area = 0.5 * np.sum(points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0])
    assert abs(area) > 0.3  # cm², a crossed loop cancels itself out


def test_left_is_the_left_side_of_the_picture_and_y_points_up() -> None:
    points = canonical_mesh().points
    assert points[list(mesh.LEFT_EYE), 0].max() < 0 < points[list(mesh.RIGHT_EYE), 0].min()
    assert points[list(mesh.LEFT_BROW), 1].mean() > points[list(mesh.LEFT_EYE), 1].mean() > points[152, 1]
    assert points[list(mesh.NOSE_LINE), 2].max() == points[:, 2].max()


def test_the_shared_arrays_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        canonical_mesh().points[0] = 0
    assert canonical_mesh() is canonical_mesh()
