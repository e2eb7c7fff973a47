"""How a displacement of the features spreads over the whole mesh, and how far inside the face a point lies."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .features import BROWS, LIDS, LIPS, NOSE, OVAL
from .mesh import canonical_mesh

#: The points whose displacement is decided one by one; all others follow smoothly.
KEYS: tuple[int, ...] = tuple(dict.fromkeys((*OVAL, *LIPS, *LIDS, *BROWS[0], *BROWS[1], *NOSE)))


@cache
def spread_matrix() -> FloatArray:
    """(468, K): displacement of every mesh point from those of the `KEYS`.

    Concretely the biharmonic extension over the mesh graph: the free points minimise |L x|² with the key points
    fixed, L being the graph Laplacian with uniform weights; keys keep their own value.
    """
    mesh = canonical_mesh()
    count = len(mesh.points)
    laplacian = np.zeros((count, count))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        laplacian[mesh.triangles[:, a], mesh.triangles[:, b]] = -1.0
        laplacian[mesh.triangles[:, b], mesh.triangles[:, a]] = -1.0
    degree = -laplacian.sum(1)
    laplacian = np.eye(count) + laplacian / degree[:, None]
    energy = laplacian.T @ laplacian
    keys = np.array(KEYS)
    free = np.setdiff1d(np.arange(count), keys)
    out = np.zeros((count, len(keys)))
    out[keys, np.arange(len(keys))] = 1.0
    out[free] = np.linalg.solve(energy[np.ix_(free, free)], -energy[np.ix_(free, keys)])
    return out.astype(np.float32)


@cache
def rings_from_oval() -> NDArray[np.int64]:
    """(468,): how many edges a mesh point is away from the oval; 0 on it."""
    triangles = canonical_mesh().triangles
    rank = np.full(len(canonical_mesh().points), -1)
    rank[list(OVAL)] = 0
    level = 0
    while (rank < 0).any():
        near = triangles[(rank[triangles] == level).any(1)].ravel()
        rank[near[rank[near] < 0]] = level + 1
        level += 1
    return rank


def region(indices: tuple[int, ...], value: float = 1.0, rest: float = 0.0) -> FloatArray:
    """(468,): `value` at the points of a region, `rest` elsewhere."""
    out = np.full(len(canonical_mesh().points), rest, dtype=np.float32)
    out[list(indices)] = value
    return out
