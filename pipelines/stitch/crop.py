"""Cut faces out of pictures, ready to be processed and put back."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import FaceCrops, Faces
from ..geometry.templates import TEMPLATES, crop_from_image
from ..geometry.transforms import transform_mesh
from ..geometry.warp import crop_pictures
from .regions import region_mask

CropMask = Literal["box", "face"]


def crop_faces(
    images: Tensor,
    faces: Faces,
    size: int = 512,
    template: str = "ffhq_512",
    zoom: float = 1.0,
    mask: CropMask = "box",
    grow: float = 0.0,
    feather: float = 0.06,
) -> FaceCrops:
    """Crop every face, upright and at one size.

    images: (B, H, W, C >= 3) float in [0, 1]. faces: of these pictures. size: side of the crops in px. template:
    where the five points lie, a name of `geometry.templates`. zoom: above 1 shows more around the face.
    mask: "box" lets the whole crop change up to a soft border, "face" only the landmarks' hull. grow, feather: of
    the mask, as parts of the crop's side. Returns the crops in the order of the faces; what lies outside the
    picture repeats its border and is masked out. Raises InputError for another picture size, batch or template.
    """
    check_pictures(images, faces)
    if template not in TEMPLATES:
        raise InputError(f"There is no crop template {template!r}; there are {', '.join(TEMPLATES)}.")
    if size < 16 or zoom <= 0:
        raise InputError(f"A crop of {size} px at zoom {zoom:g} cannot be made: use at least 16 px and a zoom above 0.")
    found = tuple(faces)
    frame = tuple(index for index, _ in found)
    matrices = [crop_from_image(face, template, size, zoom) for _, face in found]
    stacked = np.stack(matrices) if matrices else np.zeros((0, 2, 3))
    crops = crop_pictures(images[..., :3], frame, stacked, (size, size), padding="border")
    masks = box_masks(images, frame, stacked, size, feather)
    if mask == "face":
        for row, (_, face) in enumerate(found):
            if face.landmarks is None:
                raise InputError("The mask 'face' needs dense landmarks and this face has five points: use 'box'.")
            points = transform_mesh(stacked[row], face.landmarks)
            masks[row] *= region_mask(points, (size, size), ("face",), grow * size, feather * size)
    return FaceCrops(
        crops, masks, stacked, frame, tuple(face for _, face in found), faces.height, faces.width, before=crops
    )


def check_pictures(images: Tensor, faces: Faces) -> None:
    """Raise InputError unless the faces were found in pictures of this number and size."""
    if images.ndim != 4 or images.shape[-1] < 3:
        raise InputError(f"Pictures must have the shape (B, H, W, 3), this has {tuple(images.shape)}.")
    faces.require_frames(len(images), "The picture input")
    if tuple(images.shape[1:3]) != (faces.height, faces.width):
        raise InputError(
            f"The pictures are {images.shape[2]} × {images.shape[1]} px but the faces were found in pictures of "
            f"{faces.width} × {faces.height} px: connect the same pictures, or detect again after resizing."
        )


def box_masks(
    images: Tensor, frame: tuple[int, ...], matrices: NDArray[np.float64], size: int, feather: float
) -> Tensor:
    """(N, size, size): 1 inside the crop, falling to 0 at its border over `feather` of its side, 0 off the picture."""
    centre = torch.arange(size, dtype=torch.float32)
    border = torch.minimum(centre, size - 1 - centre) / max(feather * size, 1e-6)
    ramp = border.clamp(0, 1)
    box = torch.minimum(ramp[:, None], ramp[None, :])
    box = box * box * (3 - 2 * box)
    ones = images.new_ones((1, images.shape[1], images.shape[2], 1))
    inside = [crop_pictures(ones, (0,), matrix[None], (size, size), antialias=False)[0, :, :, 0] for matrix in matrices]
    return torch.stack([box * (part > 0.999) for part in inside]) if inside else images.new_zeros((0, size, size))
