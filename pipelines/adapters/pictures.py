"""From the crops of an identity to what a vision tower reads, as each family's reference prepares it.

A recipe names the alignment of the crops ("ffhq_512", which identities keep, is PuLID's and MasterWeaver's own); parts
that a family blanks out come as a mask from whoever finds faces and hair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..identity.parsing import CLASSES
from .family import VisionNeed

#: Mean and deviation of CLIP's training pictures.
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
#: To [-1, 1].
HALF = (0.5, 0.5, 0.5)
#: Weights of red, green and blue in PuLID's grey.
GREY = (0.299, 0.587, 0.114)

#: Deviation in px of the edge that W+ blurs, OpenCV's choice for a kernel of five.
SOFT_EDGE = (1.1, 5)

Triple = tuple[float, float, float]


def every_class_but(*left_out: str) -> tuple[str, ...]:
    """The classes of face parsing that stay. Raises ValueError for a class that does not exist."""
    numbers = {CLASSES.index(name) for name in left_out}
    return tuple(name for index, name in enumerate(CLASSES) if index not in numbers)


@dataclass(frozen=True)
class Recipe:
    """One preparation.

    template: alignment of the crop. keep: what stays, "all", "face" (without hair) or "face and hair"; the rest gets
    the value `blank`. parsed: the classes of face parsing that stay where there is a parser; with keep "all" nothing
    is cut away without one. grown: their outline is widened as far as there is a person. grey: the kept part without
    colour. soft: the edge is blurred and mixed at the final size. plain: resampled without antialiasing and left as it
    comes out, as torchvision 0.15 does with tensors. mean, std: per channel, after everything else.
    """

    template: str = "ffhq_512"
    keep: str = "all"
    blank: float = 0.0
    parsed: tuple[str, ...] = ()
    grown: bool = False
    grey: bool = False
    soft: bool = False
    plain: bool = False
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD


_HEAD = every_class_but("background", "neck", "neck_l", "cloth", "hat")

#: By the name that families give in `VisionNeed.picture`.
RECIPES: dict[str, Recipe] = {
    "arcface_224": Recipe("arcface_112"),
    "whole": Recipe(),
    "face_224": Recipe(),
    "subject_224": Recipe(),
    "pulid_face": Recipe(
        keep="face and hair",
        blank=1.0,
        parsed=every_class_but("background", "l_ear", "r_ear", "ear_r", "neck", "neck_l", "cloth", "hat"),
        grey=True,
        plain=True,
    ),
    "ffhq_face_only": Recipe(keep="face and hair", parsed=_HEAD),
    "head_112": Recipe("arcface_112", keep="face and hair", parsed=_HEAD, grown=True, mean=HALF, std=HALF),
    "ffhq_256": Recipe(blank=1.0, parsed=every_class_but("background", "cloth"), soft=True, mean=HALF, std=HALF),
}

Align = Callable[[Tensor], Tensor]


def prepare(need: VisionNeed, crops: Tensor, kept: Tensor | None = None, align: Align | None = None) -> Tensor:
    """The pixels that a tower reads.

    crops: (R, S, S, 3) uint8 or float in [0, 1]. kept: (R, S, S) in [0, 1], 1 where the recipe's `keep` is; needed
    unless that is "all". align: brings crops into `RECIPES[need.picture].template` after the rest was cut away; None
    where they are in it already. Returns (R, 3, size, size) float32, normalised. Raises InputError when the mask is
    missing or has another size.
    """
    recipe = RECIPES[need.picture]
    images = (crops.float() / 255 if crops.dtype == torch.uint8 else crops.float()).permute(0, 3, 1, 2)
    if kept is not None or recipe.keep != "all":
        images = _only(images, recipe, kept, need)
    if align is not None:
        images = align(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return normalised(resized(images, need.size_px, recipe.plain), recipe)


def blank_pixels(need: VisionNeed) -> Tensor:
    """(1, 3, size, size): the all-zero input whose features stand for nobody."""
    return torch.zeros(1, 3, need.size_px, need.size_px)


def _only(images: Tensor, recipe: Recipe, kept: Tensor | None, need: VisionNeed) -> Tensor:
    if kept is None or kept.shape != images[:, 0].shape:
        given = "none was given" if kept is None else f"one of {tuple(kept.shape)} was given"
        raise InputError(
            f"The picture for {need.tower} shows only the {recipe.keep}: it needs a mask {tuple(images[:, 0].shape)} "
            f"of the crops, and {given}. Connect face parsing, or give the mask."
        )
    mask = kept.to(images).unsqueeze(1)
    if recipe.soft:
        images, mask = resized(images, need.size_px), resized(_blurred(mask), need.size_px)
    inside = images
    if recipe.grey:
        inside = (images * images.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(images)
    return inside * mask + recipe.blank * (1 - mask)


def _blurred(mask: Tensor) -> Tensor:
    """(R, 1, S, S) with an edge that is soft over SOFT_EDGE."""
    sigma, taps = SOFT_EDGE
    x = torch.arange(taps, dtype=torch.float32) - taps // 2
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = functional.pad(mask, [taps // 2] * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel), kernel.transpose(2, 3))


def resized(images: Tensor, size: int, plain: bool = False) -> Tensor:
    """(R, C, S, S) → (R, C, size, size), bicubic with antialiasing, inside [0, 1]; plain: without either."""
    if images.shape[-2:] == (size, size):
        return images
    scaled = functional.interpolate(images, (size, size), mode="bicubic", antialias=not plain, align_corners=False)
    return scaled if plain else scaled.clamp(0, 1)


def normalised(images: Tensor, recipe: Recipe) -> Tensor:
    """(R, 3, S, S) in [0, 1] with the recipe's mean taken off, divided by its deviation."""
    mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (recipe.mean, recipe.std))
    return (images - mean) / std
