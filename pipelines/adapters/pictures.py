"""From the crops of an identity to what a vision tower reads, as each family's reference prepares it.

A recipe names the alignment of the crops ("ffhq_512", which identities keep, is PuLID's and MasterWeaver's own); parts
that a family blanks out come as a mask from whoever finds faces and hair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .family import VisionNeed

#: Mean and deviation of CLIP's training pictures.
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
#: To [-1, 1].
HALF = (0.5, 0.5, 0.5)
#: Weights of red, green and blue in PuLID's grey.
GREY = (0.299, 0.587, 0.114)

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Recipe:
    """One preparation.

    template: alignment of the crop. keep: what stays, "all", "face" (without hair) or "face and hair"; the rest gets
    the value `blank`. grey: the kept part without colour. mean, std: per channel, after everything else.
    """

    template: str = "ffhq_512"
    keep: str = "all"
    blank: float = 0.0
    grey: bool = False
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD


#: By the name that families give in `VisionNeed.picture`.
RECIPES: dict[str, Recipe] = {
    "arcface_224": Recipe("arcface_112"),
    "whole": Recipe(),
    "face_224": Recipe(),
    "subject_224": Recipe(),
    "pulid_face": Recipe(keep="face and hair", blank=1.0, grey=True),
    "ffhq_face_only": Recipe(keep="face and hair"),
    "head_112": Recipe("arcface_112", keep="face and hair", mean=HALF, std=HALF),
    "ffhq_256": Recipe(mean=HALF, std=HALF),
}


def prepare(need: VisionNeed, crops: Tensor, kept: Tensor | None = None) -> Tensor:
    """The pixels that a tower reads.

    crops: (R, S, S, 3) uint8 or float in [0, 1], aligned to `RECIPES[need.picture].template`. kept: (R, S, S) in
    [0, 1], 1 where the recipe's `keep` is; needed unless that is "all". Returns (R, 3, size, size) float32, normalised.
    Raises InputError when the mask is missing or has another size.
    """
    recipe = RECIPES[need.picture]
    images = crops.float() / 255 if crops.dtype == torch.uint8 else crops.float()
    if recipe.keep != "all":
        images = _only(images, recipe, kept, need)
    return normalised(resized(images.permute(0, 3, 1, 2), need.size_px), recipe)


def blank_pixels(need: VisionNeed) -> Tensor:
    """(1, 3, size, size): the all-zero input whose features stand for nobody."""
    return torch.zeros(1, 3, need.size_px, need.size_px)


def _only(images: Tensor, recipe: Recipe, kept: Tensor | None, need: VisionNeed) -> Tensor:
    if kept is None or kept.shape != images.shape[:3]:
        given = "none was given" if kept is None else f"one of {tuple(kept.shape)} was given"
        raise InputError(
            f"The picture for {need.tower} shows only the {recipe.keep}: it needs a mask {tuple(images.shape[:3])} of "
            f"the crops, and {given}. Connect face parsing, or give the mask."
        )
    inside = images
    if recipe.grey:
        inside = (images * images.new_tensor(GREY)).sum(-1, keepdim=True).expand_as(images)
    mask = kept.to(images).unsqueeze(-1)
    return inside * mask + recipe.blank * (1 - mask)


def resized(images: Tensor, size: int) -> Tensor:
    """(R, 3, S, S) → (R, 3, size, size), bicubic with antialiasing, inside [0, 1]."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def normalised(images: Tensor, recipe: Recipe) -> Tensor:
    """(R, 3, S, S) in [0, 1] with the recipe's mean taken off, divided by its deviation."""
    mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (recipe.mean, recipe.std))
    return (images - mean) / std
