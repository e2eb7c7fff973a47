"""What is done to the faces of a video, calmed over time: masks and tones that tremble do not flicker."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..face import Face, TrackedFrame
from ..geometry.features import OVAL
from ..geometry.templates import crop_from_image
from ..geometry.transforms import Matrix, invert, transform_points
from ..geometry.warp import crop_pictures

#: Side of the square, in face coordinates, in which changes are compared; the oval of a face is about 85 px wide there.
_SIDE = 160
#: How much of the change before stays where nothing but trembling tells the two apart.
_STAYS = 0.75
#: A difference like this (in [0, 1]) is no trembling any more: the expression or the light has changed.
_TREMBLING = 0.09
#: Over how many pixels of the square a difference is judged, and the third of what is wide.
_JUDGED, _COARSE = 5, 5
#: Differences up to this (a quarter of an 8-bit step) are not worth touching a pixel for.
_UNSEEN = 1e-3
#: Reach of the rim on either side of the outline, px of the square.
_RIM = 7.0

Memory = dict[str, NDArray[np.generic]]


class CalmChange:
    """Follows what a work changes about each face, and takes the trembling out of it.

    Concretely, in face coordinates, with D the difference between the changed picture and the given one: S = D + w (S
    before - D), w = 0.75 exp(-(local |S before - D| / 0.09)²), and S - D is added to the changed picture; away from the
    outline of the face only the wide part of it. Where an expression or the light changes w is 0 and nothing lags
    behind. It forgets a face that is missing in a frame, and everything at a cut and at the first frame of a video.
    """

    def __init__(self) -> None:
        self._changes: dict[int, Tensor] = {}

    def calm(self, frame: TrackedFrame, changed: Tensor) -> Tensor:
        """The changed picture (H, W, 3) of the next frame, without trembling. Works in place."""
        before = {} if frame.cut or frame.index == 0 else self._changes
        self._changes = {}
        for face, _ in frame.people:
            square = crop_from_image(face, "ffhq_512", _SIDE)
            given, now = (
                crop_pictures(picture[None], (0,), square[None], (_SIDE, _SIDE), padding="border")[0]
                for picture in (frame.picture, changed)
            )
            difference = now - given
            steady = difference
            if face.track in before:
                steady = difference + _trembling(before[face.track] - difference, _rim(face, square))
                add_change(changed, steady - difference, square)
            self._changes[face.track] = steady
        return changed

    def state(self) -> Memory:
        """What it remembers, as arrays."""
        return {f"change.{track}": change.cpu().numpy() for track, change in self._changes.items()}

    def restore(self, state: Memory) -> None:
        """Go on where `state` was taken."""
        names = [name for name in state if name.startswith("change.")]
        self._changes = {
            int(name.removeprefix("change.")): torch.from_numpy(np.asarray(state[name], np.float32)) for name in names
        }


def _trembling(away: Tensor, rim: Tensor) -> Tensor:
    """How much of the difference (S, S, 3) between the change before and the one now is taken back.

    rim: (S, S) in [0, 1]. Away from the rim only what is wide: there the given face's own detail, which is in the
    change as well, would come through where it has moved a little.
    """
    small = F.avg_pool2d(F.avg_pool2d(away.permute(2, 0, 1)[None], _COARSE), 3, 1, 1)
    wide = F.interpolate(small, size=(_SIDE, _SIDE), mode="bilinear")[0].permute(1, 2, 0)
    kept = torch.lerp(wide, away, rim[..., None])
    judged = F.avg_pool2d(away.abs().amax(-1)[None, None], _JUDGED, 1, _JUDGED // 2)[0, 0]
    return kept * (_STAYS * torch.exp(-((judged / _TREMBLING) ** 2)))[..., None]


def _rim(face: Face, square: Matrix) -> Tensor:
    """(S, S): 1 on the outline of the face, where masks end, falling to 0 about a tenth of its width away from it.

    Where a face has no dense landmarks it is 1 everywhere.
    """
    if face.landmarks is None:
        return torch.ones(_SIDE, _SIDE)
    corners = transform_points(square, face.landmarks[list(OVAL), :2])
    outline = torch.from_numpy(np.concatenate([corners, (corners + np.roll(corners, 1, 0)) / 2]))
    steps = torch.arange(0.5, _SIDE, 2)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)
    nearest = torch.cdist(grid, outline).amin(1).reshape(1, 1, _SIDE // 2, _SIDE // 2)
    return F.interpolate(torch.exp(-((nearest / _RIM) ** 2)), size=(_SIDE, _SIDE), mode="bilinear")[0, 0]


def add_change(picture: Tensor, change: Tensor, square: Matrix) -> None:
    """Add a change (S, S, C) in face coordinates to a picture (H, W, C), in place, within [0, 1].

    square: `crop_from_image` of these coordinates. Less than a quarter of an 8-bit step is left out.
    """
    image_from_square = invert(square)
    last = len(change) - 1
    corners = transform_points(image_from_square, [[0, 0], [last, 0], [0, last], [last, last]])
    x0, y0 = (max(0, int(np.floor(value))) for value in corners.min(0))
    x1, y1 = (
        min(limit, int(np.ceil(value)) + 1)
        for value, limit in zip(corners.max(0), (picture.shape[1], picture.shape[0]), strict=True)
    )
    if x1 <= x0 or y1 <= y0:
        return
    part_from_square = image_from_square.copy()
    part_from_square[:, 2] -= (x0, y0)
    grown = crop_pictures(change[None], (0,), part_from_square[None], (y1 - y0, x1 - x0), antialias=False)[0]
    part = picture[y0:y1, x0:x1]
    part.add_(F.softshrink(grown, _UNSEEN).to(part)).clamp_(0, 1)
