"""Group pictures with known faces: the two sample photos at many sizes and rotations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..pipelines.geometry.transforms import Matrix
from ..pipelines.geometry.warp import crop_pictures

#: Middle and height of the face in the sample photos, px.
IN_PHOTO = {"astronaut": ((225.5, 124.0), 108.0), "hopper": ((263.5, 233.0), 202.0)}
#: name, face height px, rotation in degrees, middle in the picture.
Placed = tuple[str, float, float, tuple[int, int]]

GROUPS: dict[str, tuple[tuple[int, int], tuple[Placed, ...]]] = {
    "wide": ((1150, 1700), (
        ("astronaut", 40, 12, (70, 80)), ("hopper", 60, -30, (220, 100)), ("astronaut", 110, 30, (420, 160)),
        ("hopper", 180, 20, (760, 220)), ("astronaut", 260, -25, (1300, 280)), ("hopper", 400, 8, (480, 760)),
    )),
    "small": ((700, 980), (
        ("hopper", 40, 30, (60, 60)), ("astronaut", 48, -30, (160, 70)), ("hopper", 70, -15, (280, 90)),
        ("astronaut", 90, 25, (430, 110)), ("hopper", 140, -28, (660, 150)), ("astronaut", 300, -20, (300, 450)),
    )),
    "crowd": ((400, 600), (
        ("astronaut", 40, 0, (60, 70)), ("hopper", 44, 18, (160, 80)), ("astronaut", 40, -22, (260, 80)),
        ("hopper", 52, -8, (360, 90)), ("astronaut", 64, 28, (480, 100)), ("hopper", 130, -30, (150, 270)),
    )),
}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """A group picture (1, H, W, 3) and where each face was put."""

    image: Tensor
    placed: tuple[Placed, ...]


def place(canvas: Tensor, photo: Tensor, name: str, height: float, degrees: float, middle: tuple[int, int]) -> None:
    """Draw a square around a photo's face into a picture (H, W, 3), so that the face has a height and a rotation."""
    (x, y), photo_height = IN_PHOTO[name]
    side = round(1.5 * height)
    angle, scale = np.deg2rad(degrees), height / photo_height
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: Matrix = np.concatenate([linear, ((side - 1) / 2 - linear @ [x, y])[:, None]], axis=1)
    patch = crop_pictures(photo, (0,), matrix[None], (side, side), padding="border")[0]
    left, top = middle[0] - side // 2, middle[1] - side // 2
    target = canvas[max(top, 0) : top + side, max(left, 0) : left + side]
    target.copy_(patch[max(-top, 0) :, max(-left, 0) :][: target.shape[0], : target.shape[1]])


def group_photo(name: str, photos: dict[str, Tensor]) -> Group:
    """The layout `name` of GROUPS, made of photos (1, H, W, 3) by the names of IN_PHOTO."""
    (height, width), placed = GROUPS[name]
    canvas = torch.full((height, width, 3), 0.35)
    canvas[..., 2] += torch.linspace(0, 0.4, width)
    for person, size, degrees, middle in placed:
        place(canvas, photos[person], person, size, degrees, middle)
    return Group(canvas[None], placed)
