"""Soft masks of parsed parts in pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Faces
from ..geometry.templates import crop_from_image
from ..geometry.transforms import invert
from ..geometry.warp import crop_pictures
from .identity import CROP_TEMPLATE
from .parsing import CLASSES, PARSED_PARTS, PARSED_SIZE_PX, FaceParser


def part_probabilities(parser: FaceParser, crops: Tensor, parts: tuple[str, ...]) -> Tensor:
    """(N, 512, 512) in [0, 1]: how likely each pixel belongs to one of the parts.

    crops: as `FaceParser.probabilities` takes them. The rest as `parts_of`.
    """
    return parts_of(parser.probabilities(crops), parts)


def parts_of(probabilities: Tensor, parts: tuple[str, ...]) -> Tensor:
    """(N, h, w) in [0, 1]: what `FaceParser.probabilities` gave, summed over the classes of the parts.

    parts: names of `PARSED_PARTS`. Raises InputError for an unknown part.
    """
    unknown = [name for name in parts if name not in PARSED_PARTS]
    if unknown or not parts:
        known = ", ".join(PARSED_PARTS)
        raise InputError(f"Face parsing knows no part {', '.join(unknown) or '(none given)'}; there are {known}.")
    wanted = {name for part in parts for name in PARSED_PARTS[part]}
    chosen = [index for index, name in enumerate(CLASSES) if name in wanted]
    return probabilities[:, chosen].sum(1).clamp(0, 1)


def parsed_in_pictures(parser: FaceParser, images: Tensor, faces: Faces, parts: tuple[str, ...]) -> Tensor:
    """(B, H, W) in [0, 1]: the parts of all faces, of each picture the union.

    images: (B, H, W, 3) float in [0, 1], those the faces were found in. What lies beyond the aligned crop of a face
    (long hair) is not seen. Raises InputError for other pictures.
    """
    faces.require_frames(len(images), "The picture for face parsing")
    size = (faces.height, faces.width)
    if tuple(images.shape[1:3]) != size:
        raise InputError(
            f"The pictures for face parsing are {images.shape[2]} × {images.shape[1]} px but the faces were found in "
            f"pictures of {faces.width} × {faces.height} px: connect the same pictures."
        )
    found = tuple(faces)
    masks = images.new_zeros(len(images), *size)
    if not found:
        return masks
    frame = tuple(index for index, _ in found)
    matrices = np.stack([crop_from_image(face, CROP_TEMPLATE, PARSED_SIZE_PX) for _, face in found])
    side = (PARSED_SIZE_PX, PARSED_SIZE_PX)
    crops = crop_pictures(images[..., :3], frame, matrices, side, padding="border").clamp(0, 1)
    parsed = part_probabilities(parser, crops, parts)
    for row, index in enumerate(frame):
        back = crop_pictures(parsed[row : row + 1].unsqueeze(-1), (0,), invert(matrices[row])[None], size)
        masks[index] = torch.maximum(masks[index], back[0, ..., 0].clamp(0, 1))
    return masks
