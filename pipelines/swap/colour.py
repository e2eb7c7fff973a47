"""The target's light and skin tone on the source's texture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_DARKEST = 1 / 64  # keeps the logarithm of black finite

#: What differs from its surround by more than this many times the texture's median is an edge: sharpened like texture
#: it would get a halo.
_EDGE = 6.0


def smooth(values: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of (N, C, h, w) with zeros outside."""
    radius = max(1, int(2.5 * sigma_px + 0.5))
    taps = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (taps / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    channels = values.shape[1]
    across = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    down = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    values = F.conv2d(values, across, padding=(0, radius), groups=channels)
    return F.conv2d(values, down, padding=(radius, 0), groups=channels)


def skin_likelihood(picture: Tensor, sample: Tensor, tolerance: float = 2.5) -> Tensor:
    """How much each pixel looks like the skin it is compared with.

    picture: (3, h, w) in [0, 1]. sample: (h, w) weights >= 0, where plain skin is. tolerance: in robust standard
    deviations of the sample. Returns (h, w) in [0, 1]: concretely exp(-max(0, d - tolerance)^2 / 2) with d the
    distance from the sample's mean in log brightness and two log colour ratios, each in units of its own spread.
    """
    log = torch.log(picture.clamp(min=_DARKEST))
    features = torch.stack([log.mean(0), log[0] - log[1], log[1] - log[2]])
    total = sample.sum().clamp(min=1e-6)
    mean = (features * sample).sum((1, 2), keepdim=True) / total
    variance = ((features - mean) ** 2 * sample).sum((1, 2), keepdim=True) / total
    spread = torch.sqrt(variance + torch.tensor([0.12, 0.05, 0.05], device=picture.device).view(3, 1, 1) ** 2)
    distance = (((features - mean) / spread) ** 2).sum(0).sqrt()
    return torch.exp(-0.5 * (distance - tolerance).clamp(min=0) ** 2)


@dataclass(frozen=True)
class Tone:
    """How much of the target's light the source takes.

    light, tint: of the local difference in brightness and colour; the mean difference is always taken. low_contrast,
    high_contrast: bounds for the change of the skin's own contrast. low_saturation: the same for how much its colours
    differ among each other.
    """

    light: float = 0.8
    tint: float = 0.5
    low_contrast: float = 0.65
    high_contrast: float = 1.25
    low_saturation: float = 0.5


@dataclass(frozen=True, eq=False)
class ToneMaps:
    """Small maps: gain and offset (3, h, w) of each channel; centre (3, h, w), the colour of the skin after them, and
    how far colours may differ from it against before; target_mean (3, h, w), the target's skin, smooth."""

    gain: Tensor
    offset: Tensor
    centre: Tensor
    saturation: float
    target_mean: Tensor


def tone_maps(
    source: Tensor, target: Tensor, source_skin: Tensor, target_skin: Tensor, plain: Tensor, sigma_px: float, tone: Tone
) -> ToneMaps:
    """What makes the source's texture look as if it were lit like the target.

    source, target: (3, h, w) in [0, 1], small. source_skin, target_skin: (h, w) weights of skin in each. plain: (h, w)
    in [0, 1], 0 in eyes and mouth, whose white must not take the skin's tint. sigma_px: how fine the light may vary.
    Concretely, with S and T the skins' local means and c the ratio of their contrasts, the gain and the offset give
    (T / S) (S + c (x - S)); brightness and colour of T / S are drawn to the mean of the face by `tone`, and dark
    pixels (brows, lashes) take less of the colour. `with_saturation` does
    the rest.
    """
    source_mean, source_overall = local_mean(source, source_skin, sigma_px)
    target_mean, target_overall = local_mean(target, target_skin, sigma_px)
    local = _log(target_mean) - _log(source_mean)
    overall = _log(target_overall) - _log(source_overall)
    bright, bright_overall = local.mean(0, keepdim=True), overall.mean(0, keepdim=True)
    colour, colour_overall = local - bright, overall - bright_overall
    relative = source.mean(0) / source_mean.mean(0).clamp(min=_DARKEST)
    coloured = ((relative - 0.15) / 0.3).clamp(0, 1) * (0.25 + 0.75 * plain)
    light = torch.lerp(bright_overall, bright, tone.light)
    tint = torch.lerp(colour_overall, colour, tone.tint)
    gain = (light + tint * coloured).clamp(-1.6, 1.6).exp()
    lit, lit_mean = source * gain, source_mean * (light + tint).clamp(-1.6, 1.6).exp()
    contrast_ratio = _spread(target.mean(0), target_mean.mean(0), target_skin) / _spread(
        lit.mean(0), lit_mean.mean(0), source_skin
    )
    saturation_ratio = _spread(_chroma(target), _chroma(target_mean), target_skin) / _spread(
        _chroma(lit), _chroma(lit_mean), source_skin
    )
    ratio = float(contrast_ratio.sqrt().clamp(tone.low_contrast, tone.high_contrast))
    contrast = 1 + (ratio - 1) * plain * coloured
    saturation = float(saturation_ratio.sqrt().clamp(tone.low_saturation, 1.0))
    return ToneMaps(gain * contrast, gain * source_mean * (1 - contrast), _chroma(lit_mean), saturation, target_mean)


def with_saturation(lit: Tensor, centre: Tensor, saturation: float) -> Tensor:
    """Colours (3, h, w) whose distance from the skin's colour `centre` (see `ToneMaps`) is scaled."""
    grey = lit.mean(0, keepdim=True)
    return grey + torch.lerp(centre, lit - grey, saturation)


def _log(values: Tensor) -> Tensor:
    return torch.log(values.clamp(min=_DARKEST))


def _chroma(picture: Tensor) -> Tensor:
    return picture - picture.mean(0, keepdim=True)


def _spread(values: Tensor, mean: Tensor, weights: Tensor) -> Tensor:
    """Weighted standard deviation of (..., h, w) about its local mean, never quite 0."""
    deviation = ((values - mean) ** 2).reshape(-1, *weights.shape).mean(0)
    return ((deviation * weights).sum() / weights.sum().clamp(min=1e-6)).sqrt().clamp(min=1e-4)


def local_mean(values: Tensor, weights: Tensor, sigma_px: float) -> tuple[Tensor, Tensor]:
    """Weighted local mean of (3, h, w) over `sigma_px`, and the overall mean (3, 1, 1).

    Where there is little weight the local mean is drawn to the overall one.
    """
    total = weights.sum().clamp(min=1e-6)
    overall = (values * weights).sum((1, 2), keepdim=True) / total
    # so smooth a result needs no more than a third of the resolution
    step = max(1, int(sigma_px / 3))
    both = F.avg_pool2d(torch.cat([(values - overall) * weights, weights[None]])[None], step, ceil_mode=True)
    blurred = smooth(both, sigma_px / step)
    mean = overall + blurred[0, :3] / (blurred[0, 3:] + 0.05)
    size = (values.shape[1], values.shape[2])
    larger = (mean.shape[1] * step, mean.shape[2] * step)
    grown = F.interpolate(mean[None], size=larger, mode="bilinear", align_corners=False)[0]
    return grown[:, : size[0], : size[1]], overall


def match_detail(source: Tensor, target: Tensor, skin: Tensor, grain: Callable[[], Tensor]) -> Tensor:
    """The source as crisp and as grainy as the target.

    source, target: (3, h, w) in [0, 1], in one place. skin: (h, w) weights >= 0. grain: gives (h, w) of unit variance,
    as `face_grain` does, where it is needed. Returns (3, h, w): the source with the finest octave of its brightness
    strengthened, at most by 1.8 and edges no more than texture, and with grain for what is still missing; concretely
    the median of |fine| over the skin is brought to the target's, as far as grain of that variance does where it is
    softer than white noise. A crisper source stays as it is.
    """
    fine = _fine(source.mean(0))
    where = skin[::2, ::2] > 0.5
    if int(where.sum()) < 16:
        return source
    have = float(fine[::2, ::2][where].abs().median())
    wanted = float(_fine(target.mean(0))[::2, ::2][where].abs().median())
    if wanted <= have:
        return source
    boost = min(wanted / max(have, 1e-5), 1.8)
    missing = 1.48 * max(wanted**2 - (boost * have) ** 2, 0.0) ** 0.5
    detail = (boost - 1) * fine.clamp(-_EDGE * have, _EDGE * have)
    return source + (detail + min(missing, 0.03) * grain() if missing > 0 else detail)


def _fine(grey: Tensor) -> Tensor:
    """(h, w) minus its mean over 3 x 3 pixels; 0 at the border."""
    rows = grey[:-2] + grey[1:-1] + grey[2:]
    blurred = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return F.pad(grey[1:-1, 1:-1] - blurred, (1, 1, 1, 1))
