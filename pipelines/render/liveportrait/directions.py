"""Blendshapes to changes of LivePortrait's 21 keypoints, and back.

The 21 keypoints have no names. What moves which of them is known for the dials of LivePortrait's own editor (smile,
open, grin, purse, wink, brows, gaze) and for the Expression Editor that ComfyUI users know, which has the same numbers
with the ranges used here: a channel that is fully there is the end of its dial. Which eye a pair of keypoints belongs
to is not written anywhere; it is read from the portrait's own keypoints. Channels without a dial (`UNKNOWN`) do
nothing, unless a table measured with the user's own motion extractor is there (see `measured`).
Sources: `update_delta_new_*` in LivePortrait's `gradio_pipeline.py`; `calc_fe` of AdvancedLivePortrait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...face import FloatArray, as_float_array
from ...motion.channels import ARKIT_NAMES, INDEX
from .motion import KEYPOINTS

X, Y, Z = 0, 1, 2
WIDTH = 3 * KEYPOINTS

#: Keypoints of one eye (upper lid and iris, lower lid, cheek) and of the other; which is which differs by side.
ONE_SIDE, OTHER_SIDE = (11, 13, 3), (15, 16, 7)
EYE_KEYPOINTS, LIP_KEYPOINTS = (11, 13, 15, 16, 18), (6, 12, 14, 17, 19, 20)

#: (keypoint, axis) -> change.
Change = Mapping[tuple[int, int], float]
Table = NDArray[np.float64]

_SMILE, _OPEN, _GRIN, _PURSE = 1.3, 120.0, 15.0, 15.0
_BLINK, _WIDE, _BROWS_UP, _BROWS_DOWN, _GAZE = 20.0, 5.0, 15.0, 10.0, 15.0

#: Dial of the mouth -> change at the end of its range.
_SMILE_MIDDLE: Change = {
    (20, Y): -0.01 * _SMILE,
    (14, Y): -0.02 * _SMILE,
    (17, Y): 0.0065 * _SMILE,
    (17, Z): 0.003 * _SMILE,
}
_OPENED: Change = {(19, Y): 0.001 * _OPEN, (19, Z): 0.0001 * _OPEN, (17, Y): -0.0001 * _OPEN}
_GRINNED: Change = {(20, Z): -0.001 * _GRIN, (20, Y): -0.001 * _GRIN, (14, Y): -0.001 * _GRIN}
_PURSED: Change = {
    (14, Y): 0.001 * _PURSE,
    (3, Y): -0.0005 * _PURSE,
    (7, Y): -0.0005 * _PURSE,
    (17, Z): -0.0005 * _PURSE,
}
_RAISED: Change = {(1, Y): 0.001 * _BROWS_UP, (2, Y): -0.001 * _BROWS_UP}
_LOWERED: Change = {
    (1, X): 0.001 * _BROWS_DOWN,
    (2, X): -0.001 * _BROWS_DOWN,
    (1, Y): -0.0003 * _BROWS_DOWN,
    (2, Y): 0.0003 * _BROWS_DOWN,
}
#: Keypoint of an eye -> how far one step of gaze takes it to the right of the picture, and to the left.
_SIDEWAYS = {11: (0.0007, 0.001), 15: (0.001, 0.0007)}


@dataclass(frozen=True, eq=False)
class Directions:
    """How blendshapes move the keypoints' expression.

    table: (52, 63) change at activation 1, rows in the order of `ARKIT_NAMES`, columns keypoint by keypoint, x right,
    y down, z away. source: where the numbers come from, for the report.
    """

    table: FloatArray
    source: str

    @property
    def unknown(self) -> tuple[str, ...]:
        """Channels that do nothing."""
        return tuple(name for name, row in zip(ARKIT_NAMES, self.table, strict=True) if not row.any())

    def filled(self, other: Directions) -> Directions:
        """These directions with `other`'s for the channels that do nothing here."""
        missing = np.abs(self.table).sum(1) == 0
        taken = int((missing & (np.abs(other.table).sum(1) > 0)).sum())
        if taken == 0:
            return self
        return Directions(
            np.where(missing[:, None], other.table, self.table), f"{self.source}, {taken} channels by {other.source}"
        )

    def expression(self, blendshapes: FloatArray) -> FloatArray:
        """(..., 63) changes of blendshapes (..., 52), which may be negative."""
        return as_float_array(blendshapes @ self.table)

    def blendshapes(self, expression: FloatArray) -> FloatArray:
        """(T, 52) in [0, 1] that come nearest to changes (T, 63).

        Concretely argmin |a B - e|^2 / |B|^2 + 0.001 |a|^2 with 0 <= a <= 1, by accelerated projected gradient; the
        small weight on |a| spreads a change over channels that the table cannot tell apart. Channels it does not know
        stay 0.
        """
        scale = max(float(np.linalg.norm(self.table, 2)), 1e-9)
        table = self.table.astype(np.float64) / scale
        gram = table @ table.T + 1e-3 * np.eye(len(table))
        wanted = (expression.astype(np.float64) / scale) @ table.T
        now = last = np.zeros((len(expression), len(table)))
        for step in range(400):
            ahead = now + step / (step + 3) * (now - last)
            last, now = now, np.clip(ahead - (ahead @ gram - wanted) / (1 + 1e-3), 0, 1)
        return as_float_array(now * (np.abs(self.table).sum(1) > 0))


def published(one_side_is_right: bool) -> Directions:
    """The dials of the public editors as channels.

    one_side_is_right: whether keypoints 11, 13 and 3 lie on the right side of the picture, which is the person's left.
    """
    table = np.zeros((len(ARKIT_NAMES), KEYPOINTS, 3))
    sides = (ONE_SIDE, OTHER_SIDE) if one_side_is_right else (OTHER_SIDE, ONE_SIDE)
    for person_side, keypoints in zip(("Left", "Right"), sides, strict=True):
        _add_eye(table, person_side, keypoints)
        _add(table, f"mouthSmile{person_side}", _smile(keypoints), 1.0)
        _add(table, f"mouthFrown{person_side}", _smile(keypoints), -0.3 / _SMILE)
        _add(table, f"mouthStretch{person_side}", _GRINNED, 0.5)
        _add(table, f"browDown{person_side}", _LOWERED, 0.5)
        _add(table, f"browOuterUp{person_side}", _RAISED, 0.25)
    _add(table, "browInnerUp", _RAISED, 0.5)
    _add(table, "jawOpen", _OPENED, 1.0)
    _add(table, "mouthClose", _OPENED, -1.0)
    _add(table, "mouthPucker", _PURSED, 1.0)
    _add(table, "mouthFunnel", _PURSED, 0.6)
    _add(table, "mouthFunnel", _OPENED, 0.2)
    return Directions(as_float_array(table.reshape(len(ARKIT_NAMES), WIDTH)), "the dials of the public editors")


def _smile(keypoints: tuple[int, int, int]) -> Change:
    """Half a smile in the middle, and all of its side."""
    _, lower_lid, cheek = keypoints
    middle = {place: value / 2 for place, value in _SMILE_MIDDLE.items()}
    return middle | {(lower_lid, Y): -0.00275 * _SMILE, (cheek, Y): -0.0035 * _SMILE}


def _add_eye(table: Table, side: str, keypoints: tuple[int, int, int]) -> None:
    upper, lower, _ = keypoints
    closed: Change = {(upper, Y): 0.001 * _BLINK, (lower, Y): -0.0003 * _BLINK}
    _add(table, f"eyeBlink{side}", closed, 1.0)
    _add(table, f"eyeWide{side}", closed, -_WIDE / _BLINK)
    _add(table, f"eyeSquint{side}", {(lower, Y): -0.0003 * _BLINK}, 1.0)
    # looking up or down takes half a lid along, as the dials do
    _add(table, f"eyeLookUp{side}", {(upper, Y): -0.0005 * _GAZE, (lower, Y): -0.00015 * _GAZE}, 1.0)
    _add(table, f"eyeLookDown{side}", {(upper, Y): 0.0005 * _GAZE, (lower, Y): 0.00015 * _GAZE}, 1.0)
    right, left = _SIDEWAYS[upper]
    # the person's left eye lies on the right of the picture: outwards is to the right
    outwards, inwards = (right, -left) if side == "Left" else (-left, right)
    _add(table, f"eyeLookOut{side}", {(upper, X): outwards * _GAZE}, 1.0)
    _add(table, f"eyeLookIn{side}", {(upper, X): inwards * _GAZE}, 1.0)


def _add(table: Table, name: str, change: Change, share: float) -> None:
    for (keypoint, axis), value in change.items():
        table[INDEX[name], keypoint, axis] += share * value
