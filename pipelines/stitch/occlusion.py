"""What hides a face: hands, hair, glasses, a microphone. Seen by a network, or guessed from the colours alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces, FloatArray, as_float_array
from ..geometry.features import EYES
from ..geometry.templates import crop_from_image
from ..geometry.transforms import Matrix, transform_mesh
from ..geometry.warp import crop_pictures
from .membrane import pull_push
from .place import Region, reach_of, strips_of, windowed
from .regions import dilated, region_mask, soften
from .resample import bring_back, joined

#: Side of the crop in which is guessed, and how near it goes.
_SIDE, _ZOOM = 160, 1.25

#: Parts of the face whose colours are not the skin's.
_FEATURES = ("eyes", "brows", "lips", "mouth_interior")

#: Distance from the skin's colour, in its own spread, from which a pixel may belong to what hides the face, and from
#: which it surely does.
_MAY, _SURE = 3.0, 4.5

#: Least and most spread of skin in log brightness and two log colour ratios.
_SPREAD = ((0.19, 0.28), (0.05, 0.075), (0.05, 0.075))

#: How deep, in parts of the crop's side, something reaches into the face that is more than a border of its outline.
_DEEP = 0.035

#: Half the width of what is thin, in parts of the crop's side, and from which distance in brightness it is believed all
#: the same: hair and dark rims are that far from the skin, wrinkles are redder rather than darker.
_THIN, _FAR = 0.0125, 4.5

#: What is further from the skin's colour than this does not count as skin.
_CUT = 3.5

#: A guess that more of the skin is hidden than this is wrong.
_MOST = 0.6

#: How much each term of the skin's surface is held back: of brightness and of the two ratios.
_RATIO_STIFF = (0.0, 0.3, 0.3, 9.0, 9.0, 9.0)
_STIFF = ((0.0, 0.005, 0.005, 0.02, 0.02, 0.02), _RATIO_STIFF, _RATIO_STIFF)

_DARKEST = 1 / 64


@dataclass(frozen=True, eq=False)
class Occluder:
    """Sees what hides faces.

    name, licence: of what sees. look: a picture (H, W, 3) float in [0, 1] and a face in it → how much of each pixel
    of a crop is hidden (S, S) in [0, 1], and that crop's `crop_from_image`.
    """

    name: str
    licence: str
    look: Callable[[Tensor, Face], tuple[Tensor, Matrix]]


def hidden_part(occluder: Occluder, picture: Tensor, face: Face, region: Region) -> Tensor:
    """(h, w) in [0, 1]: how much of a face is hidden in the part `region` of its picture (H, W, C >= 3)."""
    hidden, matrix = occluder.look(picture[..., :3], face)
    reach = reach_of(hidden)
    x0, y0, x1, y1 = region
    touched = None if reach is None else reach.region(matrix, picture.shape[0], picture.shape[1])
    out = torch.zeros(y1 - y0, x1 - x0)
    if reach is None or touched is None:
        return out
    window = reach.window(matrix)
    strips = strips_of(touched, matrix, reach, True)
    parts = bring_back(hidden[None][(slice(None), *window)], windowed(matrix, window), touched, strips)
    whole = joined(parts, touched, 1)[0]
    left, top, right, bottom = max(x0, touched[0]), max(y0, touched[1]), min(x1, touched[2]), min(y1, touched[3])
    if right > left and bottom > top:
        out[top - y0 : bottom - y0, left - x0 : right - x0] = whole[
            top - touched[1] : bottom - touched[1], left - touched[0] : right - touched[0]
        ]
    return out.clamp_(0, 1)


def uncovered(picture: Tensor, face: Face, hidden: Tensor, region: Region) -> Tensor:
    """The picture (H, W, 3) with smooth skin where its face is hidden, for what reads the face's colours.

    hidden: (h, w) in [0, 1] of the part `region`. Faces without dense landmarks, and those of which nothing is hidden
    or everything, come back as they are.
    """
    x0, y0, x1, y1 = region
    if face.landmarks is None or float(hidden.max()) == 0:
        return picture
    points = as_float_array(face.landmarks - np.array([x0, y0, 0]))
    free = region_mask(points, (y1 - y0, x1 - x0), ("face",), 0.0, 0.0) * (hidden < 0.05)
    if float(free.sum()) < 64:
        return picture
    known = picture[y0:y1, x0:x1].permute(2, 0, 1)[None] * free
    filled = pull_push(known, free[None, None])[0].permute(1, 2, 0)
    out = picture.clone()
    out[y0:y1, x0:x1] = torch.lerp(picture[y0:y1, x0:x1], filled, hidden[..., None])
    return out


def hidden_masks(occluder: Occluder, images: Tensor, faces: Faces) -> Tensor:
    """(B, H, W) in [0, 1]: what hides faces in pictures (B, H, W, C >= 3), of each picture the union.

    Raises InputError for pictures that are not the faces'.
    """
    faces.require_frames(len(images), "The picture for occlusion")
    if tuple(images.shape[1:3]) != (faces.height, faces.width):
        raise InputError(
            f"The pictures for occlusion are {images.shape[2]} × {images.shape[1]} px but the faces were found in "
            f"pictures of {faces.width} × {faces.height} px: connect the same pictures."
        )
    out = torch.zeros(images.shape[:3])
    for index, face in faces:
        found = hidden_part(occluder, images[index], face, (0, 0, faces.width, faces.height))
        torch.maximum(out[index], found, out=out[index])
    return out


def guess_hidden(picture: Tensor, face: Face) -> tuple[Tensor, Matrix]:
    """What hides a face, from colours alone.

    picture: (H, W, 3) float in [0, 1]. face: with dense landmarks. Returns how much of each pixel of a crop is hidden
    (S, S), and the crop's `crop_from_image`. Concretely: the skin's colour is fitted over the face as a smooth surface
    that most pixels agree with; what differs by more than its spread, comes in over the face's outline and reaches
    deep enough is in front; eyes, brows and mouth follow what surrounds them. What has the skin's own colour is not
    seen, and a beard is taken for something in front. Raises InputError for a face without dense landmarks.
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
    features = region_mask(points, size, _FEATURES, 0.012 * _SIDE, 0.0)
    skin = hull * (1 - features)
    if float(skin.sum()) < 64:
        return torch.zeros(size), matrix
    colours = _colours(crop)
    middle = _middle(points, skin)
    apart = _distances(colours, skin, middle)
    away = apart.square().sum(0).sqrt()
    sure = skin * (away > _SURE)
    front = _without_lines(_from_outside(sure, skin * (away > _MAY), hull), apart[0])
    if not 0 < float(front.sum()) < _MOST * float(skin.sum()):
        return torch.zeros(size), matrix
    soft = front * ((away - _MAY) / (_SURE - _MAY)).clamp(0, 1)
    soft = _with_features(soft, skin, features * hull)
    around = dilated(hull[None, None], round(0.08 * _SIDE))[0, 0] * (1 - skin)
    soft = torch.maximum(soft, _beyond(soft, colours, around))
    return soften(soft[None, None], 0.02 * _SIDE)[0, 0], matrix


def _colours(crop: Tensor) -> Tensor:
    """(3, h, w): log brightness and two log colour ratios."""
    log = torch.log(crop.permute(2, 0, 1).clamp(min=_DARKEST))
    return torch.stack([log.mean(0), log[0] - log[1], log[1] - log[2]])


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
    least, most = torch.tensor(_SPREAD).T
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


def _from_outside(sure: Tensor, may: Tensor, hull: Tensor) -> Tensor:
    """(h, w) of 0 and 1: what of `may` hangs together with `sure` and comes in over the outline deep enough."""
    depth = _depth(hull)
    deep = _DEEP * hull.shape[0]
    outside = _grown(sure * (depth <= deep), may)
    reaching = outside * (depth > deep)
    return _grown(reaching, outside, steps=round(2 * deep))


def _without_lines(front: Tensor, brightness: Tensor) -> Tensor:
    """`front` (h, w) of 0 and 1 without thin lines about as bright as skin: wrinkles, the corners of a mouth."""
    across = 2 * round(_THIN * front.shape[0]) + 1
    eroded = 1 - F.max_pool2d(1 - front[None, None], across, 1, across // 2)
    thick = _grown(F.max_pool2d(eroded, across, 1, across // 2)[0, 0], front, steps=across // 2)
    return torch.maximum(thick, front * (brightness.abs() > _FAR))


def _depth(hull: Tensor) -> Tensor:
    """(h, w): how many px inside the outline, up to twice what counts as deep."""
    depth, left = torch.zeros_like(hull), hull[None, None]
    for _ in range(round(2 * _DEEP * hull.shape[0])):
        depth += left[0, 0]
        left = 1 - F.max_pool2d(1 - left, 3, 1, 1)
    return depth


def _grown(seeds: Tensor, within: Tensor, steps: int = _SIDE) -> Tensor:
    """All of `within` (h, w) that hangs together with the seeds, up to `steps` px away."""
    reached, room = (seeds * within)[None, None], within[None, None]
    for _ in range(steps):
        larger = F.max_pool2d(reached, 3, 1, 1) * room
        if torch.equal(larger, reached):
            break
        reached = larger
    return reached[0, 0]


def _with_features(soft: Tensor, skin: Tensor, features: Tensor) -> Tensor:
    """Eyes, brows and mouth, where nothing is known, hidden as far as the skin around them is."""
    known = torch.stack([soft * skin, skin])[:, None]
    around = soften(known, 0.2 * _SIDE)[:, 0]
    share = around[0] / around[1].clamp(min=0.02)
    filled = ((share - 0.45) / 0.2).clamp(0, 1)
    return torch.where(features > 0, torch.maximum(soft, filled), soft)


def _beyond(soft: Tensor, colours: Tensor, around: Tensor) -> Tensor:
    """What goes on in `around` (h, w) in the colours that it has nearby (h, w), a little way."""
    seen = (soft > 0.5).to(soft)
    near = round(0.05 * _SIDE)
    local = F.avg_pool2d(torch.cat([colours * seen, seen[None]]), 2 * near + 1, 1, near)
    middle = local[:3] / local[3].clamp(min=1e-3)
    least = torch.tensor([row[0] for row in _SPREAD])[:, None, None]
    alike = ((colours - middle) / least).square().sum(0).sqrt() < _MAY
    edge = F.max_pool2d(seen[None, None], 3, 1, 1)[0, 0]
    return _grown(edge, around * alike * (local[3] > 0.02), steps=2 * near)
