"""Eyes painted into the portrait before it is moved: the iris looks elsewhere, a curtain of lid skin closes the eye.

Moving the lids' skin with the mesh would smear lashes over the eye, so the lid is new skin: the colours around the eye
grown over it, the portrait's own grain, and the lash line at its edge. Likewise the iris is lifted off the white and
put back elsewhere, because pushing pixels around would stretch it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import FloatArray, as_float_tensor
from ..geometry.features import ORBITS
from ..geometry.texture import sample_at
from .eye_layers import closed_lid, eye_frame, iris_of, white_of
from .handles import LOOK_SIDEWAYS, LOOK_UPRIGHT
from .portrait import Portrait

#: The lash line: how far it reaches down and up in eye widths, and how dark it is at most.
_LASH_DOWN, _LASH_UP, _LASH_DARKNESS = 0.070, 0.035, 0.75

#: How thick lashes are at the inner corner against the outer one.
_TAPER = 0.7

#: How far down the lid comes at blink 1, in heights of the opening.
_REACH = 1.14

#: Lashes are rather brown than black.
_LASH_HUE = torch.tensor([0.92, 1.0, 1.04])[:, None, None]

#: The shadow of the upper lid on the eye: how dark, and how far down in eye widths.
_SHADOW, _SHADOW_REACH = 0.38, 0.07

#: How far the lid comes down with eyes that look down.
_LID_FOLLOWS = 0.34


@dataclass(frozen=True, eq=False)
class PaintedEye:
    """One eye of a portrait, in a box of it.

    box: x0, y0, x1, y1 px. closed: (3, h, w), skin where the eye is. white: (3, h, w), the eye without its iris. iris:
    (3, h, w), the whole iris in its place. below: (h, w), px below the upper lid's edge. space: (h, w), px between the
    lids. ends: (h, w), 1 between the corners, fading beyond. curtain: (h, w), 1 below the lid's fold. crest: (h, w),
    how thick lashes are. opening, shadow: (h, w) masks. away: (h, w, 2) px from the iris' middle. right, down: unit
    vectors of the eye. width: of the eye, radius: of the iris in px.
    """

    box: tuple[int, int, int, int]
    closed: Tensor
    white: Tensor
    iris: Tensor
    below: Tensor
    space: Tensor
    ends: Tensor
    curtain: Tensor
    crest: Tensor
    opening: Tensor
    shadow: Tensor
    away: Tensor
    right: NDArray[np.float64]
    down: NDArray[np.float64]
    width: float
    radius: float

    def paint(self, pixels: Tensor, blink: float, gaze: tuple[float, float]) -> None:
        """Change `pixels` (3, h, w), the portrait, in place.

        blink: 0 to 1, how far the lid comes down. gaze: right and down in the picture, each -1 to 1.
        """
        x0, y0, x1, y1 = self.box
        eye = pixels[:, y0:y1, x0:x1]
        if gaze != (0.0, 0.0):
            # a glance that is hardly there is hardly repainted
            eye = torch.lerp(eye, self._looking(gaze), self.opening * min(1.0, 5 * float(np.hypot(*gaze))))
        blink = max(blink, _LID_FOLLOWS * gaze[1])
        if blink > 0:
            eye = self._lidded(eye, blink)
        pixels[:, y0:y1, x0:x1] = eye

    def _looking(self, gaze: tuple[float, float]) -> Tensor:
        moved = self.width * (LOOK_SIDEWAYS * gaze[0] * self.right + LOOK_UPRIGHT * gaze[1] * self.down)
        shift = torch.from_numpy(moved.astype(np.float32))
        distance = torch.linalg.vector_norm(self.away - shift, dim=-1)
        soft = max(0.16 * self.radius, 1.0)
        disc = ((self.radius - distance) / soft + 0.5).clamp(0, 1)
        y, x = torch.meshgrid(*(torch.arange(count) for count in self.space.shape), indexing="ij")
        iris = sample_at(self.iris, torch.stack([x, y], -1) - shift)
        return torch.lerp(self.white, iris, disc) * (1 - self.shadow)

    def _lidded(self, eye: Tensor, blink: float) -> Tensor:
        lash_up, lash_down = (max(part * self.width, 0.5) for part in (_LASH_UP, _LASH_DOWN))
        beneath = self.below - blink * (_REACH * self.space + 0.8 * lash_up)  # px under the lid's edge
        share = min(1.0, 4 * blink)
        skin = (0.5 - beneath).clamp(0, 1) * self.curtain * self.ends
        out = torch.lerp(eye, self.closed, skin * min(1.0, 5 * blink))
        reach = torch.where(beneath > 0, lash_down, lash_up) * (0.5 + 0.5 * self.crest)
        lash = torch.exp(-((beneath / reach) ** 2)) * _LASH_DARKNESS * self.crest
        return out * (1 - lash * _LASH_HUE * self.ends * share)


def painted_eyes(portrait: Portrait) -> tuple[PaintedEye, PaintedEye]:
    """Both eyes of a portrait, the one on the left of the picture first."""
    left, right = (painted_eye(portrait.pixels, portrait.landmarks, side) for side in (0, 1))
    return left, right


def painted_eye(pixels: Tensor, landmarks: FloatArray, side: int) -> PaintedEye:
    """One eye of a picture (3, h, w) in [0, 1]; landmarks: (478, 3) px of it; side: 0 is left in the picture."""
    points = landmarks[:, :2].astype(np.float64)
    box = _box(pixels, points, side)
    eye = pixels[:, box[1] : box[3], box[0] : box[2]]
    frame = eye_frame(points, side, np.array(box[:2]), (eye.shape[1], eye.shape[2]))
    gradient = frame.v[1, 0] - frame.v[0, 0], frame.v[0, 1] - frame.v[0, 0]
    y, x = np.mgrid[: eye.shape[1], : eye.shape[2]].astype(np.float64)
    outer = frame.along if side else 1 - frame.along
    return PaintedEye(
        box=box,
        closed=closed_lid(eye, frame),
        white=white_of(eye, frame),
        iris=iris_of(eye, frame),
        below=as_float_tensor(frame.v - frame.top),
        space=as_float_tensor(np.maximum(frame.bottom - frame.top, 0)),
        ends=as_float_tensor(np.clip((np.minimum(frame.along, 1 - frame.along) + 0.10) / 0.12, 0, 1)),
        curtain=as_float_tensor(np.clip((frame.v - frame.top + frame.crease) / (0.5 * frame.crease), 0, 1)),
        crest=as_float_tensor(np.clip(_TAPER + (1 - _TAPER) * np.sqrt(np.clip(outer, 0, 1)), 0, 1)),
        opening=as_float_tensor(frame.opening()),
        shadow=as_float_tensor(
            _SHADOW * np.exp(-((np.maximum(frame.v - frame.top, 0) / (_SHADOW_REACH * frame.width)) ** 2))
        ),
        away=as_float_tensor(np.stack([x, y], -1) - frame.iris),
        right=np.array([gradient[0], -gradient[1]]),
        down=np.array([gradient[1], gradient[0]]),
        width=frame.width,
        radius=frame.radius,
    )


def _box(pixels: Tensor, points: NDArray[np.float64], side: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 px around the eye with skin on all sides."""
    around = points[list(ORBITS[side])]
    rim = 0.2 * float(np.ptp(around[:, 0]))
    low, high = np.floor(around.min(0) - rim).astype(int), np.ceil(around.max(0) + rim).astype(int) + 1
    limit = np.array([pixels.shape[2], pixels.shape[1]])
    low, high = np.clip(low, 0, limit - 2), np.clip(high, 2, limit)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def gaze_of(activations: FloatArray, index: dict[str, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where each eye looks, left of the picture first: right and down in the picture, in [-1, 1]."""
    out: list[tuple[float, float]] = []
    for side, inwards in (("Right", 1.0), ("Left", -1.0)):
        value = {way: float(activations[index[f"eyeLook{way}{side}"]]) for way in ("In", "Out", "Up", "Down")}
        across, upright = inwards * (value["In"] - value["Out"]), value["Down"] - value["Up"]
        out.append((float(np.clip(across, -1, 1)), float(np.clip(upright, -1, 1))))
    return out[0], out[1]
