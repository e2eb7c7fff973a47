"""Soft masks of parts of the face from its dense landmarks, without any model."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import Faces, FloatArray, as_float_array
from ..geometry.features import BROWS, EYES, LIP_RINGS, LIPS, NOSE, ORBITS, OVAL
from ..geometry.mesh import canonical_mesh
from ..geometry.raster import rasterise

#: What can be masked. "face" is the hull of the whole mesh, "skin" leaves out eyes, brows, lips and the mouth.
REGIONS = ("face", "skin", "forehead", "brows", "eyes", "eye_area", "nose", "lips", "mouth_interior", "jaw")

#: Sub-pixels per side that an edge is drawn with, least and most, and how many of them make the width of a face: small
#: faces need more, or the edge of one that moves slowly steps from pixel to pixel.
_LEAST_SAMPLES, _MOST_SAMPLES, _SAMPLES_PER_FACE = 2, 6, 800
#: Growth is exact to such a part of a pixel.
_GROWTH_PARTS = 64

#: The forehead goes on above the mesh by this part of the face's height.
_ABOVE_MESH = 0.12


def face_masks(
    faces: Faces,
    regions: tuple[str, ...] = ("face",),
    grow: float = 0.0,
    feather: float = 0.02,
    relative: bool = True,
    fine: bool = False,
) -> Tensor:
    """Masks of parts of all faces, in picture space.

    faces: with dense landmarks. regions: names of `REGIONS`, joined. grow: outwards (negative: inwards), feather:
    width of the soft border, both as parts of each face's width, or in px when not `relative`. fine: edge and growth
    exact to parts of a pixel instead of whole ones, so that a moving face's edge does not step.
    Returns (B, H, W) in [0, 1], the union over the faces of each picture. Raises InputError for an unknown region or
    a face without dense landmarks.
    """
    out = torch.zeros(len(faces.frames), faces.height, faces.width)
    for frame, face in faces:
        if face.landmarks is None:
            raise InputError(
                "Masks of facial regions need dense landmarks, this face has five points: find it with a face "
                "analysis that has dense landmarks (the embedded one has)."
            )
        unit = float(np.ptp(face.landmarks[:468, 0])) if relative else 1.0
        margin = max(grow * unit, 0) + 2 * feather * unit + 3
        low, high = face.landmarks[:468, :2].min(0), face.landmarks[:468, :2].max(0)
        low[1] -= _ABOVE_MESH * float(high[1] - low[1])
        x0, y0 = np.maximum(np.floor(low - margin), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(high + margin) + 1, [faces.width, faces.height]).astype(int)
        if x1 <= x0 or y1 <= y0:
            continue
        points = face.landmarks - np.array([x0, y0, 0], dtype=np.float32)
        samples = _samples(float(np.ptp(face.landmarks[:468, 0]))) if fine else 1
        drawn = region_mask(points, (int(y1 - y0), int(x1 - x0)), regions, grow * unit, feather * unit, samples)
        part = out[frame, y0:y1, x0:x1]
        torch.maximum(part, drawn, out=part)
    return out


def _samples(width_px: float) -> int:
    return int(np.clip(round(_SAMPLES_PER_FACE / max(width_px, 1.0)), _LEAST_SAMPLES, _MOST_SAMPLES))


def region_mask(
    landmarks: FloatArray,
    size_hw: tuple[int, int],
    regions: tuple[str, ...],
    grow_px: float,
    feather_px: float,
    samples: int = 1,
) -> Tensor:
    """One face's mask (h, w) in [0, 1]; landmarks (468 or 478, 3) in the mask's px, the rest as in `face_masks`.

    samples: sub-pixels per side of a pixel; 1 draws whole pixels and grows by whole pixels.
    """
    unknown = [name for name in regions if name not in REGIONS]
    if unknown or not regions:
        raise InputError(f"Unknown region(s) {', '.join(unknown) or '(none given)'}; there are {', '.join(REGIONS)}.")
    points = as_float_array((_with_forehead(landmarks[:468])[:, :2] + 0.5) * samples - 0.5)
    fine = (size_hw[0] * samples, size_hw[1] * samples)
    covered = np.zeros(fine, dtype=np.float32)
    for name in regions:
        covered[rasterise(points, region_triangles(name), fine).covered()] = 1
    mask = torch.from_numpy(covered)[None, None]
    if samples > 1:
        mask = F.avg_pool2d(mask, samples)
    return soften(grown(mask, grow_px if samples > 1 else round(grow_px)), feather_px)[0, 0]


def grown(mask: Tensor, by_px: float) -> Tensor:
    """A (N, 1, h, w) mask wider by so many px (below 0: narrower); between whole px the two masks are mixed."""
    if by_px < 0:
        return 1 - grown(1 - mask, -by_px)
    whole, part = divmod(round(by_px * _GROWTH_PARTS), _GROWTH_PARTS)
    near = dilated(mask, whole)
    return torch.lerp(near, dilated(near, 1, whole), part / _GROWTH_PARTS) if part else near


def soften(mask: Tensor, feather_px: float) -> Tensor:
    """A (N, 1, h, w) mask with a border `feather_px` wide: concretely a Gaussian of a quarter of that width, cut at 2.5
    of its standard deviations."""
    sigma = feather_px / 4
    if sigma < 0.3:
        return mask
    radius = max(1, round(2.5 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=mask.dtype) / sigma) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(mask, (radius, radius, radius, radius), mode="replicate")
    soft = F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1)).clamp(0, 1)
    # rounding must not leave the inside a little short of 1, nor the outside a little above 0
    return torch.where(soft > 1 - 1e-5, torch.ones_like(soft), torch.where(soft < 1e-5, torch.zeros_like(soft), soft))


def dilated(mask: Tensor, steps: int, first: int = 0) -> Tensor:
    """A mask (N, 1, h, w) grown by `steps` px; square and cross alternate, so that a circle stays nearly round.

    first: how many steps it has grown by before.
    """
    for step in range(first, first + steps):
        if step % 5 < 2:
            mask = F.max_pool2d(mask, 3, 1, 1)
        else:
            mask = torch.maximum(F.max_pool2d(mask, (1, 3), 1, (0, 1)), F.max_pool2d(mask, (3, 1), 1, (1, 0)))
    return mask


def _with_forehead(points: FloatArray) -> FloatArray:
    """The mesh with the top half of its oval once more, moved up to where hair begins on a bare forehead."""
    up = (points[10] - points[152]) * _ABOVE_MESH
    top = points[list(_TOP)]
    middle = (points[127] + points[356]) / 2
    height = np.clip((top - middle) @ up / max(float((points[10] - middle) @ up), 1e-6), 0, 1)
    return as_float_array(np.concatenate([points, top + height[:, None] * up]))


_START = OVAL.index(127)
#: The oval from the image-left temple over the forehead to the image-right one.
_TOP = tuple((*OVAL[_START:], *OVAL[: OVAL.index(356) + 1]))


@cache
def region_triangles(name: str) -> NDArray[np.int64]:
    """(T, 3) triangles of a region; indices from 468 on are the forehead's upper edge."""
    mesh = canonical_mesh()
    face = mesh.triangles.astype(np.int64)

    def within(points: tuple[int, ...]) -> NDArray[np.bool_]:
        return np.asarray(np.isin(face, points).all(1))

    mouth = within(LIP_RINGS[-1].loop)
    eyes = within(EYES[0].lids.loop) | within(EYES[1].lids.loop)
    brows = within(BROWS[0]) | within(BROWS[1])
    lips = within(LIPS) & ~mouth
    middle = mesh.points[face].mean(1)
    brow_height = mesh.points[[*BROWS[0], *BROWS[1]], 1].max()
    near = np.arange(len(_TOP))
    strip = 468 + near
    edge = np.array(_TOP)
    extra = np.concatenate(
        [np.stack([edge[:-1], edge[1:], strip[:-1]], 1), np.stack([edge[1:], strip[1:], strip[:-1]], 1)]
    )
    forehead = middle[:, 1] > brow_height
    chosen = {
        "face": np.ones(len(face), dtype=np.bool_),
        "skin": ~(mouth | eyes | brows | lips),
        "forehead": forehead,
        "brows": brows,
        "eyes": eyes,
        "eye_area": eyes | within((*EYES[0].lids.loop, *ORBITS[0])) | within((*EYES[1].lids.loop, *ORBITS[1])),
        "nose": within(NOSE),
        "lips": lips,
        "mouth_interior": mouth,
        "jaw": (middle[:, 1] < mesh.points[list(LIP_RINGS[0].corners), 1].mean()) & ~(lips | mouth),
    }[name]
    return np.concatenate([face[chosen], extra]) if name in ("forehead",) else face[chosen]
