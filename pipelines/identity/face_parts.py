"""Other views of an identity's reference pictures: other alignments, and masks of parts of the face.

All from the landmarks that the identity carries, without any model.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import FloatArray
from ..geometry.features import EYES, LIP_RINGS, NOSE, ORBITS
from ..geometry.mesh import FACE_OVAL
from ..geometry.raster import rasterise
from ..geometry.templates import crop_from_image
from ..geometry.warp import crop_pictures
from .identity import CROP_SIZE_PX, CROP_TEMPLATE, Identity

#: How far hair goes beyond the face's oval above and beside it, in sizes of the oval; towards the chin not at all.
HEAD_SIDE, HEAD_ABOVE = 1.25, 1.55

_LOOPS: dict[str, tuple[tuple[int, ...], ...]] = {
    "face": (tuple(FACE_OVAL),),
    "eyes": tuple((*ORBITS[side], *EYES[side].lids.loop) for side in (0, 1)),
    "nose": (tuple(NOSE),),
    "mouth": (LIP_RINGS[0].loop,),
}
#: Parts that `part_masks` knows. "head" is the face with room for hair, whose outline no landmark gives: long hair is
#: cut off and some background stays beside short hair. Where there is a mask of a face parsing model, it is better.
PARTS = (*_LOOPS, "head")


def part_masks(identity: Identity, part: str) -> Tensor:
    """(R, 512, 512) in {0, 1}: where a part is in every reference picture.

    part: one of `PARTS`. Each is the convex hull of its landmarks; "head" that of the oval, enlarged. Raises
    InputError for another part.
    """
    if part not in PARTS:
        raise InputError(f"There is no part of the face {part!r}: choose one of {', '.join(PARTS)}.")
    return torch.stack([_mask(points, part) for points in identity.landmarks])


def aligned_references(identity: Identity, template: str, size_px: int) -> Tensor:
    """(R, size, size, 3) float in [0, 1]: the reference pictures in another alignment; the stored one comes as it is.

    template: name in `geometry.templates`. size_px: side of the pictures. What the stored crop does not show is black.
    """
    return realigned(identity, identity.pictures(), template, size_px)


def realigned(identity: Identity, pictures: Tensor, template: str, size_px: int) -> Tensor:
    """(R, size, size, 3): changed reference pictures (R, 512, 512, 3) in another alignment; as `aligned_references`."""
    if template == CROP_TEMPLATE:
        return pictures
    faces = identity.faces()
    matrices = np.stack([crop_from_image(face, template, size_px) for _, face in faces])
    return crop_pictures(pictures, tuple(index for index, _ in faces), matrices, (size_px, size_px))


def _mask(landmarks: FloatArray, part: str) -> Tensor:
    covered = np.zeros((CROP_SIZE_PX, CROP_SIZE_PX), dtype=bool)
    for loop in _LOOPS["face" if part == "head" else part]:
        points = landmarks[list(loop), :2].astype(np.float64)
        outline = convex_hull(_enlarged(points) if part == "head" else points)
        fan = np.array([(0, k, k + 1) for k in range(1, len(outline) - 1)], dtype=np.int64)
        covered |= rasterise(outline.astype(np.float32), fan, covered.shape).covered()
    return torch.from_numpy(covered.astype(np.float32))


def _enlarged(oval: NDArray[np.float64]) -> NDArray[np.float64]:
    """The oval with room for hair: above its middle full, below it falling to none at the chin."""
    low, high = oval.min(0), oval.max(0)
    offset = oval - (low + high) / 2
    down = np.clip(offset[:, 1] / ((high[1] - low[1]) / 2), 0, 1)
    sideways = HEAD_SIDE - (HEAD_SIDE - 1) * down
    upwards = np.where(offset[:, 1] < 0, HEAD_ABOVE, 1.0)
    return (low + high) / 2 + offset * np.stack([sideways, upwards], axis=1)


def convex_hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) → (M, 2), counted around. Andrew's monotone chain (1979)."""
    ordered = sorted({(float(x), float(y)) for x, y in points})

    def half(sequence: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for point in sequence:
            while len(kept) >= 2 and _turn(kept[-2], kept[-1], point) <= 0:
                kept.pop()
            kept.append(point)
        return kept[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
