"""Which part of the reference pictures a tower is shown: by a given mask, by face parsing, or by an outline."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..identity.face_parts import part_masks
from ..identity.identity import Identity
from ..identity.parsing import PARSED_PARTS, FaceParser, is_class
from .consistentid import PARTS
from .pictures import Recipe, every_class_but

#: The outline of a head is widened by this part of the square root of the face's area (FaceChain, get_mask_head).
GROWN_BY = 1 / 20
#: ConsistentID's parts in classes of face parsing; its face has no holes where eyes and mouth are.
PART_CLASSES: dict[str, tuple[str, ...]] = {
    "face": PARSED_PARTS["face"],
    "ears": ("l_ear", "r_ear"),
    "eyes": ("l_eye", "r_eye"),
    "nose": ("nose",),
    "mouth": ("u_lip", "l_lip"),
}


def kept_parts(
    recipe: Recipe, identity: Identity, given: Tensor | None, parser: FaceParser | None
) -> tuple[Tensor | None, str]:
    """(R, 512, 512) in [0, 1], 1 where a recipe keeps the reference pictures, and a text that says by what.

    given: a mask for all pictures (1, 512, 512) or one for each. None where nothing is cut away: the recipe shows
    everything, or wants face parsing and there is no parser.
    """
    if not recipe.parsed and recipe.keep == "all":
        return None, ""
    shown = "people" if recipe.keep == "all" else recipe.keep
    if given is not None:
        mask = given.expand(len(identity), -1, -1) if len(given) == 1 else given
        return mask, f", {shown} cut out by the given mask"
    if parser is not None:
        return parsed_parts(recipe, identity, parser), f", {shown} cut out by face parsing ({parser.name})"
    if recipe.keep == "all":
        return None, ", background left in: a face parser would take it out"
    part = "face" if recipe.keep == "face" else "head"
    return part_masks(identity, part), f", {shown} cut out by an outline from the landmarks"


def parsed_parts(recipe: Recipe, identity: Identity, parser: FaceParser) -> Tensor:
    """(R, 512, 512) in {0, 1}: the recipe's classes in the reference pictures."""
    labels = parser.labels(identity.pictures())
    kept = is_class(labels, recipe.parsed)
    if not recipe.grown:
        return kept
    people = is_class(labels, every_class_but("background"))
    faces = is_class(labels, PARSED_PARTS["face"])
    kernels = [max(int(float(face.sum()) ** 0.5 * GROWN_BY), 1) for face in faces]
    wider = torch.stack([_widened(mask, kernel) for mask, kernel in zip(kept, kernels, strict=True)])
    return wider * people


def face_part_pictures(person: Identity, parser: FaceParser | None) -> tuple[dict[str, Tensor], str]:
    """Part of the face → (512, 512) in {0, 1} where the best reference shows it, and by what it was found.

    Parts that cannot be seen are left out. Landmarks have no ears, a parser has.
    """
    best = person.best
    if parser is None:
        known = (part for part in PARTS if part != "ears")
        return {part: part_masks(person, part)[best] for part in known}, "outlines from the landmarks"
    labels = parser.labels(person.pictures()[best : best + 1])[0]
    masks = {part: is_class(labels, PART_CLASSES[part]) for part in PARTS}
    return {part: mask for part, mask in masks.items() if mask.any()}, f"face parsing ({parser.name})"


def _widened(mask: Tensor, kernel_px: int) -> Tensor:
    """(H, W) grown by a square of `kernel_px`."""
    before = kernel_px // 2
    padded = functional.pad(mask[None], (before, kernel_px - 1 - before, before, kernel_px - 1 - before))
    return functional.max_pool2d(padded, kernel_px, 1)[0]
