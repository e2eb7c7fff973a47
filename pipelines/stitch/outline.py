"""The whole outline of what is in front of a face, once a part of it is known.

Its colours are learned where it is surely in front; every pixel near it is weighed between them and the face's own; a
quadratic random field (Grady 2006) settles the rest along the edges of the picture, and the border is matted between
the colours on either side (Levin et al. 2008, the two-colour case).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry.transforms import Matrix
from ..geometry.warp import crop_pictures
from .connected import box_mean, grown, narrowed, pieces, widened
from .regions import soften

#: Least and most spread of skin in log brightness and two log colour ratios.
SPREAD = ((0.19, 0.28), (0.05, 0.075), (0.05, 0.075))

#: The spread of one colour of what is in front, and the step in colour over which an edge begins.
_OWN_SPREAD, _EDGE = (0.12, 0.05, 0.05), (0.12, 0.05, 0.05)

#: The spread of eyes, brows and mouth around the skin's colour: mostly in brightness, then in redness.
_FEATURE_SPREAD = (0.6, 0.15, 0.12)

#: How many colours what is in front has at most, and within how many px of the crop it shows each of them again.
_COLOURS, _NEARBY_PX = 8, 12

#: What is in front is at least `_UNLIKE` from the face's colours and at most `_ALIKE` from its own, and the squares of
#: the two differ by more than `_MORE` on skin.
_UNLIKE, _ALIKE, _MORE = 1.6, 1.8, 4.0

#: Weight of what a neighbour is, against what a pixel's own colour says (at most 1, and 4 where it is sure).
_TOGETHER, _CERTAIN = 8.0, 4.0
_FLOOR, _BARE = 1e-3, 0.02

#: Steps of the conjugate gradients.
_STEPS = 20

#: How far it is followed inside and outside the face, px of the crop.
_FOLLOWED_PX, _AROUND_PX = 22, 13

#: Over how many px it is smoothed outside the face, and up to which area in px a hole in it is filled.
_SMOOTH_PX, _HOLE_PX = 2, 32

#: How deep, px of the crop, something reaches into the face that is more than a border of its outline.
_DEEP_PX = 5

#: How far on either side of the border the two colours are taken from, and how wide the border is at most, px.
_SIDES_PX, _BORDER_PX = 3, 1

#: Weight of what is thinner than its own border, and from which share of all weights a side is known.
_THIN_COUNTS, _KNOWN = 0.05, 0.002

#: From which difference of the two colours on (in [0, 1]) the border is matted, and from which it is entirely.
_FAINT, _CLEAR = 0.04, 0.12

#: Pixels of the finest crop for one of the crop in which is guessed.
_FINEST = 4

_DARKEST = 1 / 64

#: The brightness of which half is grain, as far as colours go.
_DIM = 0.02


@dataclass(frozen=True, eq=False)
class FaceParts:
    """Where a face is in a crop: hull, features (eyes, brows, mouth): (h, w) of 0 and 1."""

    hull: Tensor
    features: Tensor

    @cached_property
    def skin(self) -> Tensor:
        """(h, w) of 0 and 1: the hull without the features."""
        return self.hull * (1 - self.features)

    @cached_property
    def rim(self) -> Tensor:
        """(h, w) of 0 and 1: what lies around the face, and its own border."""
        return 1 - narrowed(self.hull, _DEEP_PX)

    @cached_property
    def around(self) -> Tensor:
        """(h, w) of 0 and 1: the face and what lies around it."""
        return widened(self.hull, _AROUND_PX)


def log_colours(crop: Tensor) -> Tensor:
    """(3, h, w) of a crop (h, w, 3) in [0, 1]: log brightness and two log colour ratios."""
    log = torch.log(crop.permute(2, 0, 1).clamp(min=_DARKEST))
    return torch.stack([log.mean(0), log[0] - log[1], log[1] - log[2]])


def outlined(colours: Tensor, apart: Tensor, core: Tensor, sure: Tensor, parts: FaceParts) -> Tensor:
    """(h, w) of 0 and 1: all of what is in front of the face.

    colours: (3, h, w) of `log_colours`. apart: (3, h, w), how far they are from the skin's in its spread. core: (h, w)
    of 0 and 1, the part that is known; sure: what of it is surely no skin, where its colours are taken from.
    """
    sure = sure if float(sure.sum()) >= 3 else core
    steady = _without_noise_of_the_dark(colours)
    own = _from_its_colours(steady, sure)
    skin = apart.square().sum(0).sqrt()
    ratio = (torch.tensor([row[0] for row in SPREAD]) / torch.tensor(_FEATURE_SPREAD))[:, None, None]
    face = torch.where(parts.features > 0, (apart * ratio).square().sum(0).sqrt(), skin)
    odds = face.square() - own.square() - _MORE * (1 - parts.features)
    inside = ((face > _UNLIKE) & (odds > 0) & (own < _ALIKE)).to(own)
    beyond = parts.hull == 0
    said = torch.where(beyond, (own < _ALIKE).to(own), inside)
    weight = (odds.abs() / 4).clamp(_BARE, 1) * (1 - 0.5 * parts.features)
    weight = torch.where(beyond, 0.3, weight)
    weight = torch.where(sure > 0, _CERTAIN, weight)
    said = torch.maximum(said, sure) * parts.around
    front = _settled(said, weight, steady / torch.tensor(_EDGE)[:, None, None]) > 0.5
    front = front * grown(core, parts.around, _FOLLOWED_PX)
    closed = narrowed(widened(front, _SMOOTH_PX), _SMOOTH_PX)
    front = torch.where(beyond, closed, front)
    numbers, count = pieces((1 - front) * parts.around, corners=False)
    areas = torch.zeros(count + 1).index_add_(0, numbers.flatten(), torch.ones(numbers.numel()))
    return torch.where((numbers > 0) & (areas[numbers] < _HOLE_PX), 1.0, front)


def _without_noise_of_the_dark(colours: Tensor) -> Tensor:
    """Colours (3, h, w) of `log_colours` that say the less the darker they are: there grain is large in logarithms."""
    bright = colours[0].exp()
    share = bright / (bright + _DIM)
    return torch.stack([torch.log(bright + _DIM), colours[1] * share, colours[2] * share])


def _from_its_colours(colours: Tensor, sure: Tensor) -> Tensor:
    """(h, w): distance from the nearest of the colours that what is in front has nearby; 9 where it has none."""
    size = sure.shape
    scaled = (colours / torch.tensor(_OWN_SPREAD)[:, None, None]).flatten(1).T
    known = sure.flatten() > 0
    palette = _palette(scaled[known])
    away = torch.cdist(scaled, palette)
    here = torch.zeros(len(palette), known.numel())
    here[away[known].argmin(1), known.nonzero()[:, 0]] = 1
    nearby = torch.stack([widened(one.view(size), _NEARBY_PX) for one in here]).flatten(1).T > 0
    return torch.where(nearby, away, 9.0).amin(1).view(size)


def _palette(known: Tensor) -> Tensor:
    """(k, 3): up to `_COLOURS` means of colours (n, 3), by k-means from those that lie furthest apart."""
    known = known[:: max(1, len(known) // 600)]
    chosen = [known.median(0).values]
    nearest = (known - chosen[0]).square().sum(1)
    for _ in range(_COLOURS - 1):
        # the last fiftieth is left to chance colours
        chosen.append(known[int(nearest.clamp(max=float(nearest.quantile(0.98))).argmax())])
        nearest = torch.minimum(nearest, (known - chosen[-1]).square().sum(1))
    means = torch.stack(chosen)
    count = torch.zeros(_COLOURS)
    for _ in range(4):
        who = torch.cdist(known, means).argmin(1)
        count = torch.zeros(_COLOURS).index_add_(0, who, torch.ones(len(known)))
        sums = torch.zeros(_COLOURS, 3).index_add_(0, who, known)
        means = torch.where(count[:, None] > 0, sums / count.clamp(min=1)[:, None], means)
    kept = count >= min(max(2.0, 0.01 * len(known)), float(count.max()))
    return means[kept]


def _settled(said: Tensor, weight: Tensor, colours: Tensor) -> Tensor:
    """(h, w): the x that makes sum weight (x - said)² + sum edge (x - its neighbour)² least, by conjugate gradients.

    said, weight: (h, w). colours: (3, h, w), in units of a step that makes an edge.
    """
    right = _TOGETHER * torch.exp(-0.5 * (colours[:, :, 1:] - colours[:, :, :-1]).square().sum(0)) + _FLOOR
    below = _TOGETHER * torch.exp(-0.5 * (colours[:, 1:] - colours[:, :-1]).square().sum(0)) + _FLOOR

    def applied(x: Tensor) -> Tensor:
        out, across, down = weight * x, right * (x[:, 1:] - x[:, :-1]), below * (x[1:] - x[:-1])
        out[:, 1:] += across
        out[:, :-1] -= across
        out[1:] += down
        out[:-1] -= down
        return out

    diagonal = weight + F.pad(right, (1, 0)) + F.pad(right, (0, 1)) + F.pad(below, (0, 0, 1, 0))
    diagonal = diagonal + F.pad(below, (0, 0, 0, 1))
    x = said.clone()
    rest = weight * said - applied(x)
    step = rest / diagonal
    size = (rest * step).sum()
    for _ in range(_STEPS):
        moved = applied(step)
        length = size / (step * moved).sum().clamp(min=1e-12)
        x, rest = x + length * step, rest - length * moved
        scaled = rest / diagonal
        before, size = size, (rest * scaled).sum()
        step = scaled + size / before.clamp(min=1e-12) * step
    return x


def with_fine_edges(
    picture: Tensor, crop: Tensor, matrix: Matrix, front: Tensor, parts: FaceParts
) -> tuple[Tensor, Matrix]:
    """How much of each pixel is hidden, about as fine as the picture, and the transform of that finer crop.

    picture: (H, W, 3). crop: (S, S, 3) of it and matrix, its `crop_from_image`. front: (S, S), how sure it is that
    something is in front, 0 where nothing is. Concretely, on the border of `front`: with f and b the mean colours
    inside and outside nearby, (c - b) · (f - b) / |f - b|² of each pixel's colour c, steepened a little.
    """
    side = len(front)
    times = int(np.clip(np.ceil(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))), 1, _FINEST))
    finer = np.array(matrix, np.float64) * times
    finer[:, 2] += (times - 1) / 2
    size = (side * times, side * times)
    fine = crop_pictures(picture[None, ..., :3], (0,), finer[None], size, padding="border")[0].permute(2, 0, 1)
    mask = (front > 0).to(front)
    fields = torch.cat([_mattes(crop.permute(2, 0, 1), mask, parts.around), widened(front, 2)[None]])
    fields = F.interpolate(fields[None], size=size, mode="bilinear", align_corners=False)[0]
    matte = (((fields[:3] * fine).sum(0) + fields[3] - 0.15) / 0.7).clamp(0, 1)
    return torch.lerp(fields[4], matte, fields[5]).clamp(0, 1) * fields[6], finer


def _mattes(crop: Tensor, mask: Tensor, around: Tensor) -> Tensor:
    """(6, h, w) of a crop (3, h, w): what makes a matte of a colour, three factors and a term; the mask (h, w) made
    soft; and how far the matte holds rather than that."""
    # what is no wider than its own border still counts a little
    inside = torch.lerp(narrowed(mask, 1), mask, _THIN_COUNTS)
    outside = torch.lerp(1 - widened(mask, 1), 1 - mask, _THIN_COUNTS) * around
    means = box_mean(torch.cat([crop * inside, inside[None], crop * outside, outside[None]]), _SIDES_PX)
    front, behind = means[:3] / means[3].clamp(min=1e-6), means[4:7] / means[7].clamp(min=1e-6)
    between = front - behind
    square = between.square().sum(0)
    factors = between / square.clamp(min=1e-3)
    known = ((means[3] > _KNOWN) & (means[7] > _KNOWN)).to(crop)
    holds = known * ((square.sqrt() - _FAINT) / (_CLEAR - _FAINT)).clamp(0, 1)
    border = widened(mask, _BORDER_PX) - narrowed(mask, _BORDER_PX)
    soft = soften(mask[None, None], 2.56)[0, 0]
    return torch.cat([factors, -(factors * behind).sum(0)[None], soft[None], (holds * border)[None]])
