"""Masks of parts of faces from whoever knows them: dense landmarks, or a face parser that the caller has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FaceCrops, Faces
from ..geometry.warp import crop_pictures
from .regions import REGIONS, face_masks, grown, soften


@dataclass(frozen=True, eq=False)
class Parsed:
    """A parser as seen from here. names: of the parts it knows. mask: their union in the pictures, (B, H, W)."""

    names: tuple[str, ...]
    mask: Callable[[tuple[str, ...]], Tensor]


MaskUse = Literal["add", "remove", "within"]
MASK_USES: tuple[MaskUse, ...] = ("add", "remove", "within")

#: How far a part grows and how wide its soft edge is, as in `face_masks`.
Edge = tuple[float, float]


def edges_from_text(text: str) -> dict[str, Edge]:
    """Part → its own grow and feather, from lines such as "lips 0.02 0.05"; empty lines are left out.

    Raises InputError that names the line.
    """
    edges: dict[str, Edge] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            name, grow, feather = words[0], *(float(word) for word in words[1:])
        except ValueError:
            raise InputError(
                f"Line {number} of per_part is {line!r}: write a part, how far it grows and how wide its soft edge is, "
                'for example "lips 0.02 0.05".'
            ) from None
        if not (-0.5 <= grow <= 0.5 and 0 <= feather <= 0.5):
            raise InputError(
                f"Line {number} of per_part is {line!r}: grow must lie between -0.5 and 0.5, feather between 0 and 0.5."
            )
        edges[name] = (grow, feather)
    return edges


def part_masks(
    faces: Faces,
    parts: tuple[str, ...],
    grow: float,
    feather: float,
    parsed: Parsed | None = None,
    own: Mapping[str, Edge] | None = None,
    fine: bool = False,
) -> tuple[Tensor, str]:
    """(B, H, W) in [0, 1], the union of parts of all faces, and a text that says who drew which.

    parts: names of `REGIONS`, or those that `parsed` knows; what both know is the parser's, which sees hair and hands
    in front. grow, feather, fine: as in `face_masks`. own: parts that have others. Raises InputError for no part, or
    one that nobody here knows, and for an `own` one that is not among the parts.
    """
    own = own or {}
    check_parts(parts, own, () if parsed is None else parsed.names)
    seen = tuple(name for name in parts if parsed is not None and name in parsed.names)
    drawn = tuple(name for name in parts if name not in seen)
    masks = torch.zeros(len(faces.frames), faces.height, faces.width)
    said: list[str] = []
    for names, edge in _alike(drawn, own, (grow, feather)):
        masks = torch.maximum(masks, face_masks(faces, names, *edge, fine=fine))
    for names, edge in _alike(seen, own, (grow, feather)):
        if parsed is not None:
            masks = torch.maximum(masks, _finished(parsed.mask(names), faces, *edge))
    said += [f"{', '.join(drawn)} from the landmarks"] if drawn else []
    said += [f"{', '.join(seen)} from face parsing"] if seen else []
    share = 100 * float(masks.mean()) if masks.numel() else 0.0
    return masks, f"{len(faces)} face(s) in {len(faces.frames)} picture(s): {'; '.join(said)}; {share:.1f} % masked."


def check_parts(parts: tuple[str, ...], own: Mapping[str, Edge], parsed: tuple[str, ...]) -> None:
    """Raise what `part_masks` raises for parts, own edges, and the names of the parts that a parser knows."""
    strange = [name for name in own if name not in parts]
    if strange:
        raise InputError(f"per_part names {', '.join(strange)}, which is not on: the parts are {', '.join(parts)}.")
    if not parts:
        raise InputError("No part of the face is on: turn on at least one.")
    unknown = [name for name in parts if name not in parsed and name not in REGIONS]
    if unknown:
        raise InputError(f"Landmarks do not show {', '.join(unknown)}: connect Load Face Parser, or turn them off.")


def _alike(names: tuple[str, ...], own: Mapping[str, Edge], edge: Edge) -> list[tuple[tuple[str, ...], Edge]]:
    """The parts that share an edge, together."""
    groups: dict[Edge, list[str]] = {}
    for name in names:
        groups.setdefault(own.get(name, edge), []).append(name)
    return [(tuple(group), shared) for shared, group in groups.items()]


def with_user_mask(masks: Tensor, user: Tensor, use: MaskUse) -> Tensor:
    """Masks (B, H, W) with a user's (B or 1 for all, H, W) added, removed, or as their limit.

    Raises InputError for a mask of another size or number.
    """
    if user.ndim != 3 or tuple(user.shape[1:]) != tuple(masks.shape[1:]) or len(user) not in (1, len(masks)):
        raise InputError(
            f"Your mask has the shape {tuple(user.shape)}, the pictures need {tuple(masks.shape)}: make it from the "
            "same pictures or resize it to them."
        )
    user = user.to(masks).clamp(0, 1)
    if use == "add":
        return torch.maximum(masks, user)
    return masks * (user if use == "within" else 1 - user)


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
        result[index] = soften(grown(masks[index][None, None], grow * unit), feather * unit)[0, 0]
    return result


def _width(face: Face) -> float:
    if face.landmarks is None:
        return float(face.bbox_xyxy[2] - face.bbox_xyxy[0])
    return float(np.ptp(face.landmarks[:468, 0]))
