"""Mattes of a video without what a single frame shows: a spot that comes and goes at once is no thing, but an error."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import TrackedFrame
from ..geometry.templates import crop_from_image
from ..geometry.warp import crop_pictures
from .calm import add_change

#: Side of the square, in face coordinates, in which mattes are compared; the oval of a face is about 135 px wide there.
_SIDE = 256

#: Per track its matte (S, S, 1) in face coordinates.
Squares = dict[int, Tensor]


class LoneFrames:
    """Takes out of each matte what neither the one before nor the next one shows.

    Concretely, in face coordinates, the median of the three replaces the one in the middle. Nothing lags behind, and
    what only moves, grows or shrinks stays as it is. A face that is missing in one of the three, or lies beyond a cut,
    keeps its matte.
    """

    def __init__(self) -> None:
        self._before: Squares = {}
        self._index = -1

    def steady(self, frame: TrackedFrame, matte: Tensor, after: tuple[TrackedFrame, Tensor] | None) -> Tensor:
        """The matte (H, W, 1) of the next frame, corrected; the given one stays as it is.

        after: the frame that follows it, and its matte, uncorrected; None where there is none.
        """
        here = _in_faces(frame, matte)
        later = {} if after is None or after[0].cut or after[0].index != frame.index + 1 else _in_faces(*after)
        before = {} if frame.cut or frame.index != self._index + 1 else self._before
        steady = matte.clone()
        for face, _ in frame.people:
            if face.track in before and face.track in later:
                now = here[face.track]
                middle = torch.stack([before[face.track], now, later[face.track]]).median(0).values
                add_change(steady, middle - now, crop_from_image(face, "ffhq_512", _SIDE))
        self._before, self._index = here, frame.index
        return steady

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What it remembers, as arrays."""
        found: dict[str, NDArray[np.generic]] = {"index": np.array([self._index], np.int64)}
        return found | {f"matte.{track}": square.cpu().numpy() for track, square in self._before.items()}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on where `state` was taken."""
        self._index = int(state["index"][0])
        names = [name for name in state if name.startswith("matte.")]
        self._before = {
            int(name.removeprefix("matte.")): torch.from_numpy(np.asarray(state[name], np.float32)) for name in names
        }


def _in_faces(frame: TrackedFrame, matte: Tensor) -> Squares:
    """A matte (H, W, 1) in the coordinates of each face that is somebody."""
    found: Squares = {}
    for face, _ in frame.people:
        square = crop_from_image(face, "ffhq_512", _SIDE)[None]
        found[face.track] = crop_pictures(matte[None], (0,), square, (_SIDE, _SIDE), padding="border")[0]
    return found
