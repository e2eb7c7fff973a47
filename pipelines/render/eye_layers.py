"""What an eye is painted of, worked out once per portrait: closed lid skin, the white without iris, the iris alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..face import as_float_tensor
from ..geometry.features import BROWS, EYES
from ..geometry.texture import grown_over, sample_at

Grid = NDArray[np.float64]
Points = NDArray[np.float64]

#: Shading of a closed lid: how much lighter its middle, how much darker its fold.
_ROUND, _FOLD = 0.10, 0.09

#: Where the curtain begins above the lid's edge: share of the way to the brow, and its bounds in eye widths.
_CREASE_SHARE, _CREASE_BOUNDS = 0.45, (0.10, 0.26)

#: How far under the lower lid skin counts as lashes, in eye widths.
_LOWER_LASHES = 0.10

#: How much skin below the eye gives its grain, in eye widths.
_STRIP = 0.25

#: The white of an eye is at least this bright against the skin around; the grey it is mixed with where it is not seen.
_LEAST_WHITE = 0.62

#: Skin differs from the usual skin around an eye by less than this share of its brightness.
_SKIN_RANGE = 0.22


@dataclass(frozen=True, eq=False)
class EyeFrame:
    """The axes of one eye in its box, and where its lids are over every pixel.

    u, v: (h, w) px along and across the eye from its left corner. top, bottom: (h, w), v of the lids' edges over u.
    crease: (h, w), px above the upper edge where the lid folds. width: of the eye in px. iris: (2,) px in the box.
    radius: of the iris in px.
    """

    u: Grid
    v: Grid
    top: Grid
    bottom: Grid
    crease: Grid
    width: float
    iris: Points
    radius: float

    @property
    def along(self) -> Grid:
        """(h, w): 0 at the left corner, 1 at the right one."""
        return self.u / self.width

    def opening(self, inset_px: float = 0.0) -> Grid:
        """(h, w): 1 between the lids, soft at their edges."""
        across = np.minimum(self.v - self.top, self.bottom - self.v) - inset_px
        return np.clip(across + 0.5, 0, 1) * ((self.u > 0) & (self.u < self.width))

    def from_iris(self) -> Grid:
        """(h, w): px from the iris' middle."""
        y, x = np.mgrid[: self.u.shape[0], : self.u.shape[1]].astype(np.float64)
        return np.hypot(x - self.iris[0], y - self.iris[1])


def eye_frame(points: Points, side: int, low: NDArray[np.int64], size_hw: tuple[int, int]) -> EyeFrame:
    """The frame of an eye.

    points: (478, 2) px of the portrait. side: 0 is left in the picture. low: x, y of the box; size_hw: of the box.
    """
    eye = EYES[side]
    ends = points[list(eye.lids.corners)]
    ends = ends[np.argsort(ends[:, 0])]
    width = max(float(np.linalg.norm(ends[1] - ends[0])), 1.0)
    right = (ends[1] - ends[0]) / width
    down = np.array([-right[1], right[0]])
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float64)
    place = np.stack([x + low[0], y + low[1]], -1) - ends[0]
    u, v = place @ right, place @ down
    corners = eye.lids.corners
    top, bottom = (
        np.interp(u, *_curve(points[[corners[0], *row, corners[1]]] - ends[0], right, down, 4))
        for row in (eye.lids.upper, eye.lids.lower)
    )
    brow = np.interp(u, *_curve(points[list(BROWS[side][5:])] - ends[0], right, down, 2))
    least, most = (share * width for share in _CREASE_BOUNDS)
    return EyeFrame(
        u=u,
        v=v,
        top=top,
        bottom=np.maximum(bottom, top),
        crease=np.clip(_CREASE_SHARE * (top - brow), least, most),
        width=width,
        iris=points[eye.iris] - low,
        radius=max(float(np.linalg.norm(points[list(eye.iris_edge)] - points[eye.iris], axis=1).mean()), 1.0),
    )


def _curve(line: Points, right: Points, down: Points, degree: int) -> tuple[Points, Points]:
    """A row of points as v over u, sorted and smoother than the few landmarks of a small eye."""
    u, v = line @ right, line @ down
    fine = np.linspace(u.min(), u.max(), 24)
    return fine, np.asarray(np.polynomial.Polynomial.fit(u, v, degree)(fine))


def closed_lid(eye: Tensor, frame: EyeFrame) -> Tensor:
    """(3, h, w): the box (3, h, w) of an eye with lid skin over the opening.

    Concretely the colours of the skin around are grown over lids and lashes (frames of glasses, hair and reflections
    are no skin), a lid's roundness is shaded in, and the fine grain of the skin below the eye is mirrored up.
    """
    patch = (frame.v > frame.top - frame.crease) & (frame.v < frame.bottom + _LOWER_LASHES * frame.width)
    patch &= (frame.along > -0.14) & (frame.along < 1.14)
    known = torch.from_numpy((~patch).astype(np.float32)) * _skin(eye, frame)
    fill = grown_over(eye, known)
    span = np.maximum(frame.bottom - frame.top + frame.crease, 1e-3)
    inside = np.clip((frame.v - frame.top + frame.crease) / span, 0, 1)
    fold = np.exp(-(((inside - 0.22) / 0.10) ** 2)) * np.clip(4 * frame.along * (1 - frame.along), 0, 1)
    round_ = 1 + _ROUND * np.sin(np.pi * inside) - _FOLD * fold
    return (fill * as_float_tensor(round_) + _grain(eye, frame)).clamp(0, 1)


def _skin(eye: Tensor, frame: EyeFrame) -> Tensor:
    """(h, w): 1 where a pixel looks like the skin under and above the eye."""
    beneath = (frame.v > frame.bottom + _LOWER_LASHES * frame.width) & (frame.v < frame.bottom + 0.4 * frame.width)
    middle = (frame.along > 0) & (frame.along < 1)
    usual = eye[:, torch.from_numpy(beneath & middle)]
    if usual.shape[1] < 4:
        usual = eye.reshape(3, -1)
    colour = usual.median(1).values[:, None, None]
    away = (eye - colour).abs().amax(0) / colour.mean().clamp(0.05)
    return 1 - ((away - _SKIN_RANGE) / 0.1).clamp(0, 1)


def _grain(eye: Tensor, frame: EyeFrame) -> Tensor:
    """(3, h, w): the fine structure of the skin under the eye, mirrored at the lower lid."""
    size = max(2 * round(0.03 * frame.width) + 1, 3)
    soft = F.avg_pool2d(F.pad(eye[None], (size // 2,) * 4, mode="replicate"), size, stride=1)[0]
    fine = (eye - soft).clamp(-0.04, 0.04)
    # as far below the lashes as the pixel is above them, to and fro over a strip of skin
    edge, strip = frame.bottom + _LOWER_LASHES * frame.width, _STRIP * frame.width
    above = np.maximum(edge - frame.v, 0)
    reach = above + strip - np.abs(above % (2 * strip) - strip)
    y, x = np.mgrid[: frame.u.shape[0], : frame.u.shape[1]].astype(np.float64)
    down = _down(frame)
    places = np.stack([x + reach * down[0], y + reach * down[1]], -1)
    return sample_at(fine.contiguous(), torch.from_numpy(places.astype(np.float32)))


def _down(frame: EyeFrame) -> tuple[float, float]:
    """The direction across the eye, in x and y of the picture."""
    return float(frame.v[0, 1] - frame.v[0, 0]), float(frame.v[1, 0] - frame.v[0, 0])


def white_of(eye: Tensor, frame: EyeFrame) -> Tensor:
    """(3, h, w): the box of an eye with the white grown over the iris."""
    clear = frame.opening(0.05 * frame.width) * (frame.from_iris() > 1.2 * frame.radius)
    if clear.sum() < 6:
        clear = frame.opening() * (frame.from_iris() > frame.radius)
    light = eye.mean(0)
    known = as_float_tensor(clear)
    if bool((known > 0.5).any()):
        # lashes and the corner's red are darker than the white
        known = known * (light > light[known > 0.5].median() * 0.7)
    white, skin = grown_over(eye, known), float((light * _skin(eye, frame)).sum() / _skin(eye, frame).sum().clamp(1e-3))
    seen = float(white.mean(0)[known > 0.5].mean()) if bool((known > 0.5).any()) else 0.0
    if seen >= _LEAST_WHITE * skin:
        return white
    # an eye in the dark of its lashes shows no white: half of its colour, half a grey
    grey = white * 0.5 + 0.5 * white.mean(0, keepdim=True)
    return (grey + _LEAST_WHITE * skin - seen).clamp(0, 1)


def iris_of(eye: Tensor, frame: EyeFrame) -> Tensor:
    """(3, h, w): the box of an eye in which the iris is whole: what a lid covers is mirrored from what is seen."""
    y, x = np.mgrid[: frame.u.shape[0], : frame.u.shape[1]].astype(np.float64)
    away = np.stack([x, y], -1) - frame.iris
    down = np.array(_down(frame))
    mirrored = frame.iris + away - 2 * (away @ down)[..., None] * down
    places, opening = as_float_tensor(mirrored), as_float_tensor(frame.opening(0.04 * frame.width))
    flipped, seen = sample_at(eye, places), sample_at(opening[None], places)[0]
    known = opening.clamp(min=0)
    whole = torch.lerp(flipped, eye, known)
    inside = as_float_tensor((frame.from_iris() < 1.05 * frame.radius).astype(np.float64))
    return grown_over(whole, torch.maximum(known, seen) * inside)
