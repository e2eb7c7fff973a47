"""What hides a face: hands, hair, glasses, a microphone; where it is, and the face without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces, as_float_array
from ..geometry.transforms import Matrix
from .membrane import pull_push
from .place import Region, reach_of, strips_of, windowed
from .regions import region_mask
from .resample import bring_back, joined


@dataclass(frozen=True, eq=False)
class Occluder:
    """Sees what hides faces.

    name, licence: of what sees. look: a picture (H, W, 3) float in [0, 1] and a face in it → how much of each pixel
    of a crop is hidden (S, S) in [0, 1], and that crop's `crop_from_image`.
    """

    name: str
    licence: str
    look: Callable[[Tensor, Face], tuple[Tensor, Matrix]]


def hidden_part(occluder: Occluder, picture: Tensor, face: Face, region: Region) -> Tensor:
    """(h, w) in [0, 1]: how much of a face is hidden in the part `region` of its picture (H, W, C >= 3)."""
    hidden, matrix = occluder.look(picture[..., :3], face)
    reach = reach_of(hidden)
    x0, y0, x1, y1 = region
    touched = None if reach is None else reach.region(matrix, picture.shape[0], picture.shape[1])
    out = torch.zeros(y1 - y0, x1 - x0)
    if reach is None or touched is None:
        return out
    window = reach.window(matrix)
    strips = strips_of(touched, matrix, reach, True)
    parts = bring_back(hidden[None][(slice(None), *window)], windowed(matrix, window), touched, strips)
    whole = joined(parts, touched, 1)[0]
    left, top, right, bottom = max(x0, touched[0]), max(y0, touched[1]), min(x1, touched[2]), min(y1, touched[3])
    if right > left and bottom > top:
        out[top - y0 : bottom - y0, left - x0 : right - x0] = whole[
            top - touched[1] : bottom - touched[1], left - touched[0] : right - touched[0]
        ]
    return out.clamp_(0, 1)


def uncovered(picture: Tensor, face: Face, hidden: Tensor, region: Region) -> Tensor:
    """The picture (H, W, 3) with smooth skin where its face is hidden, for what reads the face's colours.

    hidden: (h, w) in [0, 1] of the part `region`. Faces without dense landmarks, and those of which nothing is hidden
    or everything, come back as they are.
    """
    x0, y0, x1, y1 = region
    if face.landmarks is None or float(hidden.max()) == 0:
        return picture
    points = as_float_array(face.landmarks - np.array([x0, y0, 0]))
    free = region_mask(points, (y1 - y0, x1 - x0), ("face",), 0.0, 0.0) * (hidden < 0.05)
    if float(free.sum()) < 64:
        return picture
    known = picture[y0:y1, x0:x1].permute(2, 0, 1)[None] * free
    filled = pull_push(known, free[None, None])[0].permute(1, 2, 0)
    out = picture.clone()
    out[y0:y1, x0:x1] = torch.lerp(picture[y0:y1, x0:x1], filled, hidden[..., None])
    return out


def hidden_masks(occluder: Occluder, images: Tensor, faces: Faces) -> Tensor:
    """(B, H, W) in [0, 1]: what hides faces in pictures (B, H, W, C >= 3), of each picture the union.

    Raises InputError for pictures that are not the faces'.
    """
    faces.require_frames(len(images), "The picture for occlusion")
    if tuple(images.shape[1:3]) != (faces.height, faces.width):
        raise InputError(
            f"The pictures for occlusion are {images.shape[2]} × {images.shape[1]} px but the faces were found in "
            f"pictures of {faces.width} × {faces.height} px: connect the same pictures."
        )
    out = torch.zeros(images.shape[:3])
    for index, face in faces:
        found = hidden_part(occluder, images[index], face, (0, 0, faces.width, faces.height))
        torch.maximum(out[index], found, out=out[index])
    return out
