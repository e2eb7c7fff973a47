"""Masks of parts of faces from whoever knows them: dense landmarks, or a face parser that the caller has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FaceCrops, Faces
from ..geometry.warp import crop_pictures
from .regions import REGIONS, dilated, face_masks, soften


@dataclass(frozen=True, eq=False)
class Parsed:
    """A parser as seen from here. names: of the parts it knows. mask: their union in the pictures, (B, H, W)."""

    names: tuple[str, ...]
    mask: Callable[[tuple[str, ...]], Tensor]


def part_masks(
    faces: Faces, parts: tuple[str, ...], grow: float, feather: float, parsed: Parsed | None = None
) -> tuple[Tensor, str]:
    """(B, H, W) in [0, 1], the union of parts of all faces, and a text that says who drew which.

    parts: names of `REGIONS`, or those that `parsed` knows; what both know is the parser's, which sees hair and hands
    in front. grow, feather: as in `face_masks`. Raises InputError for no part, or one that nobody here knows.
    """
    if not parts:
        raise InputError("No part of the face is on: turn on at least one.")
    seen = tuple(name for name in parts if parsed is not None and name in parsed.names)
    drawn = tuple(name for name in parts if name not in seen)
    unknown = [name for name in drawn if name not in REGIONS]
    if unknown:
        raise InputError(f"Landmarks do not show {', '.join(unknown)}: connect Load Face Parser, or turn them off.")
    masks = torch.zeros(len(faces.frames), faces.height, faces.width)
    said: list[str] = []
    if drawn:
        masks = face_masks(faces, drawn, grow, feather)
        said.append(f"{', '.join(drawn)} from the landmarks")
    if seen and parsed is not None:
        masks = torch.maximum(masks, _finished(parsed.mask(seen), faces, grow, feather))
        said.append(f"{', '.join(seen)} from face parsing")
    share = 100 * float(masks.mean()) if masks.numel() else 0.0
    return masks, f"{len(faces)} face(s) in {len(faces.frames)} picture(s): {'; '.join(said)}; {share:.1f} % masked."


def masks_in_crops(masks: Tensor, crops: FaceCrops) -> Tensor:
    """(N, S, S): what each crop shows of its picture's mask (B, H, W), for Stitch Faces.

    Raises InputError when the masks are of other pictures than the crops.
    """
    size = (crops.images.shape[1], crops.images.shape[2])
    if tuple(masks.shape[1:]) != (crops.height, crops.width) or any(index >= len(masks) for index in crops.frame):
        raise InputError(
            f"The masks are {tuple(masks.shape)}, the crops were cut from pictures of {crops.width} × {crops.height} "
            "px: connect crops and faces of the same pictures."
        )
    return crop_pictures(masks.unsqueeze(-1), crops.frame, crops.crop_from_image, size)[..., 0].clamp(0, 1)


def _finished(masks: Tensor, faces: Faces, grow: float, feather: float) -> Tensor:
    """Parsed masks, grown and softened by the mean width of each picture's faces."""
    result = masks.clone()
    for index, frame in enumerate(faces.frames):
        if not frame:
            continue
        unit = float(np.mean([_width(face) for face in frame]))
        mask = masks[index][None, None]
        steps = round(abs(grow * unit))
        if steps:
            mask = dilated(mask, steps) if grow > 0 else 1 - dilated(1 - mask, steps)
        result[index] = soften(mask, feather * unit)[0, 0]
    return result


def _width(face: Face) -> float:
    if face.landmarks is None:
        return float(face.bbox_xyxy[2] - face.bbox_xyxy[0])
    return float(np.ptp(face.landmarks[:468, 0]))
