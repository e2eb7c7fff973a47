"""One crop on its way into one picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..face import FaceCrops
from ..geometry.warp import crop_pictures
from .colour import ColourMatch, match_colour
from .light import linear_from_srgb, srgb_from_linear
from .place import Region, reach_of, solid_of, strips_of, whole_shift, windowed
from .resample import WayBack, has_open_edge, sampled

#: A crop's pixel counts as changed from this difference on (a quarter of an 8-bit step).
_UNCHANGED = 1e-3

#: What is left as it was is looked for in blocks of this side, in px of the crop.
_BLOCK = 8

#: From this many pixels on it pays to look where the mask is 1, so that nothing needs to be mixed there.
_LARGE_PX = 150_000


class Frame:
    """One picture and what becomes of it.

    picture: (H, W, C). out: the same shape, filled from the top only as far as needed, so that what is mixed in is
    still in the processor's cache. used: (H, W) of zeros, becomes the mask; None where nobody asks for it.
    """

    def __init__(self, picture: Tensor, out: Tensor, used: Tensor | None) -> None:
        self.picture, self.out, self.used = picture, out, used
        self._copied = 0
        self._regions: list[Region] = []

    def copy_to(self, row: int) -> None:
        """Make sure that the rows above `row` are filled."""
        if row > self._copied:
            self.out[self._copied : row].copy_(self.picture[self._copied : row])
            self._copied = row

    def add_face(self, region: Region) -> bool:
        """Tell that another face comes; whether one before it may lie in the same place."""
        x0, y0, x1, y1 = region
        meets = any(x0 < right and left < x1 and y0 < bottom and top < y1 for left, top, right, bottom in self._regions)
        self._regions.append(region)
        return meets

    def use(self, region: Region, alpha: Tensor | float) -> None:
        """Join a part of the present face's mask to the mask; a face gives each place once."""
        if self.used is None:
            return
        x0, y0, x1, y1 = region
        below = self.used[y0:y1, x0:x1]
        if not isinstance(alpha, Tensor):
            below.fill_(alpha)
        elif len(self._regions) > 1:
            torch.maximum(below, alpha, out=below)
        else:
            below.copy_(alpha)


@dataclass(frozen=True, eq=False)
class Piece:
    """What a crop shows on one part of the picture's pixels.

    colours: (3, h, w). alpha: (h, w), the mask, or None where it is 1. changed: (h, w) in [0, 1], how far the crop is
    not what it was; None where all of it is new.
    """

    region: Region
    colours: Tensor
    alpha: Tensor | None = None
    changed: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Patch:
    """A crop over the part `region` of its picture, piece by piece from the top. limit: (H, W) on top of the mask."""

    frame: Frame
    region: Region
    pieces: Iterator[Piece]
    limit: Tensor | None

    def mix(self, linear_light: bool = False) -> None:
        """Mix it in, pixel by pixel; linear_light: as light instead of display values."""
        for piece in self.pieces:
            x0, y0, x1, y1 = piece.region
            self.frame.copy_to(y1)
            current = self.frame.out[y0:y1, x0:x1, :3]
            if piece.alpha is None:
                self.frame.use(piece.region, 1.0)
                current.copy_(piece.colours.permute(1, 2, 0))
                continue
            alpha = self._limited(piece.alpha, piece.region)
            self.frame.use(piece.region, alpha)
            opacity = alpha if piece.changed is None else alpha * piece.changed
            # interleaved colours are several times slower to mix
            planes = current.permute(2, 0, 1).contiguous()
            colours, opacity = piece.colours.to(planes), opacity.to(planes)
            if linear_light:
                base = linear_from_srgb(planes)
                light = base.lerp(linear_from_srgb(colours), opacity)
                # the way to light and back rounds; where nothing changes it must not
                planes += srgb_from_linear(light).sub_(srgb_from_linear(base))
            else:
                planes.lerp_(colours, opacity)
            current.copy_(planes.permute(1, 2, 0))

    def whole(self) -> tuple[Tensor, Tensor, Tensor]:
        """Colours (3, h, w), how far they changed (h, w), and the mask (h, w), over the whole region."""
        left, top, right, bottom = self.region
        planes = torch.zeros(5, bottom - top, right - left)
        for piece in self.pieces:
            x0, y0, x1, y1 = piece.region
            part = planes[:, y0 - top : y1 - top, x0 - left : x1 - left]
            part[:3] = piece.colours
            part[3] = 1.0 if piece.changed is None else piece.changed
            part[4] = 1.0 if piece.alpha is None else piece.alpha
        return planes[:3], planes[3], self._limited(planes[4], self.region)

    def _limited(self, alpha: Tensor, region: Region) -> Tensor:
        x0, y0, x1, y1 = region
        return alpha if self.limit is None else alpha * self.limit[y0:y1, x0:x1]


def patch_of(
    frame: Frame, crops: FaceCrops, row: int, colour: ColourMatch, limit: Tensor | None, tight: bool
) -> Patch | None:
    """The patch of one crop, or None when its mask touches nothing of the picture.

    colour: how the crop takes on the picture's colours. limit: (H, W), where the picture may change. tight: leave out
    what the mask does not reach, which blends that look around themselves need.
    """
    crop, mask, matrix = crops.images[row], crops.masks[row], crops.crop_from_image[row]
    if mask.shape != crop.shape[:2]:
        mask = F.interpolate(mask[None, None], size=crop.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    reach = reach_of(mask)
    region = None if reach is None else reach.region(matrix, crops.height, crops.width)
    if reach is None or region is None:
        return None
    meets = frame.add_face(region)
    x0, y0, x1, y1 = region
    shift = whole_shift(matrix)
    window = reach.window(matrix)
    if shift is not None:
        window = (slice(y0 + shift[1], y1 + shift[1]), slice(x0 + shift[0], x1 + shift[0]))
    before = None if crops.before is None else crops.before[row][window]
    if before is None and shift is not None and meets:
        # what equals the picture must not undo another face's work
        before = frame.picture[y0:y1, x0:x1, :3]
    part, mask = crop[window], mask[window]
    matched = part
    if colour != "none":
        matched = match_colour(part, _original(frame.picture, crops, row)[window], mask, colour)
    planes = _planes(matched, mask, part, before)
    if shift is not None:
        return Patch(frame, region, iter([Piece(region, planes[:3], planes[3], *planes[4:])]), limit)
    way = WayBack(windowed(matrix, window), (mask.shape[0], mask.shape[1]), region)
    strips = list(strips_of(region, matrix, reach, tight))
    solid = [(0, 0)] * len(strips)
    if len(planes) == 4 and limit is None and (x1 - x0) * (y1 - y0) >= _LARGE_PX:
        low, high = (np.array([strip[end] for strip in strips]) for end in (1, 3))
        solid = solid_of(mask).columns(windowed(matrix, window), low, high - 1).tolist()
    return Patch(frame, region, _pieces(way, strips, solid, planes, has_open_edge(mask)), limit)


def _pieces(
    way: WayBack, strips: list[Region], solid: list[tuple[int, int]], planes: Tensor, open_edge: bool
) -> Iterator[Piece]:
    """The crop on the picture's pixels.

    planes: (4 or 5, h, w), the colours, the mask and what changed. solid: per strip the columns between which the mask
    is 1, as far as that is known. open_edge: whether the mask goes on at the border of the crop.
    """
    pixels = way.reduced(planes)
    for strip, (first, last) in zip(strips, solid, strict=True):
        left, top, right, bottom = strip
        grid = way.grid(strip)
        first, last = max(first, left), min(last, right)
        if last - first < (right - left) // 4:
            first = last = right
        else:
            colours = sampled(pixels[:, :3], grid[:, :, first - left : last - left])
            yield Piece((first, top, last, bottom), colours)
        for x0, x1 in ((left, first), (last, right)):
            if x1 > x0:
                part = (x0, top, x1, bottom)
                placed = sampled(pixels, grid[:, :, x0 - left : x1 - left])
                alpha = placed[3] * way.inside(part).to(placed.device) if open_edge else placed[3]
                yield Piece(part, placed[:3], alpha, *placed[4:])


def _planes(colours: Tensor, mask: Tensor, crop: Tensor, before: Tensor | None) -> Tensor:
    """(4 or 5, h, w): the colours (h, w, 3), the mask (h, w), and what changed unless everything under it did.

    crop: (h, w, 3), what the colours were made of. before: the same place as it was.
    """
    planes = torch.empty(5, *mask.shape, device=colours.device)
    planes[:3] = colours.permute(2, 0, 1)
    planes[3] = mask
    changed = None if before is None else _changed(crop, before, mask)
    if changed is None:
        return planes[:4]
    planes[4] = changed
    return planes


def _original(picture: Tensor, crops: FaceCrops, row: int) -> Tensor:
    """What the picture shows in a crop's place (h, w, 3)."""
    size_hw = (crops.images.shape[1], crops.images.shape[2])
    matrix = crops.crop_from_image[row][None]
    return crop_pictures(picture[None, :, :, :3], (0,), matrix, size_hw, padding="border")[0]


def _changed(crop: Tensor, before: Tensor, mask: Tensor) -> Tensor | None:
    """(h, w) in [0, 1]: 0 where the crop (h, w, 3) still is what it was; None where the mask shows no such place."""
    if crop.data_ptr() == before.data_ptr():
        return torch.zeros_like(mask)
    if not _has_kept(crop, before, mask):
        return None
    return 1 - torch.exp(-(((crop - before).abs().amax(-1) / _UNCHANGED) ** 2))


def _has_kept(crop: Tensor, before: Tensor, mask: Tensor) -> bool:
    """Whether four places of some block under the mask are what they were; smaller places are chance."""
    step, low = _BLOCK // 2, 4 * _UNCHANGED
    # one place and one colour of each block leave few to be looked at again
    first = (crop[::_BLOCK, ::_BLOCK, 1] - before[::_BLOCK, ::_BLOCK, 1]).abs()
    y, x = torch.nonzero(first < low, as_tuple=True)
    if len(y) == 0:
        return False
    aside = torch.tensor([[0, 0], [0, step], [step, 0], [step, step]], device=y.device)
    last = torch.tensor(mask.shape, device=y.device)
    at = torch.stack([y, x], -1)[:, None] * _BLOCK + aside
    # a block that the border cuts has fewer places
    y, x = torch.where(at < last, at, at - aside).unbind(-1)
    same = (crop[y, x] - before[y, x]).abs().amax((1, 2)) < low
    return bool((same & (mask[y, x] > 0).any(1)).any())
