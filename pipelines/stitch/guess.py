"""What hides a face, guessed from the colours alone: what is surely in front, then its whole outline."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray
from ..geometry.features import EYES
from ..geometry.templates import crop_from_image
from ..geometry.transforms import Matrix, transform_mesh
from ..geometry.warp import crop_pictures
from .connected import box_mean, grown, narrowed, pieces, widened
from .outline import SPREAD, FaceParts, log_colours, outlined, with_fine_edges
from .regions import region_mask

#: Side of the crop in which is guessed, and how near it goes.
_SIDE, _ZOOM = 160, 1.25

#: How far each pixel of the crop takes part in the mean around it.
_CALM = 0.4

#: Parts of the face whose colours are not the skin's.
_FEATURES = ("eyes", "brows", "lips", "mouth_interior")

#: Distance from the skin's colour, in its own spread, from which a pixel may belong to what hides the face, and from
#: which it surely does.
_MAY, _SURE = 3.0, 4.5

#: Half the width of what is thin, px of the crop, and from which distance in brightness it is believed all the same:
#: hair and dark rims are that far from the skin, wrinkles are redder rather than darker.
_THIN, _FAR = 2, 4.5

#: How far from where it reaches deep into the face the border of its outline belongs to it, px of the crop.
_BACK_PX = 11

#: What is further from the skin's colour than this does not count as skin.
_CUT = 3.5

#: From which share of sure pixels on a piece counts a little, and from which entirely.
_DOUBTFUL, _CLEARLY = 0.1, 0.35

#: A guess that more of the skin is hidden than this is wrong.
_MOST = 0.6

#: How much each term of the skin's surface is held back: of brightness and of the two ratios.
_RATIO_STIFF = (0.0, 0.3, 0.3, 9.0, 9.0, 9.0)
_STIFF = ((0.0, 0.005, 0.005, 0.02, 0.02, 0.02), _RATIO_STIFF, _RATIO_STIFF)


def guess_hidden(picture: Tensor, face: Face) -> tuple[Tensor, Matrix]:
    """What hides a face, from colours alone.

    picture: (H, W, 3) float in [0, 1]. face: with dense landmarks. Returns how much of each pixel of a crop is hidden
    (S, S), and the crop's `crop_from_image`; S is so large that a pixel of the crop is about one of the picture, up to
    640. Concretely: the skin's colour is fitted over the face as a smooth surface that most pixels agree with; what
    differs by more than its spread, comes in over the face's outline and reaches deep enough is in front. Its colours
    are learned there and followed to where the picture has an edge, over skin, eyes, brows and mouth alike. What has
    the skin's own colour is not seen, and a beard is taken for something in front. Raises InputError for a face
    without dense landmarks.
    """
    if face.landmarks is None:
        raise InputError(
            "Guessing what hides a face needs dense landmarks, this face has five points: find it with a face "
            "analysis that has dense landmarks, or load an occlusion network."
        )
    size = (_SIDE, _SIDE)
    matrix = crop_from_image(face, "ffhq_512", _SIDE, _ZOOM)
    crop = crop_pictures(picture[None, ..., :3], (0,), matrix[None], size, padding="border")[0]
    points = transform_mesh(matrix, face.landmarks)
    hull = region_mask(points, size, ("face",), 0.0, 0.0)
    parts = FaceParts(hull, hull * region_mask(points, size, _FEATURES, 0.012 * _SIDE, 0.0))
    if float(parts.skin.sum()) < 64:
        return torch.zeros(size), matrix
    colours = log_colours(crop)
    apart = _distances(colours, parts.skin, _middle(points, parts.skin))
    # grain must not move the border
    both = torch.cat([apart, colours])
    apart, calm = torch.lerp(both, box_mean(both, 1), _CALM).split(3)
    away = apart.square().sum(0).sqrt()
    sure = parts.skin * (away > _SURE)
    core = _without_lines(_from_outside(sure, parts.skin * (away > _MAY), parts), apart[0])
    if not 0 < float(core.sum()) < _MOST * float(parts.skin.sum()):
        return torch.zeros(size), matrix
    front = _without_lines(outlined(calm, apart, core, core * sure, parts), apart[0])
    return with_fine_edges(picture, crop, matrix, _credible(front, core * sure, parts), parts)


def _middle(points: FloatArray, skin: Tensor) -> Tensor:
    """(h, w) weights of the skin: most in the middle of the face, between the eyes, which is hidden last."""
    between = points[[*EYES[0].lids.corners, *EYES[1].lids.corners], :2].mean(0)
    reach = 0.28 * float(np.ptp(points[:468, 0]))
    y, x = torch.meshgrid(torch.arange(skin.shape[0]), torch.arange(skin.shape[1]), indexing="ij")
    away = (x - float(between[0])) ** 2 + (y - float(between[1])) ** 2
    return skin * torch.exp(-0.5 * away / reach**2)


def _distances(colours: Tensor, skin: Tensor, middle: Tensor) -> Tensor:
    """(3, h, w): how far each pixel is from the skin's colour at its place, in the skin's spread of each.

    The skin's colour is a smooth surface, of second degree in brightness and of first in the colour ratios, kept flat
    by a penalty; it is fitted by reweighted least squares with Tukey's weights of the distance in all three, from the
    colour that most of the skin shares, so that what hides less than half of the face does not pull it.
    """
    height, width = skin.shape
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y]).flatten(1)
    where = skin.flatten() > 0.5
    values, inside = colours.flatten(1), terms[:, where]
    known = values[:, where]
    least, most = torch.tensor(SPREAD).T
    surface = _commonest(known, least, middle.flatten()[where])[:, None].expand_as(known)
    spread = least
    near_middle = middle.flatten()[where]
    fits = torch.zeros(3, len(terms))
    # from the middle outwards, and stiff at first: the surface must not bend towards what hides the rest
    for stiffness in (4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        rest = known - surface
        distance = ((rest / spread[:, None]) ** 2).sum(0).sqrt()
        weight = (1 - (distance / _CUT) ** 2).clamp(min=0) ** 2
        weight = weight * near_middle if stiffness > 1 else weight
        near = distance < _CUT
        spread = (1.4826 * rest[:, near].abs().median(1).values).clamp(least, most)
        fits = torch.stack([_fit(inside, values, weight, _STIFF[row], stiffness) for row, values in enumerate(known)])
        surface = fits @ inside
    return ((values - fits @ terms) / spread[:, None]).view(3, height, width)


def _fit(terms: Tensor, values: Tensor, weight: Tensor, stiff: tuple[float, ...], times: float) -> Tensor:
    """The terms' weighted least squares coefficients, large ones held back."""
    held = times * torch.tensor(stiff) * weight.sum() + 1e-6
    system = (terms * weight) @ terms.T + torch.diag(held)
    return torch.linalg.solve(system, (terms * weight) @ values)


def _commonest(known: Tensor, spread: Tensor, weight: Tensor) -> Tensor:
    """(3,): of colours (3, n), the one with most weight near it; tried are those that weigh most."""
    tried = known[:, weight.topk(min(256, len(weight))).indices[::4]]
    step = max(1, known.shape[1] // 1024)
    away = ((tried[:, :, None] - known[:, None, ::step]) / spread[:, None, None]).square().sum(0)
    return tried[:, int(((away < _CUT**2) * weight[::step]).sum(1).argmax())]


def _from_outside(sure: Tensor, may: Tensor, parts: FaceParts) -> Tensor:
    """(h, w) of 0 and 1: what of `may` hangs together with `sure` and comes in over the outline deep enough."""
    outside = grown(sure * parts.rim, may)
    reaching = outside * (1 - parts.rim)
    return grown(reaching, outside, _BACK_PX)


def _without_lines(front: Tensor, brightness: Tensor) -> Tensor:
    """`front` (h, w) of 0 and 1 without thin lines about as bright as skin: wrinkles, the corners of a mouth."""
    thick = grown(widened(narrowed(front, _THIN), _THIN), front, _THIN)
    return torch.maximum(thick, front * (brightness.abs() > _FAR))


def _credible(front: Tensor, sure: Tensor, parts: FaceParts) -> Tensor:
    """(h, w) in [0, 1]: `front` where it reaches the rim of the face, as far as its pixels of skin are sure."""
    front = front * grown(front * parts.rim, front)
    numbers, count = pieces(front)
    both = torch.stack([sure, parts.skin]).flatten(1) * front.flatten()
    sums = torch.zeros(2, count + 1).index_add_(1, numbers.flatten(), both)
    share = sums[0] / sums[1].clamp(min=1)
    return front * ((share - _DOUBTFUL) / (_CLEARLY - _DOUBTFUL)).clamp(0, 1)[numbers]
