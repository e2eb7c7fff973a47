"""Put processed crops back: exact outside the mask, exact where a crop was not changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..face import FaceCrops
from .buffers import empty_like, zeros
from .colour import COLOUR_MATCHES, ColourMatch
from .grain import match_grain
from .light import linear_from_srgb, srgb_from_linear
from .membrane import membrane
from .patch import Frame, Patch, patch_of
from .pyramid import blend_bands
from .seam import seam_mask

Blend = Literal["alpha", "multiband", "poisson", "seam"]
BLENDS: tuple[Blend, ...] = ("alpha", "multiband", "poisson", "seam")

#: These shift whole areas and so can leave the picture's range of values where it is very dark or bright.
_OVERSHOOTING = ("multiband", "poisson")

Order = Literal["as_given", "larger_on_top"]
ORDERS: tuple[Order, ...] = ("as_given", "larger_on_top")

#: Grain is added where a face changes the picture by more than this (a quarter of an 8-bit step).
_UNCHANGED = 1e-3


@dataclass(frozen=True)
class Finish:
    """How a crop is fitted to its picture before it is mixed in.

    colour: see `match_colour`. grain: 0 leaves the crop's grain, 1 gives it the picture's. linear_light: mix light
    instead of display values. order: which of two overlapping faces lies on top, the later one or the larger one.
    """

    colour: ColourMatch = "none"
    grain: float = 0.0
    linear_light: bool = False
    order: Order = "as_given"

    def __post_init__(self) -> None:
        if self.colour not in COLOUR_MATCHES:
            raise InputError(f"There is no colour match {self.colour!r}; there are {', '.join(COLOUR_MATCHES)}.")
        if not 0 <= self.grain <= 1:
            raise InputError(f"grain is {self.grain}; it must lie between 0 and 1.")
        if self.order not in ORDERS:
            raise InputError(f"There is no order {self.order!r}; there are {', '.join(ORDERS)}.")


def stitch_faces(
    images: Tensor,
    crops: FaceCrops,
    blend: Blend = "alpha",
    mask: Tensor | None = None,
    finish: Finish | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The pictures with the crops put back.

    images: (B, H, W, C >= 3) float, the pictures the crops are of; further channels stay. crops: processed or not, at
    any size (`FaceCrops.with_images` keeps the way back right). blend: "alpha" mixes by the mask, "multiband" mixes
    each octave of detail over a border of its own width, "poisson" shifts the colours smoothly so that they agree at
    the mask's edge, "seam" cuts through the mask's soft border where it shows least. mask: (B, H, W) in [0, 1], where
    the pictures may change, on top of the crops' masks. finish: colour, grain, light and order. out: a buffer like
    `images` to write to instead of a new one.

    Returns the pictures and the mask used (B, H, W). Outside the mask they are the input bit for bit; where a crop is
    what was cut, they are the input: concretely current + m * (1 - u) * (crop - current), all brought back onto the
    picture's pixels, with `u` 1 where a crop still is `crops.before`.
    Raises InputError when pictures, crops or mask do not belong together.
    """
    used = zeros(images.shape[:3], images.device)
    return _stitched(images, crops, blend, mask, finish or Finish(), out, used), used


def stitched_pictures(
    images: Tensor,
    crops: FaceCrops,
    blend: Blend = "alpha",
    mask: Tensor | None = None,
    finish: Finish | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The pictures of `stitch_faces` without the mask it used, which costs its own memory: for frames of a video."""
    return _stitched(images, crops, blend, mask, finish or Finish(), out, None)


def _stitched(
    images: Tensor,
    crops: FaceCrops,
    blend: Blend,
    mask: Tensor | None,
    finish: Finish,
    out: Tensor | None,
    used: Tensor | None,
) -> Tensor:
    _check(images, crops, blend, mask)
    if out is None:
        out = empty_like(images)
    elif out.shape != images.shape or out.dtype != images.dtype:
        raise InputError(f"The buffer is {tuple(out.shape)} {out.dtype}, the pictures {tuple(images.shape)}.")
    masks = [None] * len(images) if used is None else list(used)
    frames = [Frame(*parts) for parts in zip(images, out, masks, strict=True)]
    for row in _order(crops, finish.order):
        index = crops.frame[row]
        plain = blend == "alpha" and finish.grain == 0
        limit = None if mask is None else mask[index]
        patch = patch_of(frames[index], crops, row, finish.colour, limit, tight=plain)
        if patch is not None and plain:
            patch.mix(finish.linear_light)
        elif patch is not None:
            _blend(patch, blend, finish, row)
    for frame in frames:
        frame.copy_to(crops.height)
    return out


def _order(crops: FaceCrops, order: Order) -> list[int]:
    """The rows of the crops from the lowest to the top."""
    rows = list(range(len(crops.frame)))
    if order == "larger_on_top":
        rows.sort(key=lambda row: crops.faces[row].width_px * crops.faces[row].height_px)
    return rows


def _check(images: Tensor, crops: FaceCrops, blend: str, mask: Tensor | None) -> None:
    if images.ndim != 4 or images.shape[-1] < 3:
        raise InputError(f"Pictures must have the shape (B, H, W, 3), this has {tuple(images.shape)}.")
    if tuple(images.shape[1:3]) != (crops.height, crops.width):
        raise InputError(
            f"The pictures are {images.shape[2]} × {images.shape[1]} px, the crops were cut from pictures of "
            f"{crops.width} × {crops.height} px: connect the pictures that were cropped."
        )
    if crops.frame and max(crops.frame) >= len(images):
        raise InputError(f"A crop belongs to picture {max(crops.frame)} but there are only {len(images)}.")
    if blend not in BLENDS:
        raise InputError(f"There is no blend {blend!r}; there are {', '.join(BLENDS)}.")
    if mask is not None and tuple(mask.shape) != tuple(images.shape[:3]):
        raise InputError(
            f"The mask has the shape {tuple(mask.shape)}, the pictures need {tuple(images.shape[:3])}: "
            "make it from the same pictures or resize it to them."
        )


def _blend(patch: Patch, blend: Blend, finish: Finish, seed: int) -> None:
    """Put one crop into its picture in any other way than mixing it in pixel by pixel."""
    frame, (x0, y0, x1, y1) = patch.frame, patch.region
    frame.copy_to(y1)
    before, current = (picture[y0:y1, x0:x1, :3].permute(2, 0, 1) for picture in (frame.picture, frame.out))
    change, opacity, alpha = patch.whole()
    base = torch.empty_like(change) if finish.linear_light else current
    for new, below, shown in zip(change, base, current, strict=True):
        if finish.linear_light:
            below.copy_(linear_from_srgb(shown))
            new.copy_(linear_from_srgb(new))
        new.sub_(below).mul_(opacity)
    if finish.grain > 0:
        _add_grain(change, base, before, alpha, seed, finish)
    if blend == "seam":
        alpha = seam_mask(change.permute(1, 2, 0), alpha)
    closed = (x0 == 0, x1 == frame.picture.shape[1], y0 == 0, y1 == frame.picture.shape[0])
    limits = (min(0.0, float(before.min())), max(1.0, float(before.max())))
    # one colour after the other: a face may cover much of a large picture
    for new, below, shown in zip(change, base, current, strict=True):
        mixed = _mixed(new, alpha, blend, closed).add_(below)
        if finish.linear_light:
            # the way to light and back rounds; where nothing changes it must not
            mixed = srgb_from_linear(mixed).sub_(srgb_from_linear(below)).add_(shown)
        if blend in _OVERSHOOTING:
            mixed.clamp_(*limits)
        shown.copy_(torch.where(alpha > 0, mixed, shown))
    frame.use(patch.region, alpha)


def _add_grain(change: Tensor, base: Tensor, before: Tensor, alpha: Tensor, seed: int, finish: Finish) -> None:
    """Add grain to the change (3, h, w) from the base to the new picture; none where nothing changes."""
    touched = change.abs().amax(0) > _UNCHANGED
    shown = change + base
    if finish.linear_light:
        for plane in shown:
            plane.copy_(srgb_from_linear(plane))
    grained = match_grain(shown.permute(1, 2, 0), before.permute(1, 2, 0), alpha, finish.grain, seed).permute(2, 0, 1)
    for moved, plane, was, below in zip(change, grained, shown, base, strict=True):
        if finish.linear_light:
            added = linear_from_srgb(plane).sub_(moved).sub_(below)
        else:
            added = plane - was
        moved.add_(added.mul_(touched))


def _mixed(change: Tensor, alpha: Tensor, blend: Blend, closed: tuple[bool, bool, bool, bool]) -> Tensor:
    """What is added to one colour of the picture (h, w); closed: whether left, right, top and bottom are its border."""
    if blend == "multiband":
        levels = max(0, int(np.log2(max(min(alpha.shape), 1) / 24)))
        return blend_bands(change[None], alpha, levels)[0]
    if blend == "poisson":
        # around the region the picture goes on unchanged
        rim = [0 if side else 1 for side in closed]
        misfit = membrane(F.pad(-change[None], rim), F.pad(alpha, rim) > 0)[0]
        height, width = misfit.shape[0] - rim[3], misfit.shape[1] - rim[1]
        change = change + misfit[rim[2] : height, rim[0] : width]
    return change * alpha
