"""Drawn clips whose tracks are known: the two sample portraits cross, hide, leave, return, and are cut away from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..pipelines.geometry.transforms import Matrix
from ..pipelines.geometry.warp import crop_pictures
from .group_picture import IN_PHOTO
from .pictures import read_picture

SAMPLES = Path(__file__).resolve().parents[1] / "assets" / "samples"
FILES = {"astronaut": "astronaut.png", "hopper": "grace_hopper.jpg"}
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Placed:
    """A person's face in a frame: middle px, height px, rotation in degrees."""

    person: str
    x: float
    y: float
    height: float
    degrees: float = 0.0


@dataclass(frozen=True, eq=False)
class Clip:
    """frames: (T, 360, 640, 3) in [0, 1]. placed: per frame who is where, the last one in front."""

    frames: Tensor
    placed: tuple[tuple[Placed, ...], ...]


def photos() -> dict[str, Tensor]:
    """The sample portraits, (1, H, W, 3) each."""
    return {person: read_picture(SAMPLES / name) for person, name in FILES.items()}


def background(shot: int) -> Tensor:
    """(360, 640, 3): soft blobs of colour, different for every shot."""
    generator = torch.Generator().manual_seed(shot)
    coarse = torch.rand(1, 3, 5, 8, generator=generator) * 0.6 + 0.15
    smooth = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic", align_corners=True)
    return smooth[0].permute(1, 2, 0).clamp(0, 1)


def draw(canvas: Tensor, photo: Tensor, placed: Placed) -> None:
    """Draw a person's head, cut out with a soft ellipse, into a picture (H, W, 3)."""
    (x, y), in_photo = IN_PHOTO[placed.person]
    angle, scale = np.deg2rad(placed.degrees), placed.height / in_photo
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: Matrix = np.concatenate([linear, (np.array([placed.x, placed.y]) - linear @ [x, y])[:, None]], axis=1)
    head = crop_pictures(photo, (0,), matrix[None], (canvas.shape[0], canvas.shape[1]), padding="border")[0]
    rows, columns = torch.meshgrid(torch.arange(canvas.shape[0]), torch.arange(canvas.shape[1]), indexing="ij")
    radius = torch.hypot((columns - placed.x) / (0.72 * placed.height), (rows - placed.y) / (0.9 * placed.height))
    alpha = ((1.04 - radius) / 0.08).clamp(0, 1)[..., None]
    canvas.copy_(torch.lerp(canvas, head, alpha))


def clip_of(places: list[tuple[Placed, ...]], shots: list[int], noise: float = 0.01, seed: int = 0) -> Clip:
    """Draw frames. shots: which background each has. noise: standard deviation of the sensor's, in [0, 1]."""
    people, generator = photos(), torch.Generator().manual_seed(seed)
    backgrounds = {shot: background(shot) for shot in set(shots)}
    frames = torch.empty(len(places), HEIGHT, WIDTH, 3)
    for row, (placed, shot) in enumerate(zip(places, shots, strict=True)):
        frames[row] = backgrounds[shot]
        for one in placed:
            draw(frames[row], people[one.person], one)
        frames[row] += noise * torch.randn(frames[row].shape, generator=generator)
    return Clip(frames.clamp(0, 1), tuple(places))


def crossing_clip() -> Clip:
    """Two people cross, one in front of the other; a cut; one stays, the other leaves the picture and returns."""
    places: list[tuple[Placed, ...]] = []
    for share in np.linspace(0, 1, 32):
        behind = Placed("hopper", 520 - 400 * share, 170, 110, -4)
        places.append((behind, Placed("astronaut", 120 + 400 * share, 190, 120, 5)))
    for share in np.linspace(0, 1, 28):
        away = 260 * np.sin(np.pi * share) ** 2
        places.append((Placed("hopper", 470, 180, 120), Placed("astronaut", 150 - away, 185, 110)))
    return clip_of(places, [1] * 32 + [2] * 28)


def still_clip(count: int) -> Clip:
    """One face that does not move, under the noise of a camera."""
    return clip_of([(Placed("astronaut", 320, 180, 120),)] * count, [3] * count, noise=0.02)
