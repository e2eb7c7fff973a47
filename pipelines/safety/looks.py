"""Whom to look at again: a face that was blurred or turned away when it was met shows later whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ..face import Face, TrackedFrame
from ..identity.quality import detail, head_turn, inter_eye_px, pose_part, sharpness_part, size_part
from .statement import MAX_ITEMS, Track

#: A face is looked at again when it shows this much more than at the best look before, and so many times at most.
BETTER, MOST_BETTER = 1.25, 8
#: And so many frames after it was met, however it looks: the best frame may show another expression.
LATER = (12, 60, 300)
#: Side of the cut that sharpness is measured in, px, and how far it goes beyond the face's box.
_SIDE_PX, _BEYOND = 256, 0.25


def visibility(picture: Tensor, face: Face) -> float:
    """[0, 1]: how well a face of a picture (H, W, 3) in [0, 1] shows whose it is: concretely size, pose and sharpness
    as the references of an identity are weighed; 0 outside the picture."""
    known = size_part(inter_eye_px(face)) * pose_part(*head_turn(face))
    half = (0.5 + _BEYOND) * (face.bbox_xyxy[2:] - face.bbox_xyxy[:2])
    limits = np.array([picture.shape[1], picture.shape[0]])
    x0, y0 = np.clip(face.center - half, 0, limits).astype(int)
    x1, y1 = np.clip(face.center + half, 0, limits).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return 0.0
    cut = picture[None, y0:y1, x0:x1, :3].movedim(3, 1)
    even = F.interpolate(cut, size=(_SIDE_PX, _SIDE_PX), mode="bilinear", antialias=True).movedim(1, 3)
    return known * sharpness_part(float(detail(even)[0]))


@dataclass
class _Looks:
    """At one track. first: the frame it was met in. best: visibility at the best look. better, later: looks so far."""

    first: int
    best: float
    better: int = 0
    later: int = 0


class Looks:
    """Decides in which frames a recogniser looks at whom: when met, whenever there is clearly more to see, and a few
    times later. At most 1 + `MOST_BETTER` + len(`LATER`) looks at a track, however long it is."""

    def __init__(self) -> None:
        self._looks: dict[int, _Looks] = {}

    def due(self, frame: TrackedFrame, faces: Sequence[Face]) -> list[Face]:
        """Those of a frame's faces that are to be looked at now. Frames come in their order."""
        return [face for face in faces if self._is_due(frame, face)]

    def _is_due(self, frame: TrackedFrame, face: Face) -> bool:
        looks = self._looks.get(face.track)
        if looks is not None and looks.better >= MOST_BETTER and looks.later >= len(LATER):
            return False
        shown = visibility(frame.picture, face)
        if looks is None:
            self._looks[face.track] = _Looks(frame.index, shown)
            return True
        if looks.better < MOST_BETTER and shown > BETTER * looks.best:
            looks.best, looks.better = shown, looks.better + 1
            return True
        if looks.later < len(LATER) and frame.index - looks.first >= LATER[looks.later]:
            looks.best, looks.later = max(shown, looks.best), looks.later + 1
            return True
        return False


class MetTracks:
    """Whom a work on a video has met: the first people of it, as a statement names them."""

    def __init__(self) -> None:
        self._met: dict[int, list[int]] = {}

    def meet(self, frame: TrackedFrame, faces: Sequence[Face]) -> None:
        """Note the faces of a frame that are worked on."""
        for face in faces:
            box = [round(float(value)) for value in face.bbox_xyxy]
            known = self._met.get(face.track)
            if known is not None:
                known[1], known[6:] = frame.index, box
            elif len(self._met) < MAX_ITEMS:
                self._met[face.track] = [frame.index, frame.index, *box, *box]

    def tracks(self) -> tuple[Track, ...]:
        """In the order they were met."""
        return tuple(
            Track(number, first, last, ((x0, y0, x1, y1), (x2, y2, x3, y3)))
            for number, (first, last, x0, y0, x1, y1, x2, y2, x3, y3) in self._met.items()
        )

    def rows(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """(N, 11) number, first and last frame, first and last box; for `restore`."""
        rows = [[number, *values] for number, values in self._met.items()]
        return np.array(rows, np.int64).reshape(-1, 11)

    def restore(self, rows: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
        """Go on where `rows` were taken."""
        self._met = {int(number): [int(x) for x in values] for number, *values in rows.tolist()}
