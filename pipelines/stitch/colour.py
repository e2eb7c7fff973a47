"""Give a changed crop the colours of the picture it goes into."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .light import lab_from_srgb, srgb_from_lab
from .regions import soften

ColourMatch = Literal["none", "lab", "histogram", "low_frequency"]
COLOUR_MATCHES: tuple[ColourMatch, ...] = ("none", "lab", "histogram", "low_frequency")

#: Contrast is changed by no more than this factor, so that a flat crop is not blown up to noise.
_MOST_GAIN = 2.0

#: Levels at which two histograms are compared.
_LEVELS = 64

#: What counts as low frequency, as a part of the crop's side.
_LOW_SIGMA = 0.08


def match_colour(crop: Tensor, original: Tensor, mask: Tensor, method: ColourMatch) -> Tensor:
    """The crop with the colours of the picture.

    crop, original: (h, w, 3) in [0, 1], the changed crop and what the picture shows in its place. mask: (h, w) in
    [0, 1], where both are compared. method: "lab" brings mean and spread of L*, a* and b* to the original's (Reinhard
    et al. 2001), "histogram" brings the distribution of each channel, "low_frequency" takes everything coarser than
    8 % of the side from the original and keeps the crop's detail. Returns (h, w, 3); a crop that is the original comes
    back bit for bit, and so does any crop under an empty mask.
    """
    if method == "none" or float(mask.sum()) < 16 or torch.equal(crop, original):
        return crop
    if method == "lab":
        return _match_lab(crop, original, mask)
    if method == "histogram":
        return _match_histogram(crop, original, mask)
    return _match_low(crop, original, mask)


def _match_lab(crop: Tensor, original: Tensor, mask: Tensor) -> Tensor:
    have, want = lab_from_srgb(crop), lab_from_srgb(original)
    have_mean, have_spread = _statistics(have, mask)
    want_mean, want_spread = _statistics(want, mask)
    gain = (want_spread / have_spread).clamp(1 / _MOST_GAIN, _MOST_GAIN)
    return srgb_from_lab((have - have_mean) * gain + want_mean).clamp(0, 1)


def _statistics(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation (3,) of (h, w, 3)."""
    weights = mask[..., None] / mask.sum()
    mean = (values * weights).sum((0, 1))
    return mean, (((values - mean) ** 2 * weights).sum((0, 1))).sqrt().clamp(min=1e-3)


def _match_histogram(crop: Tensor, original: Tensor, mask: Tensor) -> Tensor:
    inside = mask > 0.5
    if int(inside.sum()) < 16:
        inside = mask > 0
    places = torch.linspace(0, 1, _LEVELS)
    channels: list[Tensor] = []
    for channel in range(3):
        have = _quantiles(crop[..., channel][inside], places)
        want = _quantiles(original[..., channel][inside], places)
        channels.append(_piecewise(crop[..., channel], have, want))
    return torch.stack(channels, -1).clamp(0, 1)


def _quantiles(values: Tensor, places: Tensor) -> Tensor:
    """Quantiles of (n,) at `places`, strictly rising."""
    ordered = values.sort().values
    at = places * (len(ordered) - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    rising = torch.lerp(ordered[low], ordered[high], at - low)
    return rising + torch.arange(len(places)) * 1e-6


def _piecewise(values: Tensor, have: Tensor, want: Tensor) -> Tensor:
    """Values moved as the straight lines from `have` to `want` say; beyond their ends by the ends' difference."""
    inside = values.clamp(float(have[0]), float(have[-1]))
    row = torch.searchsorted(have, inside.contiguous()).clamp(1, len(have) - 1)
    share = (inside - have[row - 1]) / (have[row] - have[row - 1])
    return torch.lerp(want[row - 1], want[row], share) + (values - inside)


def _match_low(crop: Tensor, original: Tensor, mask: Tensor) -> Tensor:
    difference = ((original - crop) * mask[..., None]).permute(2, 0, 1)
    joined = torch.cat([difference, mask[None]])[:, None]
    size = (mask.shape[0], mask.shape[1])
    sigma = _LOW_SIGMA * max(size)
    step = max(1, int(sigma / 3))
    small = F.avg_pool2d(joined, step, ceil_mode=True, count_include_pad=False)
    blurred = torch.cat([blur(part[None], sigma / step) for part in small])
    grown = F.interpolate(blurred, size=size, mode="bilinear", align_corners=False)[:, 0]
    return (crop + (grown[:3] / grown[3].clamp(min=1e-3)).permute(1, 2, 0)).clamp(0, 1)


def blur(values: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of (N, 1, h, w) in any range, the border repeated."""
    low = values.amin()
    reach = (values.amax() - low).clamp(min=1e-12)
    return soften((values - low) / reach, 4 * sigma_px) * reach + low
