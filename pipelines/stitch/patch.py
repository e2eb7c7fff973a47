"""One crop on its way into one picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..face import FaceCrops
from ..geometry.warp import crop_pictures
from .colour import ColourMatch, match_colour
from .place import Region, bring_back, joined, reach_of, strips_of, whole_shift, windowed

#: A crop's pixel counts as changed from this difference on (a quarter of an 8-bit step).
_UNCHANGED = 1e-3

#: What is left as it was is looked for in blocks of this side, in px of the crop.
_BLOCK = 8


class Frame:
    """One picture and what becomes of it.

    picture: (H, W, C). out: the same shape, filled from the top only as far as needed, so that what is mixed in is
    still in the processor's cache. used: (H, W) of zeros, becomes the mask.
    """

    def __init__(self, picture: Tensor, out: Tensor, used: Tensor) -> None:
        self.picture, self.out, self.used = picture, out, used
        self._copied, self._faces = 0, 0

    def copy_to(self, row: int) -> None:
        """Make sure that the rows above `row` are filled."""
        if row > self._copied:
            self.out[self._copied : row].copy_(self.picture[self._copied : row])
            self._copied = row

    def add_face(self) -> None:
        """Tell that another face comes."""
        self._faces += 1

    def use(self, region: Region, alpha: Tensor) -> None:
        """Join a part of the present face's mask to the mask; a face gives each place once."""
        x0, y0, x1, y1 = region
        below = self.used[y0:y1, x0:x1]
        if self._faces > 1:
            torch.maximum(below, alpha, out=below)
        else:
            below.copy_(alpha)


@dataclass(frozen=True, eq=False)
class Patch:
    """A crop over the part `region` of its picture.

    parts: strips of the region, each with planes (4 or 5, h, w) on the picture's own pixels: three colours, what
    changed unless everything did, and the mask. limit: (H, W) in [0, 1] on top of the mask, or None.
    """

    frame: Frame
    region: Region
    parts: Iterator[tuple[Region, Tensor]]
    limit: Tensor | None

    def mix(self) -> None:
        """Mix it in, pixel by pixel."""
        for region, planes in self.parts:
            x0, y0, x1, y1 = region
            self.frame.copy_to(y1)
            alpha = planes[-1] if self.limit is None else planes[-1] * self.limit[y0:y1, x0:x1]
            opacity = alpha if len(planes) == 4 else alpha * planes[3]
            self.frame.use(region, alpha)
            current = self.frame.out[y0:y1, x0:x1]
            for channel in range(3):
                part = current[..., channel]
                part.lerp_(planes[channel].to(part), opacity.to(part))

    def whole(self) -> tuple[Tensor, Tensor, Tensor]:
        """Colours (h, w, 3), how far they changed (h, w), and the mask (h, w), over the whole region."""
        parts = list(self.parts)
        channels = max((len(planes) for _, planes in parts), default=4)
        planes = joined(iter(parts), self.region, channels)
        x0, y0, x1, y1 = self.region
        alpha = planes[-1] if self.limit is None else planes[-1] * self.limit[y0:y1, x0:x1]
        return planes[:3].permute(1, 2, 0), planes[3] if channels > 4 else torch.ones_like(alpha), alpha


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
    frame.add_face()
    x0, y0, x1, y1 = region
    shift = whole_shift(matrix)
    window = reach.window(matrix)
    if shift is not None:
        window = (slice(y0 + shift[1], y1 + shift[1]), slice(x0 + shift[0], x1 + shift[0]))
    before = None if crops.before is None else crops.before[row][window]
    if before is None and shift is not None and bool((frame.used[y0:y1, x0:x1] > 0).any()):
        # what equals the picture must not undo another face's work
        before = frame.picture[y0:y1, x0:x1, :3]
    part, mask = crop[window], mask[window]
    changed = _changed(part, before, mask)
    if colour != "none":
        part = match_colour(part, _original(frame.picture, crops, row)[window], mask, colour)
    planes = _planes(part, changed, mask)
    if shift is not None:
        return Patch(frame, region, iter([(region, planes)]), limit)
    parts = bring_back(planes, windowed(matrix, window), strips_of(region, matrix, reach, tight))
    return Patch(frame, region, parts, limit)


def _original(picture: Tensor, crops: FaceCrops, row: int) -> Tensor:
    """What the picture shows in a crop's place (h, w, 3)."""
    size_hw = (crops.images.shape[1], crops.images.shape[2])
    matrix = crops.crop_from_image[row][None]
    return crop_pictures(picture[None, :, :, :3], (0,), matrix, size_hw, padding="border")[0]


def _planes(colours: Tensor, changed: Tensor | None, mask: Tensor) -> Tensor:
    """(4 or 5, h, w) of colours (h, w, 3), what changed (h, w) if not everything did, and the mask (h, w)."""
    extra = [mask] if changed is None else [changed, mask]
    planes = colours.new_empty((3 + len(extra), *mask.shape), dtype=torch.float32)
    for plane, values in zip(planes, [*colours.unbind(-1), *extra], strict=True):
        plane.copy_(values)
    return planes


def _changed(crop: Tensor, before: Tensor | None, mask: Tensor) -> Tensor | None:
    """(h, w) in [0, 1]: 0 where the crop (h, w, 3) still is what it was; None where the mask shows no such place.

    Places smaller than a block are chance.
    """
    if before is None:
        return None
    if crop.data_ptr() == before.data_ptr():
        return torch.zeros_like(mask)
    step = _BLOCK // 2
    sample = (crop[::step, ::step] - before[::step, ::step]).abs().amax(-1)
    seen = (mask[::step, ::step] > 0).to(sample.dtype)
    joined_blocks = F.max_pool2d(torch.stack([sample, seen])[:, None], 2, ceil_mode=True)[:, 0]
    if not bool(((joined_blocks[0] < 4 * _UNCHANGED) & (joined_blocks[1] > 0)).any()):
        return None
    return 1 - torch.exp(-(((crop - before).abs().amax(-1) / _UNCHANGED) ** 2))
