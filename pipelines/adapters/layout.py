"""Where people may stand: soft regions of a picture, made of faces, boxes, masks or a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..face import Faces, FloatArray
from ..identity.identity import Identity

#: Colours of a drawn layout that cover less of it are traces of the brush.
LEAST_COLOUR_SHARE = 0.005
#: A colour is this coarse, so that soft edges do not become regions of their own.
COLOUR_STEPS = 8
#: An edge is narrower than twice this, and this alike (cosine) are a colour and its shades.
EDGE_PX, SAME_COLOUR = 2, 0.95


#: What regions can be made of.
SOURCES = ("faces", "boxes", "masks", "drawing")


@dataclass(frozen=True, eq=False)
class Layout:
    """Regions before anybody has one.

    source: one of SOURCES; value: of that kind. grow: as in `masks_of_faces`. size: (height, width) px, for boxes.
    feather: as in `soft`.
    """

    source: str
    value: Any
    grow: float = 0.6
    size: tuple[int, int] = (0, 0)
    feather: float = 0.04

    def masks(self) -> Tensor:
        """(N, H, W) in [0, 1], their sum at most 1."""
        if self.source == "faces":
            masks = masks_of_faces(self.value, self.grow)
        elif self.source == "boxes":
            masks = masks_of_boxes(self.value, *self.size)
        elif self.source == "masks":
            masks = masks_given(self.value)
        elif self.source == "drawing":
            masks = masks_of_drawing(self.value[0])
        else:
            raise InputError(f"Regions cannot be made of {self.source!r}: choose one of {', '.join(SOURCES)}.")
        return soft(masks, self.feather)


@dataclass(frozen=True, eq=False)
class PeopleRegions:
    """People, and per person the soft region it belongs to.

    masks: (P, H, W) in [0, 1] whose sum is at most 1, or None where everybody is everywhere.
    """

    people: tuple[Identity, ...]
    masks: Tensor | None = None

    def pairs(self) -> Iterator[tuple[Identity, Tensor | None]]:
        """Every person with its mask (1, H, W)."""
        for index, person in enumerate(self.people):
            yield person, None if self.masks is None else self.masks[index : index + 1]


def masks_of_faces(faces: Faces, grow: float) -> Tensor:
    """(N, H, W): the surroundings of every face of the first picture as an ellipse.

    grow: how far it goes beyond the face's box, in sizes of the box; twice as far below, where the body is.
    """
    faces.require_any("Identity Regions")
    frame = next(frame for frame in faces.frames if frame)
    return torch.stack([_ellipse(face.bbox_xyxy, grow, faces.height, faces.width) for face in frame])


def _ellipse(box: FloatArray, grow: float, height: int, width: int) -> Tensor:
    x0, y0, x1, y1 = (float(value) for value in box)
    half_w, face_h = (x1 - x0) * (0.5 + grow), y1 - y0
    top, bottom = y0 - face_h * grow, y1 + 2 * face_h * grow
    x = (torch.arange(width) - (x0 + x1) / 2) / max(half_w, 1)
    y = (torch.arange(height) - (top + bottom) / 2) / max((bottom - top) / 2, 1)
    return ((x[None] ** 2 + y[:, None] ** 2) <= 1).float()


def masks_of_boxes(boxes: Any, height: int, width: int) -> Tensor:
    """(N, H, W) of ComfyUI's boxes: a list, or a list per picture, of {"x", "y", "width", "height"} in px."""
    found = [boxes] if isinstance(boxes, Mapping) else list(boxes)
    flat = [box for entry in found for box in (entry if isinstance(entry, Sequence) else [entry])]
    if not flat:
        raise InputError("There are no boxes: connect some, or choose another source of the regions.")
    masks = torch.zeros(len(flat), height, width)
    for mask, box in zip(masks, flat, strict=True):
        try:
            x, y, w, h = (float(box[key]) for key in ("x", "y", "width", "height"))
        except (KeyError, TypeError) as error:
            raise InputError(f"A box must have x, y, width and height in px; this one is {box!r}.") from error
        mask[max(round(y), 0) : max(round(y + h), 0), max(round(x), 0) : max(round(x + w), 0)] = 1
    return masks


def masks_of_drawing(picture: Tensor) -> Tensor:
    """(N, H, W): one region per colour of a drawn layout (H, W, 3) in [0, 1]; black belongs to nobody.

    The shades between a colour and black, which the soft edge of a brush leaves, belong to the colour.
    """
    colours = picture[..., :3]
    steps = (colours * (COLOUR_STEPS - 1)).round().long()
    code = (steps[..., 0] * COLOUR_STEPS + steps[..., 1]) * COLOUR_STEPS + steps[..., 2]
    plain: list[Tensor] = []
    for colour in code.unique().tolist():
        mask = (code == colour).float()
        # edges and specks have no inside
        inside = 1 - torch.nn.functional.max_pool2d(1 - mask[None], 2 * EDGE_PX + 1, 1, EDGE_PX)[0]
        if colour != 0 and mask.mean() >= LEAST_COLOUR_SHARE and inside.any():
            plain.append(mask)
    if not plain:
        raise InputError(
            f"The drawing of {picture.shape[1]} × {picture.shape[0]} px has no coloured area: paint one plain colour "
            "per person on black."
        )
    masks = torch.stack(plain)
    means = torch.einsum("nhw,hwc->nc", masks, colours) / masks.sum((1, 2))[:, None]
    likeness = torch.nn.functional.normalize(colours, dim=-1) @ torch.nn.functional.normalize(means, dim=-1).T
    shades = (masks.sum(0) == 0) & (code != 0) & (likeness.amax(-1) >= SAME_COLOUR)
    nearest = torch.nn.functional.one_hot(likeness.argmax(-1), len(masks)).permute(2, 0, 1)
    return masks + nearest * shades


def masks_given(masks: Tensor) -> Tensor:
    """(N, H, W) float in [0, 1]. Raises InputError for another shape, values, or an empty region."""
    masks = masks.float() if masks.ndim == 3 else masks[None].float()
    if masks.ndim != 3 or not torch.isfinite(masks).all() or masks.min() < 0 or masks.max() > 1:
        raise InputError(f"Regions must be masks (N, height, width) with values from 0 to 1, not {tuple(masks.shape)}.")
    return masks


def soft(masks: Tensor, feather: float) -> Tensor:
    """Masks (N, H, W) with soft borders, and where several overlap, each its share: the sum is at most 1.

    feather: width of the border as a part of the picture's shorter side.
    """
    empty = [index for index, mask in enumerate(masks) if mask.max() <= 0]
    if empty:
        raise InputError(f"Region(s) {', '.join(map(str, empty))} of {len(masks)} are empty: nobody can stand there.")
    sigma = feather * min(masks.shape[-2:]) / 4
    blurred = _blur(masks, sigma) if sigma >= 0.3 else masks
    return blurred / blurred.sum(0).clamp_min(1.0)


def _blur(masks: Tensor, sigma: float) -> Tensor:
    radius = int(3 * sigma + 0.5)
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    values = torch.nn.functional.pad(masks[:, None], (radius, radius, 0, 0), mode="replicate")
    values = torch.nn.functional.conv2d(values, kernel)
    values = torch.nn.functional.pad(values, (0, 0, radius, radius), mode="replicate")
    return torch.nn.functional.conv2d(values, kernel.transpose(2, 3))[:, 0]


def centre(mask: Tensor) -> tuple[float, float]:
    """(x, y) px of a mask's centre of mass."""
    total = float(mask.sum())
    y = float((mask.sum(1) * torch.arange(mask.shape[0])).sum()) / total
    return float((mask.sum(0) * torch.arange(mask.shape[1])).sum()) / total, y


def draw_regions(regions: PeopleRegions) -> Tensor:
    """(1, H, W, 3): every region in a colour of its own."""
    if regions.masks is None:
        raise InputError("There are no regions to draw.")
    hue = torch.arange(len(regions.people)) / len(regions.people)
    colours = torch.stack([(torch.cos(2 * torch.pi * (hue - shift)) + 1) / 2 for shift in (0, 1 / 3, 2 / 3)], dim=1)
    return torch.einsum("phw,pc->hwc", regions.masks, colours).clamp(0, 1)[None]
