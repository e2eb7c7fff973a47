"""Eyes painted into the portrait before it is moved: the iris looks elsewhere, a curtain of lid skin closes the eye.

Moving the lids' skin with the mesh would smear lashes over the eye, so the lid is new skin: the colours around the eye
grown over it, the portrait's own grain, and the lash line at its edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..face import FloatArray
from ..geometry.features import EYES, ORBITS
from ..geometry.texture import sample_at
from .portrait import Portrait

#: How far an iris goes at activation 1, sideways and up or down, in widths of the eye.
_SIDEWAYS, _UPRIGHT = 0.24, 0.18

#: The lash line: half its height in eye widths, and how dark it is at most.
_LASH, _LASH_DARKNESS = 0.042, 0.74

#: Lashes are rather brown than black.
_LASH_HUE = torch.tensor([0.92, 1.0, 1.04])[:, None, None]


@dataclass(frozen=True, eq=False)
class PaintedEye:
    """One eye of a portrait, in a box of it.

    box: x0, y0, x1, y1 px. closed: (3, h, w), skin where the eye is. below: (h, w), px below the upper lid's edge.
    space: (h, w), px between the lids. along: (h, w), 0 to 1 between the corners. opening: (h, w), soft mask.
    right, down: unit vectors of the eye. iris: x, y px in the box; width: of the eye, radius: of the iris in px.
    """

    box: tuple[int, int, int, int]
    closed: Tensor
    below: Tensor
    space: Tensor
    along: Tensor
    opening: Tensor
    right: NDArray[np.float64]
    down: NDArray[np.float64]
    iris: NDArray[np.float64]
    width: float
    radius: float

    def paint(self, pixels: Tensor, blink: float, gaze: tuple[float, float]) -> None:
        """Change `pixels` (3, h, w), the portrait, in place.

        blink: 0 to 1, how far the lid comes down. gaze: right and down in the picture, each -1 to 1.
        """
        x0, y0, x1, y1 = self.box
        eye = pixels[:, y0:y1, x0:x1]
        if gaze != (0.0, 0.0):
            eye = torch.lerp(eye, self._looking(eye, gaze), self.opening)
        if blink > 0:
            eye = self._lidded(eye, blink)
        pixels[:, y0:y1, x0:x1] = eye

    def _looking(self, eye: Tensor, gaze: tuple[float, float]) -> Tensor:
        shift = self.width * (_SIDEWAYS * gaze[0] * self.right + _UPRIGHT * gaze[1] * self.down)
        y, x = torch.meshgrid(torch.arange(eye.shape[1]), torch.arange(eye.shape[2]), indexing="ij")
        places = torch.stack([x, y], -1).float()
        away = places - torch.from_numpy((self.iris + shift).astype(np.float32))
        along = (away @ torch.from_numpy(self.right.astype(np.float32))) / (2.2 * self.radius)
        across = (away @ torch.from_numpy(self.down.astype(np.float32))) / (2.2 * self.radius)
        share = torch.exp(-(along**4) - across**4)[..., None]
        return sample_at(eye.contiguous(), places - share * torch.from_numpy(shift.astype(np.float32)))

    def _lidded(self, eye: Tensor, blink: float) -> Tensor:
        thickness = max(_LASH * self.width, 0.6)
        beneath = self.below - blink * (1.08 * self.space + 0.8 * thickness)  # px under the lid's edge
        ends, share = self._ends(), min(1.0, 4 * blink)
        # the curtain begins softly above the old edge, where the old lashes are
        above = ((self.below + 0.20 * self.width) / (0.10 * self.width)).clamp(0, 1)
        skin = (0.5 - beneath).clamp(0, 1) * above * ends
        out = torch.lerp(eye, self.closed, skin * min(1.0, 6 * blink))
        fold = torch.exp(-(((beneath + 0.16 * self.width) / (0.09 * self.width)) ** 2)) * 0.06
        lash = torch.exp(-((beneath / thickness) ** 2)) * _LASH_DARKNESS
        return out * (1 - (lash * _LASH_HUE + fold * skin) * ends * share)

    def _ends(self) -> Tensor:
        """(h, w): 1 between the corners of the eye, fading beyond them."""
        return ((torch.minimum(self.along, 1 - self.along) + 0.12) / 0.14).clamp(0, 1)


def painted_eyes(portrait: Portrait) -> tuple[PaintedEye, PaintedEye]:
    """Both eyes of a portrait, the one on the left of the picture first."""
    left, right = (_eye(portrait, side) for side in (0, 1))
    return left, right


def _eye(portrait: Portrait, side: int) -> PaintedEye:
    points, eye = portrait.landmarks[:, :2].astype(np.float64), EYES[side]
    ends = points[list(eye.lids.corners)]
    ends = ends[np.argsort(ends[:, 0])]
    width = max(float(np.linalg.norm(ends[1] - ends[0])), 1.0)
    right = (ends[1] - ends[0]) / width
    down = np.array([-right[1], right[0]])
    around = points[list(ORBITS[side])]
    low, high = np.floor(around.min(0)).astype(int) - 2, np.ceil(around.max(0)).astype(int) + 3
    limit = np.array([portrait.pixels.shape[2], portrait.pixels.shape[1]])
    low, high = np.clip(low, 0, limit - 2), np.clip(high, 2, limit)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float64)
    place = np.stack([x, y], -1)
    u, v = (place - ends[0]) @ right, (place - ends[0]) @ down
    upper, lower = (
        _curve(points, eye.lids.corners, row, ends[0], right, down) for row in (eye.lids.upper, eye.lids.lower)
    )
    top, bottom = np.interp(u, *upper), np.interp(u, *lower)
    opening = np.clip(np.minimum(v - top, bottom - v) + 0.5, 0, 1) * ((u > 0) & (u < width))
    iris = points[eye.iris] - low
    radius = float(np.linalg.norm(points[list(eye.iris_edge)] - points[eye.iris], axis=1).mean())
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))

    def tensor(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    closed = _closed(portrait.pixels[:, low[1] : high[1], low[0] : high[0]], points, side, low, (top, bottom, v))
    return PaintedEye(
        box=box,
        closed=closed,
        below=tensor(v - top),
        space=tensor(np.maximum(bottom - top, 0)),
        along=tensor(u / width),
        opening=tensor(opening),
        right=right,
        down=down,
        iris=iris,
        width=width,
        radius=max(radius, 1.0),
    )


def _curve(
    points: NDArray[np.float64],
    corners: tuple[int, int],
    row: tuple[int, ...],
    origin: NDArray[np.float64],
    right: NDArray[np.float64],
    down: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A lid's edge as v over u, sorted."""
    line = points[[corners[0], *row, corners[1]]] - origin
    u, v = line @ right, line @ down
    order = np.argsort(u)
    # smoother than the nine landmarks of a small eye
    fine = np.linspace(u[order][0], u[order][-1], 24)
    fit = np.polynomial.Polynomial.fit(u[order], v[order], 4)
    return fine, np.asarray(fit(fine))


def _closed(
    eye: Tensor,
    points: NDArray[np.float64],
    side: int,
    low: NDArray[np.int64],
    heights: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> Tensor:
    """(3, h, w): the eye's box with lid skin over the opening: colours from around, darker grain of the cheek."""
    orbit, lids = points[list(ORBITS[side])], points[list(EYES[side].lids.loop)]
    nearest = lids[np.argmin(np.linalg.norm(orbit[:, None] - lids[None], axis=2), axis=1)]
    spots = torch.from_numpy((orbit + 0.1 * (nearest - orbit) - low).astype(np.float32))
    soft = F.avg_pool2d(F.pad(eye[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
    colours = sample_at(soft, spots[None])[:, 0]
    light = colours.mean(0)
    usual = colours[:, (light >= light.quantile(0.6)) & (light <= light.quantile(0.97))].mean(1, keepdim=True)
    # lashes, frames of glasses and reflections are no skin
    colours = torch.where(((light - usual.mean()).abs() < 0.12)[None], colours, usual)
    y, x = torch.meshgrid(torch.arange(eye.shape[1]), torch.arange(eye.shape[2]), indexing="ij")
    away = torch.cdist(torch.stack([x, y], -1).reshape(-1, 2).float(), spots)
    weight = 1 / (away + 1.0) ** 2.5
    fill = torch.lerp(colours @ weight.T / weight.sum(1), usual, 0.5).reshape(eye.shape)
    noise = torch.randn(eye.shape[1:], generator=torch.Generator().manual_seed(side)) * 0.008
    top, bottom, v = heights
    middle = torch.from_numpy(((v - top) / np.maximum(bottom - top, 1e-3)).astype(np.float32)).clamp(0, 1)
    round_ = 0.97 + 0.05 * torch.sin(middle * np.pi)
    return ((fill * round_) + noise).clamp(0, 1)


def gaze_of(activations: FloatArray, index: dict[str, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where each eye looks, left of the picture first: right and down in the picture, in [-1, 1]."""
    out: list[tuple[float, float]] = []
    for side, inwards in (("Right", 1.0), ("Left", -1.0)):
        value = {way: float(activations[index[f"eyeLook{way}{side}"]]) for way in ("In", "Out", "Up", "Down")}
        across, upright = inwards * (value["In"] - value["Out"]), value["Down"] - value["Up"]
        out.append((float(np.clip(across, -1, 1)), float(np.clip(upright, -1, 1))))
    return out[0], out[1]
