"""Where the eyes look while somebody talks, and when they blink."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray, as_float_array
from ..motion.blinks import blink_times
from ..motion.channels import ARKIT_NAMES, INDEX
from .chance import Times, dice
from .prosody import Prosody

#: Radians that an eye turns at eyeLook 1, about.
_EYE_RAD = 0.5

#: Of the head's turn that eyes take back to stay on who they talk to.
_STAYS = 0.8

#: Small jumps of the eyes: time between them, size. Looks away: size, how long.
_JUMP_S, _JUMP = (0.5, 1.9), 0.035
_AWAY, _AWAY_S = (0.14, 0.30), (0.5, 1.3)

#: A look away waits for a pause; how long before and after it a blink is drawn towards it.
_DRAWN_S = 1.0


def gaze_shapes(prosody: Prosody, times: Times, turns: FloatArray, amount: float, seed: int) -> FloatArray:
    """(T, 52) the gaze: on the viewer with small jumps, away for a moment at some pauses, steady when the head turns.

    turns: (T, 3) of the head, which the eyes take back. amount: 1 as people do; 0 looks straight ahead of the head.
    """
    right, up = _jumps(times, seed)
    for start, length, x, y in looks_away(prosody, seed):
        inside = (times >= start) & (times < start + length)
        right[inside] += x
        up[inside] += y
    right -= _STAYS * np.asarray(turns[:, 1], np.float64) / _EYE_RAD
    up += _STAYS * np.asarray(turns[:, 0], np.float64) / _EYE_RAD
    out = np.zeros((len(times), len(ARKIT_NAMES)))
    for side, outwards in (("Left", right), ("Right", -right)):
        out[:, INDEX[f"eyeLookOut{side}"]] = np.maximum(outwards, 0)
        out[:, INDEX[f"eyeLookIn{side}"]] = np.maximum(-outwards, 0)
        out[:, INDEX[f"eyeLookUp{side}"]] = np.maximum(up, 0)
        out[:, INDEX[f"eyeLookDown{side}"]] = np.maximum(-up, 0)
    return as_float_array(np.clip(amount * out, 0, 1))


def looks_away(prosody: Prosody, seed: int) -> tuple[tuple[float, float, float, float], ...]:
    """Start and length in seconds, and how far to the right and up: about half of the pauses, as one who thinks."""
    random = dice(seed, "away")
    found: list[tuple[float, float, float, float]] = []
    for start, end in prosody.pauses:
        chance, size, side, height = random.random(), random.uniform(*_AWAY), random.choice((-1, 1)), random.random()
        length = float(random.uniform(*_AWAY_S))
        begins = max(start, end - 0.5)
        if chance < 0.5 and start > 0:
            found.append((begins, length, float(size * side), float(size * (0.7 * height - 0.35))))
    return tuple(found)


def blinks(prosody: Prosody, every_s: float, seed: int) -> tuple[float, ...]:
    """When lids begin to close: as often as `every_s` says, drawn to pauses and to looks away that are near."""
    moments = sorted([start for start, _ in prosody.pauses if start > 0] + [a[0] for a in looks_away(prosody, seed)])
    chosen: list[float] = []
    for time in blink_times(prosody.duration_s, every_s, seed):
        place = int(np.searchsorted(moments, time))
        near = [moment for moment in moments[max(place - 1, 0) : place + 1] if abs(moment - time) < _DRAWN_S]
        moment = min(near, key=lambda moment: abs(moment - time)) if near else time
        if not chosen or moment - chosen[-1] > 0.4:
            chosen.append(moment)
    return tuple(chosen)


def _jumps(times: Times, seed: int) -> tuple[Times, Times]:
    """(T,) twice: where the eyes rest between their small jumps."""
    random = dice(seed, "jumps")
    at = [0.0]
    places = [(0.0, 0.0)]
    while at[-1] < times[-1]:
        at.append(at[-1] + float(random.uniform(*_JUMP_S)))
        x, y = random.standard_normal(2) * _JUMP
        places.append((float(x), float(0.6 * y)))
    here = np.searchsorted(at, times, "right") - 1
    right, up = np.array(places)[here].T
    return right.copy(), up.copy()
