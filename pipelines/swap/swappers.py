"""Every way to put one person's face onto another's, in order of preference, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FaceCrops
from ..identity.identity import Identity
from ..registry import Registry
from ..stitch.occlusion import Occluder, hidden_part, uncovered
from .blendswap import BLENDSWAP
from .ghost import GHOSTS
from .hififace import HIFIFACE
from .hyperswap import HYPERSWAPS
from .inswapper import INSWAPPER, INSWAPPER_FP16
from .mesh_swapper import MeshSwapper
from .options import SwapOptions
from .reswapper import RESWAPPER_128, RESWAPPER_256
from .simswap import SIMSWAP_256, SIMSWAP_512
from .swapped import SwappedFace
from .uniface import UNIFACE

#: Which picture of the batch, which face in it, and who it becomes.
Assignment = tuple[int, Face, Identity]


class Swapper(Protocol):
    """A loaded swapper."""

    @property
    def name(self) -> str:
        """That of its entry: unfinished videos go on with the swapper of the same name."""
        ...

    @property
    def batch(self) -> int:
        """How many frames of a video it gains from at once; all of them are held in memory."""
        ...

    def about(self, identities: Sequence[Identity]) -> Sequence[str]:
        """What the user should know of these sources, a line each."""
        ...

    def swap(self, images: Tensor, assignments: Sequence[Assignment], options: SwapOptions) -> Sequence[SwappedFace]:
        """One finished face per assignment, in their order; `images` (B, H, W, 3) float in [0, 1]."""
        ...


class SwapperEntry(Protocol):
    """A swapper that can be loaded; a class with these members is an entry of `SWAPPERS`."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """What the user reads in the list."""
        ...

    @property
    def licence(self) -> str: ...

    @property
    def requires(self) -> tuple[str, ...]:
        """Weights ids that must be there."""
        ...

    @property
    def needs(self) -> str:
        """What it takes of the source, for people; "" is nothing special."""
        ...

    def load(self, registry: Registry) -> Swapper: ...


#: The swappers, first the one that always works; "auto" takes the last one whose files are there.
SWAPPERS: tuple[SwapperEntry, ...] = (
    MeshSwapper(),
    BLENDSWAP,
    UNIFACE,
    *GHOSTS,
    SIMSWAP_256,
    SIMSWAP_512,
    HIFIFACE,
    RESWAPPER_128,
    RESWAPPER_256,
    INSWAPPER_FP16,
    INSWAPPER,
    *HYPERSWAPS,
)


def swapper_named(name: str) -> SwapperEntry:
    """The entry of a name; raises InputError naming those there are."""
    for entry in SWAPPERS:
        if entry.name == name:
            return entry
    raise InputError(f"There is no swapper {name!r}; there are {', '.join(entry.name for entry in SWAPPERS)}.")


def swap_faces(
    swapper: Swapper, images: Tensor, assignments: Sequence[Assignment], options: SwapOptions | None = None
) -> FaceCrops:
    """Swap faces and return them as crops that `stitch_faces` puts into the pictures.

    images: (B, H, W, C >= 3) float in [0, 1]. assignments: (picture, face, identity) each; where faces overlap later
    ones lie over earlier ones. options: see SwapOptions. Returns square crops on the pictures' own pixel grid, as
    large as the largest face needs, with masks that are 0 wherever a face may not change the picture (everywhere at
    strength 0). Raises InputError for pictures, faces or masks that do not fit each other.
    """
    options = options or SwapOptions()
    _check(images, assignments, options)
    found = swapper.swap(_seen(images[..., :3], assignments, options.occluder), assignments, options)
    side = max((max(face.mask.shape) for face in found), default=16)
    crops = images.new_zeros((len(found), side, side, 3), dtype=torch.float32)
    masks = images.new_zeros((len(found), side, side), dtype=torch.float32)
    matrices = np.zeros((len(found), 2, 3))
    for row, face in enumerate(found):
        height, width = face.mask.shape
        crops[row, :height, :width] = face.pixels.permute(1, 2, 0)
        masks[row, :height, :width] = face.mask if options.strength > 0 else 0
        matrices[row] = [[1, 0, -face.x0], [0, 1, -face.y0]]
        if options.occluder is not None:
            region = (face.x0, face.y0, face.x0 + width, face.y0 + height)
            index, target, _ = assignments[row]
            masks[row, :height, :width] *= 1 - hidden_part(options.occluder, images[index], target, region)
        if options.mask is not None:
            limit = options.mask[assignments[row][0], face.y0 : face.y0 + height, face.x0 : face.x0 + width]
            masks[row, :height, :width] *= limit
    frame = tuple(index for index, _, _ in assignments)
    return FaceCrops(
        crops, masks, matrices, frame, tuple(face for _, face, _ in assignments), images.shape[1], images.shape[2]
    )


def _seen(images: Tensor, assignments: Sequence[Assignment], occluder: Occluder | None) -> Tensor:
    """The pictures as a swapper should see them: skin instead of what hides a face, which would colour the result."""
    if occluder is None:
        return images
    pictures = list(images)
    for index, face, _ in assignments:
        low, high = face.bbox_xyxy[:2], face.bbox_xyxy[2:]
        x0, y0 = np.maximum(low - 0.5 * (high - low), 0).astype(int)
        x1, y1 = np.minimum(high + 0.5 * (high - low) + 1, [images.shape[2], images.shape[1]]).astype(int)
        if x1 > x0 and y1 > y0:
            region = (int(x0), int(y0), int(x1), int(y1))
            hidden = hidden_part(occluder, images[index], face, region)
            pictures[index] = uncovered(pictures[index], face, hidden, region)
    return torch.stack(pictures)


def _check(images: Tensor, assignments: Sequence[Assignment], options: SwapOptions) -> None:
    if images.ndim != 4 or images.shape[-1] < 3 or len(images) == 0:
        raise InputError(f"Swap faces needs pictures of the shape (B, H, W, 3), this has {tuple(images.shape)}.")
    for index, _, identity in assignments:
        if not 0 <= index < len(images):
            raise InputError(
                f"A face belongs to picture {index} but there are only {len(images)} (0 to {len(images) - 1})."
            )
        if len(identity.crops) == 0:
            raise InputError(f"The identity {identity.name!r} has no reference picture: build it again from a photo.")
    if options.mask is not None and tuple(options.mask.shape) != tuple(images.shape[:3]):
        raise InputError(
            f"The mask has the shape {tuple(options.mask.shape)}, the pictures need {tuple(images.shape[:3])}: "
            "make it from the same pictures or resize it to them."
        )
