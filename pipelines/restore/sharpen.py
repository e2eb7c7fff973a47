"""The restorer that needs no files: it takes grain away and lifts the detail that is there; it invents nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .restorer import Restorer

#: Scales of detail (standard deviation in px of a 512 px crop) and how much each is lifted.
_LIFTS = ((1.5, 0.9), (4.0, 0.7), (9.0, 0.15))

#: Brightness of red, green and blue (ITU-R BT.709).
_LUMA = (0.2126, 0.7152, 0.0722)

#: Grain up to this contrast is taken away (variance), within this radius in px.
_GRAIN, _RADIUS = 3e-4, 3

#: How far a pixel may leave the range of its surroundings (px, value): more would show as a halo.
_SURROUNDINGS, _OVERSHOOT = 7, 0.02


class Sharpener:
    """See `RestorerNetwork`; it has no dial."""

    def restore(self, crops: Tensor, fidelity: float) -> Tensor:
        """Concretely the guided filter of itself (He et al. 2010, eq. 5 and 6) plus weighted differences of Gaussians
        of its brightness, kept within the range of the surroundings."""
        del fidelity
        pixels = crops.permute(0, 3, 1, 2)
        if len(pixels) == 0:
            return crops
        clean = _without_grain(pixels)
        # brightness only: lifted colours would look painted
        luma = (clean * clean.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
        detail = torch.zeros_like(luma)
        for sigma, weight in _LIFTS:
            detail += weight * (luma - _blurred(luma, sigma * pixels.shape[-1] / 512))
        lifted = clean + detail
        highest, lowest = _highest(clean) + _OVERSHOOT, -_highest(-clean) - _OVERSHOOT
        return torch.minimum(torch.maximum(lifted, lowest), highest).clamp(0, 1).permute(0, 2, 3, 1)


def _without_grain(pixels: Tensor) -> Tensor:
    mean = _box(pixels)
    variance = (_box(pixels * pixels) - mean * mean).clamp_min(0)
    kept = variance / (variance + _GRAIN)
    return _box(kept) * pixels + _box((1 - kept) * mean)


def _box(pixels: Tensor) -> Tensor:
    side, pad = 2 * _RADIUS + 1, _RADIUS
    rows = F.avg_pool2d(pixels, (1, side), 1, (0, pad), count_include_pad=False)
    return F.avg_pool2d(rows, (side, 1), 1, (pad, 0), count_include_pad=False)


def _highest(pixels: Tensor) -> Tensor:
    side, pad = _SURROUNDINGS, _SURROUNDINGS // 2
    return F.max_pool2d(F.max_pool2d(pixels, (1, side), 1, (0, pad)), (side, 1), 1, (pad, 0))


def _blurred(pixels: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=pixels.dtype) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(pixels)
    channels = pixels.shape[1]
    padded = F.pad(pixels, (reach, reach, reach, reach), mode="reflect")
    rows = F.conv2d(padded, kernel.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, kernel[:, None].expand(channels, 1, -1, 1), groups=channels)


SHARPEN = Restorer(
    "sharpen", "Sharpen: needs no files, invents nothing", "Apache-2.0 (this pack)", 512, embedded=Sharpener()
)
