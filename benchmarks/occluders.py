"""Draws things in front of a face: what hides it is known exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..pipelines.face import Face

Map = NDArray[np.float64]

#: One drawn thing: colours (h, w, 3) and opacity (h, w).
Layer = tuple[Map, Map]


class Place:
    """Face coordinates of a picture: the origin between the eyes, 1 the distance of the eyes, y down the face."""

    def __init__(self, face: Face, height: int, width: int) -> None:
        left, right = np.asarray(face.landmarks5[:2], np.float64)
        self.unit = float(np.linalg.norm(right - left))
        across = (right - left) / self.unit
        y, x = np.mgrid[:height, :width].astype(np.float64)
        dx, dy = x - (left + right)[0] / 2, y - (left + right)[1] / 2
        self.x = (dx * across[0] + dy * across[1]) / self.unit
        self.y = (-dx * across[1] + dy * across[0]) / self.unit

    def capsule(self, start: tuple[float, float], end: tuple[float, float], radius: float) -> tuple[Map, Map]:
        """Distance from the surface (negative inside) and, from -1 to 1, how far a point is to its side."""
        ax, ay = start
        bx, by = end[0] - ax, end[1] - ay
        along = np.clip(((self.x - ax) * bx + (self.y - ay) * by) / (bx * bx + by * by), 0, 1)
        dx, dy = self.x - ax - along * bx, self.y - ay - along * by
        side = (dx * by - dy * bx) / np.hypot(bx, by) / radius
        return np.hypot(dx, dy) - radius, np.clip(side, -1, 1)

    def opacity(self, distance: Map) -> Map:
        """1 inside, 0 outside, half on the edge, one pixel wide."""
        return np.clip(0.5 - distance * self.unit, 0, 1)


#: How far each finger reaches beyond the middle of their tips, from the index finger on, in eye distances.
_REACH = (-0.1, 0.08, 0.02, -0.18)


def hand(place: Place, skin: Map) -> list[Layer]:
    """Four fingers and the back of a hand across the cheek and the mouth, darker and redder than the face."""
    return _hand(place, skin, (0.0, 0.98), -17.0)


def hand_from_the_right(place: Place, skin: Map) -> list[Layer]:
    """The same hand from the other side, over the mouth."""
    return _hand(place, skin, (0.0, 1.1), 195.0)


def hand_from_below(place: Place, skin: Map) -> list[Layer]:
    """The same hand upright in front of chin and cheek."""
    return _hand(place, skin, (-0.4, 0.75), -80.0)


def hand_over_the_eye(place: Place, skin: Map) -> list[Layer]:
    """The same hand from the right over eye and cheek."""
    return _hand(place, skin, (0.45, 0.05), 200.0)


def _hand(place: Place, skin: Map, at: tuple[float, float], towards_deg: float) -> list[Layer]:
    """A hand whose fingers point `towards_deg` (0 is to the right, 90 down) and whose tips lie around `at`."""
    tone = skin * np.array([0.80, 0.66, 0.58])
    along = np.array([np.cos(np.deg2rad(towards_deg)), np.sin(np.deg2rad(towards_deg))])
    aside = np.array([-along[1], along[0]])
    wrist = np.array(at) - 1.75 * along
    layers = [_limb(place, wrist - 4 * along, wrist, 0.5, tone), _limb(place, wrist - 0.6 * along, wrist, 0.74, tone)]
    for row, reach in enumerate(_REACH):
        tip = at + 0.355 * (row - 1.5) * aside + reach * along
        layers.append(_limb(place, tip - (1.55 + reach) * along, tip, 0.17, tone))
        layers += _marks(place, tip, along, tone)
    return layers


def _marks(place: Place, tip: Map, along: Map, tone: Map) -> list[Layer]:
    """A nail and the creases of two joints of a finger."""
    dx, dy = place.x - tip[0], place.y - tip[1]
    ahead, aside = dx * along[0] + dy * along[1], -dx * along[1] + dy * along[0]
    nail = np.hypot((ahead - 0.02) / 0.115, aside / 0.085)
    shine = 1.06 + 0.2 * np.exp(-(((aside + 0.03) / 0.03) ** 2))
    layers: list[Layer] = [
        (tone * np.array([1.03, 1.05, 1.08]) * shine[..., None], 0.75 * np.clip(9 * (1 - nail), 0, 1))
    ]
    bent = ahead - 0.5 * aside**2
    creases = sum(
        np.exp(-(((bent - at) / 0.016) ** 2)) for joint in (-0.42, -0.85) for at in (joint - 0.04, joint, joint + 0.045)
    )
    depth = 0.3 * creases * np.clip(1 - (aside / 0.13) ** 4, 0, 1)
    layers.append((0.5 * np.broadcast_to(tone, (*dx.shape, 3)), depth))
    return layers


def _limb(place: Place, start: Map, end: Map, radius: float, tone: Map) -> Layer:
    distance, side = place.capsule((start[0], start[1]), (end[0], end[1]), radius)
    round_ = np.sqrt(np.clip(1 - side**2, 0, 1))
    # lit from above, dark where two fingers meet; no skin has one colour
    blotches = np.mean(
        [np.sin(a * place.x + b * place.y + a) for a, b in ((9, 5), (-7, 11), (15, -13), (23, 19))], axis=0
    )
    shade = (0.45 + 0.55 * round_) * (1 - 0.12 * side) * (1 + 0.04 * blotches)
    blush = np.array([0.01, -0.02, -0.015]) * blotches[..., None]
    return tone * (1 + blush) * shade[..., None], place.opacity(distance)


def hair(place: Place, skin: Map) -> list[Layer]:
    """Locks of dark hair that fall over the forehead and one eye."""
    generator = np.random.default_rng(4)
    layers: list[Layer] = []
    for lock in range(9):
        x = 0.15 + 0.1 * lock + 0.04 * generator.standard_normal()
        bend, length = 0.2 * generator.standard_normal() - 0.15, 0.55 + 0.5 * generator.random()
        at = [(x + bend * t * t, -1.5 + (1.5 + length) * t) for t in np.linspace(0, 1, 9)]
        pieces = [
            place.capsule(a, b, 0.055 * (1 - 0.07 * row)) for row, (a, b) in enumerate(zip(at, at[1:], strict=False))
        ]
        distance = np.minimum.reduce([piece[0] for piece in pieces])
        shine = 0.75 + 0.5 * np.abs(np.sin(11 * place.x + 5 * place.y))
        layers.append((np.array([0.13, 0.09, 0.07]) * shine[..., None], place.opacity(distance)))
    return layers


def bar(place: Place, skin: Map) -> list[Layer]:
    """A dark bar from the cheek over the mouth."""
    distance, _ = place.capsule((-1.6, 1.3), (1.7, 0.75), 0.16)
    return [(np.broadcast_to([0.05, 0.06, 0.08], (*place.x.shape, 3)), place.opacity(distance))]


def microphone(place: Place, skin: Map) -> list[Layer]:
    """A microphone from below in front of chin and mouth."""
    handle, side = place.capsule((0.35, 3.2), (0.12, 1.6), 0.2)
    grey = 0.12 + 0.25 * np.sqrt(np.clip(1 - side**2, 0, 1))
    ball = np.hypot(place.x - 0.08, place.y - 1.3) - 0.42
    mesh = 0.28 + 0.14 * np.sin(40 * place.x) * np.sin(40 * place.y)
    bulge = np.sqrt(np.clip(1 - ((ball + 0.42) / 0.42) ** 2, 0, 1))
    return [
        (np.repeat(grey[..., None], 3, 2), place.opacity(handle)),
        (np.repeat((mesh * (0.4 + 0.9 * bulge))[..., None], 3, 2), place.opacity(ball)),
    ]


def glasses(place: Place, skin: Map) -> list[Layer]:
    """Thick dark frames with their arms."""
    frames = [np.abs(np.hypot((place.x - x) * 0.85, place.y) - 0.36) - 0.05 for x in (-0.5, 0.5)]
    arms = [place.capsule((side * 0.9, -0.02), (side * 1.6, -0.1), 0.05)[0] for side in (-1, 1)]
    bridge = place.capsule((-0.1, -0.05), (0.1, -0.05), 0.045)[0]
    distance = np.minimum.reduce([*frames, *arms, bridge])
    return [(np.broadcast_to([0.07, 0.05, 0.05], (*place.x.shape, 3)), place.opacity(distance))]


#: What is drawn, by name.
OCCLUDERS: dict[str, Callable[[Place, Map], list[Layer]]] = {
    "hand": hand,
    "hand from the right": hand_from_the_right,
    "hand from below": hand_from_below,
    "hand over the eye": hand_over_the_eye,
    "hair": hair,
    "bar": bar,
    "microphone": microphone,
    "glasses": glasses,
}


def with_occluder(picture: Tensor, face: Face, name: str) -> tuple[Tensor, Tensor]:
    """A picture (1, H, W, 3) with something in front of a face, and what it hides (H, W) in [0, 1]."""
    place = Place(face, picture.shape[1], picture.shape[2])
    pixels = picture[0].double().numpy()
    cheeks = np.exp(-(((np.abs(place.x) - 0.45) / 0.15) ** 2) - ((place.y - 0.55) / 0.15) ** 2)
    skin = (pixels * cheeks[..., None]).sum((0, 1)) / cheeks.sum()
    hidden = np.zeros(place.x.shape)
    for colours, opacity in OCCLUDERS[name](place, skin):
        pixels = pixels * (1 - opacity[..., None]) + colours * opacity[..., None]
        hidden = np.maximum(hidden, opacity)
    return torch.from_numpy(pixels.clip(0, 1)).float()[None], torch.from_numpy(hidden).float()
