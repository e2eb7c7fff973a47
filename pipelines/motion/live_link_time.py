"""Time codes of Live Link Face: hours:minutes:seconds:frames, where frames have decimals."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

#: What devices record at.
RATES = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0)

_CODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:[.,]\d+)?)")
_DAY_S = 86_400.0


def timecode(frame: int, fps: float) -> str:
    """Time code of a frame, counted from 00:00:00:00, at the nearest whole rate: `00:00:01:12.000`."""
    rate = max(round(fps), 1)
    seconds, rest = divmod(frame, rate)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}.000"


def _parts(codes: Sequence[str]) -> tuple[Times, Times] | None:
    """Whole seconds, growing over midnight, and frames; None when a code is missing or of another form."""
    found = [_CODE.fullmatch(code.strip()) for code in codes]
    if not found or any(match is None for match in found):
        return None
    numbers = np.array(
        [[float(text.replace(",", ".")) for text in match.groups()] for match in found if match is not None]
    )
    seconds = numbers[:, 0] * 3600 + numbers[:, 1] * 60 + numbers[:, 2]
    return seconds + _DAY_S * np.concatenate([[0], np.cumsum(np.diff(seconds) < -_DAY_S / 2)]), numbers[:, 3]


def rate_of(codes: Sequence[str]) -> float | None:
    """Frames per second of time codes; None when they are missing, unreadable or do not grow.

    Concretely the smallest of `RATES` above the largest frame number; a recording of less than a second may therefore
    be read as slower than it was.
    """
    parts = _parts(codes)
    if parts is None:
        return None
    seconds, frames = parts
    rate = next((rate for rate in RATES if frames.max() < rate), None)
    if rate is None or (np.diff(seconds + frames / rate) <= 0).any():
        return None
    return rate


def frame_times(codes: Sequence[str], rate: float) -> Times:
    """(T,) seconds of each row after the first; `codes` must have a rate (see `rate_of`)."""
    parts = _parts(codes)
    if parts is None:
        return np.arange(len(codes)) / rate
    times = parts[0] + parts[1] / rate
    return times - times[0]
