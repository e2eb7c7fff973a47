"""A video's own sound under a new one."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .pixels import pyav
from .reader import Source, Window, opened
from .sound import Sound, layout_of


def with_own_sound(sound: Sound, source: Source, window: Window, volume: float) -> Sound:
    """The new sound with the video's own mixed in.

    sound: begins with the first frame of the window. volume: of the own sound, 0 to 1; 0 gives `sound` itself. Returns
    the sum, with rate and channels of `sound`, turned down as a whole where it would be louder than full scale. What
    the own sound has beyond the end of `sound` is left out. Raises InputError for another volume or a video without
    sound.
    """
    if not 0 <= volume <= 1:
        raise InputError(f"The volume of the video's own sound is {volume}; it must be within 0 and 1.")
    if volume == 0:
        return sound
    mixed = sound.waveform.copy()
    _add_own(mixed, sound.rate_hz, source, window, np.float32(volume))
    peak = max(float(mixed.max()), -float(mixed.min()))
    return Sound(mixed / np.float32(max(peak, 1.0)), sound.rate_hz)


def _add_own(mixed: NDArray[np.float32], rate_hz: int, source: Source, window: Window, volume: np.float32) -> None:
    av = pyav()
    with opened(source) as container:
        stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
        if stream is None:
            raise InputError("The video has no sound of its own: set own_sound to 0.")
        resampler = av.AudioResampler(format="fltp", layout=layout_of(len(mixed)), rate=rate_hz)
        begin: int | None = None
        written = 0
        for frame in chain(container.decode(stream), (None,)):
            if begin is None and frame is not None:
                shown_s = float((frame.pts or 0) * frame.time_base) if frame.time_base else 0.0
                begin = round((shown_s - window.start_s) * rate_hz)
            for part in resampler.resample(frame):
                values = part.to_ndarray()
                place = (begin or 0) + written
                written += values.shape[1]
                _add(mixed, values, place, volume)


def _add(mixed: NDArray[np.float32], values: NDArray[np.float32], place: int, volume: np.float32) -> None:
    """Add what lies inside."""
    first, last = max(place, 0), min(place + values.shape[1], mixed.shape[1])
    if first < last:
        mixed[:, first:last] += volume * values[:, first - place : last - place]
