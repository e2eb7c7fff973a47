"""Pictures of expression and pose for ControlNets: landmark lines, InstantID's five points, depth, normals.

Sources of the drawing conventions: the MediaPipe face ControlNet's annotator (colours and lines of the landmark map),
InstantID's pipeline (five points), the depth and normal maps that ControlNets of Stable Diffusion were trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray, as_float_array, five_points
from ..geometry.features import BROWS, EYES, LIP_RINGS
from ..geometry.mesh import FACE_OVAL, LIPS_INNER, canonical_mesh
from ..geometry.raster import rasterise
from ..motion.motion import Motion
from .posed_mesh import base_landmarks, posed_landmarks

KINDS = ("landmarks", "five points", "depth", "normals")

Colour = tuple[int, int, int]

# Of the picture's left side (the person's right), then its right side.
_IRIS_COLOURS: tuple[Colour, Colour] = ((250, 200, 10), (10, 200, 250))
_EYE_COLOURS: tuple[Colour, Colour] = ((180, 200, 10), (10, 200, 180))
_BROW_COLOURS: tuple[Colour, Colour] = ((180, 220, 10), (10, 220, 180))
_MOUTH_COLOUR, _OVAL_COLOUR = (10, 180, 10), (10, 200, 10)

_FIVE_COLOURS: tuple[Colour, ...] = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
#: InstantID was trained with limbs of 4 px and dots of 10 px radius on pictures of about 1024 px.
_FIVE_SIDE_PX, _LIMB_PX, _DOT_PX = 1024, 4, 10

#: Depth of the face's furthest point; its nearest is white and what is no face is black.
_FAR = 0.25


def pose_picture(landmarks: FloatArray, size_hw: tuple[int, int], kind: str = "landmarks") -> Tensor:
    """One face drawn on black.

    landmarks: (478, 3) px, z away from the camera. kind: landmarks (contours of MediaPipe's face ControlNet), five
    points (InstantID), depth (near is white), normals (red to the right, green up, blue towards the camera). Returns
    (H, W, 3) in [0, 1]. Raises InputError for another kind or a size below 16 px or above 8192 px.
    """
    if kind not in KINDS:
        raise InputError(f"The kind is {kind!r}, it must be one of {', '.join(KINDS)}.")
    if not 16 <= min(size_hw) or max(size_hw) > 8192:
        raise InputError(f"A pose picture of {size_hw[1]} × {size_hw[0]} px cannot be drawn: 16 to 8192 px per side.")
    if kind == "landmarks":
        return _drawn(size_hw, _draw_landmarks, landmarks)
    if kind == "five points":
        return _drawn(size_hw, _draw_five, five_points(landmarks))
    return _depth(landmarks, size_hw) if kind == "depth" else _normals(landmarks, size_hw)


def _drawn(size_hw: tuple[int, int], draw: Callable[..., None], points: FloatArray) -> Tensor:
    from PIL import Image, ImageDraw

    scale = 4 if max(size_hw) <= 2048 else 2  # reduced afterwards, for soft edges
    picture = Image.new("RGB", (size_hw[1] * scale, size_hw[0] * scale))
    draw(ImageDraw.Draw(picture), points, scale, size_hw)
    small = picture.resize((size_hw[1], size_hw[0]), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 255)


def _draw_landmarks(pen: Any, landmarks: FloatArray, scale: int, size_hw: tuple[int, int]) -> None:
    thick = max(2 * min(size_hw) / 512, 1.0)

    def line(indices: Sequence[int], colour: Colour, closed: bool = True) -> None:
        points = [tuple((point + 0.5) * scale) for point in landmarks[[*indices, *indices[: int(closed)]], :2]]
        pen.line(points, colour, round(thick * scale), joint="curve")

    line(FACE_OVAL, _OVAL_COLOUR)
    for side in (0, 1):
        line(EYES[side].lids.loop, _EYE_COLOURS[side])
        line(BROWS[side][:5], _BROW_COLOURS[side], closed=False)
        line(BROWS[side][5:], _BROW_COLOURS[side], closed=False)
    for ring in (LIP_RINGS[0], LIP_RINGS[-1]):
        line(ring.loop, _MOUTH_COLOUR)
    for side in (0, 1):
        x, y = (landmarks[EYES[side].iris, :2] + 0.5) * scale
        radius = max(2.0 * thick, 2.0) * scale
        pen.rectangle((x - radius, y - radius, x + radius, y + radius), fill=_IRIS_COLOURS[side])


def _draw_five(pen: Any, points: FloatArray, scale: int, size_hw: tuple[int, int]) -> None:
    unit = scale * min(size_hw) / _FIVE_SIDE_PX
    at = (points.astype(np.float64) + 0.5) * scale
    for index in (0, 1, 3, 4):  # every point to the nose
        start, end = at[index], at[2]
        along, length = (end - start) / 2, float(np.linalg.norm(end - start))
        across = np.array([-along[1], along[0]]) / max(length / 2, 1e-6) * _LIMB_PX * unit
        angle = np.linspace(0, 2 * np.pi, 49)[:, None]
        ellipse = (start + end) / 2 + np.cos(angle) * along + np.sin(angle) * across
        dimmed = tuple(round(0.6 * part) for part in _FIVE_COLOURS[index])
        pen.polygon([tuple(point) for point in ellipse], fill=dimmed)
    for (x, y), colour in zip(at, _FIVE_COLOURS, strict=True):
        radius = _DOT_PX * unit
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _surface(landmarks: FloatArray, size_hw: tuple[int, int], values: FloatArray) -> tuple[FloatArray, Any]:
    """Values (468, C) of the mesh spread over its pixels; the opening between the lips stays empty."""
    triangles = canonical_mesh().triangles
    triangles = triangles[~np.isin(triangles, LIPS_INNER).all(1)]
    points = landmarks[:468]
    raster = rasterise(as_float_array(points[:, :2]), triangles, size_hw, as_float_array(points[:, 2]))
    return raster.interpolate(values), raster.covered()


def _depth(landmarks: FloatArray, size_hw: tuple[int, int]) -> Tensor:
    z = landmarks[:468, 2:].astype(np.float64)
    near = (z.max() - z) / max(float(np.ptp(z)), 1e-6)
    depth, covered = _surface(landmarks, size_hw, as_float_array(_FAR + (1 - _FAR) * near))
    grey = np.where(covered[..., None], np.clip(depth, 0, 1), 0)
    return torch.from_numpy(np.repeat(grey, 3, 2).astype(np.float32))


def vertex_normals(landmarks: FloatArray) -> FloatArray:
    """(468, 3) unit normals of the mesh, x to the right, y up, z towards the camera: means over triangles, by area."""
    points = landmarks[:468].astype(np.float64) * (1, -1, -1)
    triangles = canonical_mesh().triangles
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    area = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], area)
    normals *= np.sign(normals[:, 2].sum())  # whichever way the mesh is wound, most of a face looks forward
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    # where lips touch, triangles have no area
    return as_float_array(np.where(length > 1e-9, normals / np.maximum(length, 1e-9), (0.0, 0.0, 1.0)))


def _normals(landmarks: FloatArray, size_hw: tuple[int, int]) -> Tensor:
    normals, covered = _surface(landmarks, size_hw, vertex_normals(landmarks))
    length = np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
    picture = np.where(covered[..., None], normals / length * 0.5 + 0.5, 0)
    return torch.from_numpy(np.clip(picture, 0, 1).astype(np.float32))


#: Most pictures at once, and most px of all of them: 6 GB.
_MAX_FRAMES, _MAX_PX = 10_000, 500_000_000


def pose_pictures(
    motion: Motion, kind: str = "landmarks", face: Face | None = None, size_hw: tuple[int, int] = (512, 512)
) -> Tensor:
    """The frames of a motion as pose pictures, (T, H, W, 3).

    kind: see `pose_picture`. face: whose shape, place and expression the motion starts from, in a picture of `size_hw`;
    without one, an average face in the middle. Raises InputError when there are too many pictures at once.
    """
    if len(motion) > _MAX_FRAMES or len(motion) * size_hw[0] * size_hw[1] > _MAX_PX:
        raise InputError(
            f"{len(motion)} pose pictures of {size_hw[1]} × {size_hw[0]} px are too much. Cut the motion with "
            "Retime Motion, lower its frame rate, or make smaller pictures."
        )
    base = base_landmarks(face, size_hw)
    frames = [pose_picture(posed_landmarks(base, motion, index), size_hw, kind) for index in range(len(motion))]
    return torch.stack(frames)
