"""The canonical face mesh of MediaPipe (Apache-2.0) and which of its points make which feature.

Left and right are sides of the picture of an upright face that looks at the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ..face import FloatArray

MESH_FILE = Path(__file__).with_name("canonical_face_mesh.safetensors")

# Closed loops, in order around the feature.
# fmt: off
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
LIPS_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
RIGHT_EYE = (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398)
LEFT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
RIGHT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
#: Around the nose: from its root down one side, along the nostrils and up the other.
NOSE = (168, 122, 174, 198, 209, 49, 48, 64, 98, 97, 2, 326, 327, 294, 278, 279, 429, 420, 399, 351)
#: The middle of the nose from its root to its base, an open line.
NOSE_LINE = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2)
# fmt: on
#: Centre first, then the four points of the rim; only in meshes of 478 points.
LEFT_IRIS, RIGHT_IRIS = (468, 469, 470, 471, 472), (473, 474, 475, 476, 477)
#: Openings that the mesh closes with triangles that are no skin.
OPENINGS = (LEFT_EYE, RIGHT_EYE, LIPS_INNER)


@dataclass(frozen=True, eq=False)
class CanonicalMesh:
    """An average face.

    points: (468, 3) cm, x to the right of the picture, y up, z towards the camera. uv: (468, 2) in [0, 1], v down.
    triangles: (898, 3) point numbers, eyes and mouth closed. skin_triangles: (852, 3), the same without those fillings.
    pose_points: (33,) points that move with the skull, pose_weights: (33,) how much each counts in a rigid fit.
    """

    points: FloatArray
    uv: FloatArray
    triangles: NDArray[np.int64]
    skin_triangles: NDArray[np.int64]
    pose_points: NDArray[np.int64]
    pose_weights: NDArray[np.float64]


@lru_cache(maxsize=1)
def canonical_mesh() -> CanonicalMesh:
    """The mesh, read once and shared; its arrays are read-only."""
    stored = load_file(MESH_FILE)
    triangles = stored["triangles"].astype(np.int64)
    filling = np.zeros(len(triangles), dtype=bool)
    for loop in OPENINGS:
        filling |= np.isin(triangles, loop).all(1)
    mesh = CanonicalMesh(
        points=stored["points"],
        uv=stored["uv"],
        triangles=triangles,
        skin_triangles=triangles[~filling],
        pose_points=stored["pose_points"].astype(np.int64),
        pose_weights=stored["pose_weights"].astype(np.float64),
    )
    for array in vars(mesh).values():
        array.setflags(write=False)
    return mesh
