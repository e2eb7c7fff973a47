"""A speech as the lips hear it: for each frame of a video the features around its time, at any length."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..audio.speech import RATE_HZ, Speech
from ..registry import Handle, Runtime
from .whisper import FEATURES_HZ, WINDOW_FEATURES

#: Features of a frame: this many from so many before its time. Of 50 a second, 80 ms before it to 120 ms after.
WINDOW, LEAD = 10, 4
#: Windows of the encoder overlap by twice this many features, so that each of theirs has heard 2 s to either side.
CONTEXT = 100
_STEP = WINDOW_FEATURES - 2 * CONTEXT
#: Windows that stay in memory, 11.5 MB each.
_REMEMBERED = 2
#: A time this close below a feature's is that feature's.
_ROUNDING = 1e-6
ACTIVATION_BYTES = 120_000_000


def window_starts(times_s: Sequence[float], lead: int = LEAD) -> NDArray[np.int64]:
    """The first feature of each frame's window, negative before the sound begins. times_s: when the frames show."""
    at = np.floor(np.asarray(times_s, np.float64) * FEATURES_HZ + _ROUNDING)
    return at.astype(np.int64) - lead


def windows_of(features: Tensor, starts: NDArray[np.int64], first: int = 0) -> Tensor:
    """The windows that begin at `starts`: (n, 10, layers, width); zeros where there are no features.

    features: (T, layers, width). first: the number of the first of them.
    """
    picked = torch.from_numpy(starts)[:, None] + torch.arange(WINDOW) - first
    inside = (picked >= 0) & (picked < len(features))
    found = features[picked.clamp(0, max(len(features) - 1, 0))] if len(features) else features.new_zeros(())
    return torch.where(inside[..., None, None], found, 0)


def positions(count: int, width: int) -> Tensor:
    """(count, width): sines (even channels) and cosines (odd) of the position / 10000^(2 i / width)."""
    frequencies = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(count)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


def sound_tokens(windows: Tensor) -> Tensor:
    """Windows (n, 10, layers, width) as the network reads them: (n, 10 · layers, width), positions added."""
    tokens = windows.flatten(1, 2)
    return tokens + positions(*tokens.shape[1:]).to(tokens)


class Hearing:
    """The features of one speech, made as they are asked for; memory does not grow with its length.

    encoder: a shared `WhisperEncoder`. Sound up to 30 s is heard at once, as published; longer sound in windows of 30 s
    that overlap by 4 s, of which the inner parts count.
    """

    def __init__(self, speech: Speech, encoder: Handle, runtime: Runtime) -> None:
        self._samples = speech.samples
        self._encoder, self._runtime = encoder, runtime
        self._heard: OrderedDict[int, Tensor] = OrderedDict()
        #: How many features there are.
        self.length = len(speech.samples) * FEATURES_HZ // RATE_HZ

    def around(self, times_s: Sequence[float]) -> Tensor:
        """(n, 10, layers, width) float32 on the CPU: the windows of frames that show at these times."""
        return torch.stack([self._window(int(start)) for start in window_starts(times_s)])

    def _window(self, start: int) -> Tensor:
        """One frame's window, which may lie over the border of two windows of the encoder."""
        parts = {self._number(at) for at in (max(start, 0), max(start + WINDOW - 1, 0))}
        out: Tensor | None = None
        for number in sorted(parts):
            piece = windows_of(self._inner(number), np.array([start]), self._first(number))[0]
            out = piece if out is None else out + piece
        assert out is not None
        return out

    def _number(self, feature: int) -> int:
        """Which window of the encoder counts for a feature."""
        last = max(0, math.ceil((self.length - WINDOW_FEATURES) / _STEP))
        return min(max(feature - CONTEXT, 0) // _STEP, last)

    def _first(self, number: int) -> int:
        """The first feature that counts of a window."""
        return number * _STEP + (CONTEXT if number else 0)

    def _inner(self, number: int) -> Tensor:
        """The features of a window that count, up to where those of the next begin."""
        if number not in self._heard:
            self._heard[number] = self._hear(number)
            while len(self._heard) > _REMEMBERED:
                self._heard.popitem(last=False)
        self._heard.move_to_end(number)
        return self._heard[number]

    def _hear(self, number: int) -> Tensor:
        begin = number * _STEP
        rate = RATE_HZ // FEATURES_HZ
        samples = torch.from_numpy(self._samples[begin * rate : (begin + WINDOW_FEATURES) * rate])
        self._runtime.ready(self._encoder, ACTIVATION_BYTES)
        with torch.no_grad():
            features = self._encoder.module.hear(samples.to(self._encoder.device)).float().cpu()
        last = begin + WINDOW_FEATURES >= self.length
        end = self.length - begin if last else WINDOW_FEATURES - CONTEXT
        return features[self._first(number) - begin : end].clone()
