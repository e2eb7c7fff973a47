"""Restore the faces of pictures, and nothing else of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FaceCrops, Faces, TrackedFrame
from ..stitch.crop import CropMask, crop_faces
from ..stitch.paste import Finish, stitch_faces
from .restorer import LoadedRestorer

#: Grow and feather of the mask, as parts of the crop's side.
_GROW, _FEATHER = 0.03, 0.07


@dataclass(frozen=True)
class RestoreOptions:
    """Dials of a restoration.

    strength: 0 leaves the picture as it is, 1 restores fully. fidelity: for restorers that have the dial, 0 invents
    most, 1 stays closest to the picture. area: "face" lets only the face change, "box" also hair and surroundings
    up to the crop's soft border.
    """

    strength: float = 1.0
    fidelity: float = 0.7
    area: CropMask = "face"

    def __post_init__(self) -> None:
        for name, value in (("strength", self.strength), ("fidelity", self.fidelity)):
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; it must lie between 0 and 1.")
        if self.area not in ("face", "box"):
            raise InputError(f"The area is {self.area!r}; it must be face or box.")


def restore_crops(restorer: LoadedRestorer, images: Tensor, faces: Faces, options: RestoreOptions) -> FaceCrops:
    """The restored faces as crops that `stitch_faces` puts into the pictures.

    images: (B, H, W, C >= 3) float in [0, 1]. faces: of these pictures; all go through the network together. The masks
    hold the strength, so that a dimmer one mixes in the picture's own pixels. Raises InputError for pictures and faces
    that do not fit each other, or for a face without dense landmarks when the area is "face".
    """
    crops = crop_faces(images, faces, restorer.size, restorer.template, mask=options.area, grow=_GROW, feather=_FEATHER)
    if options.strength == 0 or len(crops.frame) == 0:
        return replace(crops, masks=crops.masks * 0)
    restored = crops.with_images(restorer.network.restore(crops.images.clamp(0, 1), options.fidelity))
    return restored.with_masks(restored.masks * options.strength)


def restore_faces(
    restorer: LoadedRestorer,
    images: Tensor,
    faces: Faces,
    options: RestoreOptions | None = None,
    limit: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The pictures with their faces restored, and the mask of what changed (B, H, W).

    limit: (B, H, W) in [0, 1], where the pictures may change, or None. Where faces overlap the larger one lies on top.
    Outside the mask the pictures are the input bit for bit; further channels stay. Raises as `restore_crops`.
    """
    crops = restore_crops(restorer, images, faces, options or RestoreOptions())
    return stitch_faces(images, crops, mask=limit, finish=Finish(order="larger_on_top"))


def describe_restored(restorer: LoadedRestorer, faces: Faces) -> str:
    """What was restored, for people: per face its size and how the restorer's pixels compare to the picture's."""
    lines = [f"{len(faces)} face(s) restored with {restorer.name.split()[0]}."]
    for index, face in list(faces)[:20]:
        coarser = _picture_px(face) / restorer.size
        note = ""
        if coarser > 1.25:
            note = (
                f"; the restorer's crop is {coarser:.1f} times coarser than the picture: a larger one (GPEN 1024, "
                "2048) or less strength keeps more detail"
            )
        lines.append(f"picture {index}: {face.width_px:.0f} × {face.height_px:.0f} px{note}")
    if len(faces) > 20:
        lines.append(f"and {len(faces) - 20} more")
    empty = [str(index) for index, frame in enumerate(faces.frames) if not frame]
    if empty:
        shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
        lines.append(f"No face in picture {shown}: passed unchanged.")
    return "\n".join(lines)


def _picture_px(face: Face) -> float:
    """Picture pixels along the side of an aligned FFHQ crop: the eyes are a quarter of it apart."""
    eyes = face.landmarks5[1] - face.landmarks5[0]
    return float(np.linalg.norm(eyes)) / 0.246


def restore_frames(
    restorer: LoadedRestorer, frames: Sequence[TrackedFrame], options: RestoreOptions
) -> Sequence[Tensor]:
    """The pictures (H, W, 3) of some frames of a video with everybody in them who is asked for restored.

    All faces of these frames go through the network together. Raises as `restore_crops`.
    """
    pictures = torch.stack([frame.picture for frame in frames]) if len(frames) > 1 else frames[0].picture[None]
    people = tuple(tuple(face for face, _ in frame.people) for frame in frames)
    faces = Faces(people, pictures.shape[1], pictures.shape[2])
    return list(restore_faces(restorer, pictures, faces, options)[0])
