"""Put processed crops back: exact outside the mask, exact where a crop was not changed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import FaceCrops
from ..geometry.warp import crop_pictures
from .pyramid import blend_bands

Blend = Literal["alpha", "multiband"]
BLENDS: tuple[Blend, ...] = ("alpha", "multiband")

#: A crop's pixel counts as changed from this difference on (a quarter of an 8-bit step).
_UNCHANGED = 1e-3


def stitch_faces(
    images: Tensor, crops: FaceCrops, blend: Blend = "alpha", mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The pictures with the crops put back.

    images: (B, H, W, C >= 3) float, the pictures the crops are of; further channels stay. crops: processed or not, at
    any size (`FaceCrops.with_images` keeps the way back right). blend: "alpha" mixes by the mask, "multiband" mixes
    each octave of detail over a border of its own width. mask: (B, H, W) in [0, 1], where the pictures may change, on
    top of the crops' masks. Where faces overlap later crops lie over earlier ones.

    Returns the pictures and the mask used (B, H, W). Outside the mask they are the input bit for bit; where a crop is
    what `crop_pictures` makes of the input, they are the input to rounding: concretely
    current + m * (crop - lerp(picture, its crop brought back, unchanged)), with `unchanged` 1 where crop and picture agree.
    Raises InputError when pictures, crops or mask do not belong together.
    """
    _check(images, crops, blend, mask)
    out = images.clone()
    used = images.new_zeros(images.shape[:3])
    for row, index in enumerate(crops.frame):
        limit = None if mask is None else mask[index]
        _paste(out[index], used[index], images[index], crops, row, blend, limit)
    return out, used


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


def _paste(
    out: Tensor, used: Tensor, picture: Tensor, crops: FaceCrops, row: int, blend: Blend, limit: Tensor | None
) -> None:
    crop, mask, matrix = crops.images[row], crops.masks[row], crops.crop_from_image[row]
    if mask.shape != crop.shape[:2]:
        mask = F.interpolate(mask[None, None], size=crop.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    region = _region(mask, matrix, picture.shape[0], picture.shape[1])
    if region is None:
        return
    x0, y0, x1, y1 = region
    before, current = picture[y0:y1, x0:x1, :3], out[y0:y1, x0:x1, :3]
    shift = _whole_shift(matrix)
    if shift is not None:
        window = (slice(y0 + shift[1], y1 + shift[1]), slice(x0 + shift[0], x1 + shift[0]))
        new, alpha, old = crop[window], mask[window], before
    else:
        size_hw = (crop.shape[0], crop.shape[1])
        original = crop_pictures(picture[None, :, :, :3], (0,), matrix[None], size_hw, padding="border")[0]
        new, alpha, old = _back(crop, mask, original, matrix, region)
    if limit is not None:
        alpha = alpha * limit[y0:y1, x0:x1]
    overlaps = bool((used[y0:y1, x0:x1] > 0).any())
    # on the picture's own grid an unchanged pixel is the same number, so that only other faces' work needs care
    change = new - current if shift is not None and not overlaps else _change(new, old, current)
    if blend == "multiband":
        levels = max(0, int(np.log2(max(min(y1 - y0, x1 - x0), 1) / 24)))
        mixed = blend_bands(change.permute(2, 0, 1), alpha, levels).permute(1, 2, 0) + current
    else:
        mixed = current + change * alpha[..., None]
    touched = alpha[..., None] > 0
    out[y0:y1, x0:x1, :3] = torch.where(touched, mixed, current)
    used[y0:y1, x0:x1] = torch.maximum(used[y0:y1, x0:x1], alpha)


def _change(new: Tensor, old: Tensor, current: Tensor) -> Tensor:
    """What full opacity adds to the current picture: new - current where the crop changed, new - old where not."""
    difference = (new - old).abs().amax(-1)
    unchanged = torch.exp(-((difference / _UNCHANGED) ** 2))[..., None]
    return new - torch.lerp(current, old, unchanged)


def _whole_shift(matrix: NDArray[np.float64]) -> tuple[int, int] | None:
    """(x, y) when the crop is a window of the picture on whole pixels, else None."""
    shift = np.round(matrix[:, 2])
    if np.abs(matrix[:, :2] - np.eye(2)).max() > 1e-9 or np.abs(matrix[:, 2] - shift).max() > 1e-6:
        return None
    return int(shift[0]), int(shift[1])


def _region(mask: Tensor, matrix: NDArray[np.float64], height: int, width: int) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 (exclusive): the picture's pixels that the mask can reach, or None."""
    rows, columns = torch.nonzero(mask.amax(1) > 0), torch.nonzero(mask.amax(0) > 0)
    if len(rows) == 0:
        return None
    top, bottom, left, right = (float(v) for v in (rows[0], rows[-1], columns[0], columns[-1]))
    margin = 0 if _whole_shift(matrix) is not None else 1
    corners = np.array([[x, y, 1] for x in (left - margin, right + margin) for y in (top - margin, bottom + margin)])
    full = np.concatenate([matrix, [[0, 0, 1]]])
    places = (corners @ np.linalg.inv(full).T)[:, :2]
    x0, y0 = np.maximum(np.ceil(places.min(0) - 1e-6), 0).astype(int)
    x1, y1 = np.minimum(np.floor(places.max(0) + 1e-6) + 1, [width, height]).astype(int)
    return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None


def _back(
    crop: Tensor, mask: Tensor, original: Tensor, matrix: NDArray[np.float64], region: tuple[int, int, int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Crop, mask and original crop resampled to the picture's pixels of a region (their exact inverse transform)."""
    x0, y0, x1, y1 = region
    window_from_crop = np.linalg.inv(np.concatenate([matrix, [[0, 0, 1]]]))[:2]
    window_from_crop[:, 2] -= [x0, y0]
    joined = torch.cat([crop, original, mask[..., None]], -1)
    placed = crop_pictures(joined[None], (0,), window_from_crop[None], (y1 - y0, x1 - x0), padding="border")[0]
    edge = torch.ones_like(mask)[None, :, :, None]
    inside = crop_pictures(edge, (0,), window_from_crop[None], (y1 - y0, x1 - x0), antialias=False)[0, :, :, 0]
    return placed[..., :3], placed[..., 6] * (inside > 0.999), placed[..., 3:6]
