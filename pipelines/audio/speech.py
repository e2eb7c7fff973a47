"""`Speech`: a sound as the analysis takes it, one channel at 16 kHz, whatever it was before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .resample import Resampler

#: What every recogniser of speech takes.
RATE_HZ = 16_000
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000

#: Samples of one channel that are looked at together; what is needed besides the result stays below some 20 MB.
BLOCK = 1 << 18
#: Speech of films lies in the centre channel, the front pair carries what spills over, music and effects; so the centre
#: counts fully, left and right a quarter each, low frequencies and surround not at all. Number of channels -> weights,
#: in the channel order of WAV and FFmpeg: FL FR FC LFE, then the back and the sides.
CENTRED = {
    3: (0.25, 0.25, 1.0),
    5: (0.25, 0.25, 1.0, 0.0, 0.0),
    6: (0.25, 0.25, 1.0, 0.0, 0.0, 0.0),
    7: (0.25, 0.25, 1.0, 0.0, 0.0, 0.0, 0.0),
    8: (0.25, 0.25, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
#: A centre, or a mix, with less than this share of the loudest channel's power is empty: -20 dB.
EMPTY_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class Speech:
    """What is heard. samples: (N,) float32, one channel at `RATE_HZ`, nominally in [-1, 1]; at least one sample."""

    samples: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or len(self.samples) == 0:
            raise InputError(f"The sound has the shape {self.samples.shape}: one channel and a sample are needed.")
        # A sum is finite exactly when every sample is, and needs no second array as large as an hour of sound.
        if not np.isfinite(np.sum(self.samples, dtype=np.float64)):
            raise InputError("The sound has samples that are NaN or infinite: the step that made it has failed.")

    @property
    def duration_s(self) -> float:
        """How long it sounds."""
        return len(self.samples) / RATE_HZ


def speech_of(waveform: Tensor | NDArray[np.floating], rate_hz: int) -> Speech:
    """One channel at 16 kHz of a sound with any channels at any rate.

    waveform: (C, N) float, nominally in [-1, 1]. rate_hz: 4000 to 384000. Concretely: channels mixed by
    `channel_weights`, band-limited and resampled by `Resampler`, the mean (DC) taken off, scaled down where the peak
    is above 1 (a sound that is louder than full scale is turned down, not clipped again). Works block by block: apart
    from the result only some blocks are in memory, so hours are fine. Raises InputError for another shape, no samples,
    a rate out of range, samples that are NaN or infinite.
    """
    sound = torch.as_tensor(waveform)
    if sound.ndim != 2 or not sound.is_floating_point() or sound.shape[0] == 0:
        raise InputError(
            f"The sound has the shape {tuple(sound.shape)} and the type {sound.dtype}: floats (channels, samples) are "
            "needed. Of a batch, give one sound."
        )
    if sound.shape[1] == 0:
        raise InputError("The sound has no samples: nothing was recorded, or it was cut to nothing.")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(f"The sample rate is {rate_hz} Hz; {MIN_RATE_HZ} to {MAX_RATE_HZ} can be used.")
    weights = channel_weights(sound, rate_hz)
    resampler = Resampler(rate_hz, RATE_HZ)
    samples = np.empty(max(round(sound.shape[1] * RATE_HZ / rate_hz), 1), np.float32)
    written = 0
    for block in _blocks(sound):
        written = _write(samples, written, resampler.push(np.einsum("c,cn->n", weights, block)))
    _write(samples, written, resampler.finish())
    samples -= np.float32(np.mean(samples, dtype=np.float64))
    peak = max(float(samples.max()), -float(samples.min()))
    if peak > 1:
        samples /= np.float32(peak)
    return Speech(samples)


def channel_weights(sound: Tensor, rate_hz: int) -> NDArray[np.float32]:
    """How much of each channel is heard.

    sound: (C, N) float. Mono as it is; of layouts with a centre channel the centre and a little of the front pair
    (`CENTRED`), or the front pair alone where the centre is empty; otherwise the mean of all. Where that mix is empty
    though a channel is not (one side is the other turned upside down), the loudest channel. Raises InputError for
    samples that are NaN or infinite, with where the first one is.
    """
    count = sound.shape[0]
    weights = np.array(CENTRED.get(count, (1 / count,) * count), np.float32)
    front = np.array((0.5, 0.5, *(0.0,) * (count - 2)), np.float32) if count in CENTRED else weights
    power, mixed, start = np.zeros(count), np.zeros(2), 0
    for block in _blocks(sound):
        wide = block.astype(np.float64)
        found = np.einsum("cn,cn->c", wide, wide)
        if not np.isfinite(found).all():
            channel, sample = np.argwhere(~np.isfinite(block))[0]
            raise InputError(
                f"The sound is NaN or infinite in channel {channel + 1} at {(start + sample) / rate_hz:.3f} s: the "
                "step that made it has failed."
            )
        power += found
        mixed += [float(np.dot(mix, mix)) for mix in np.einsum("wc,cn->wn", np.stack([weights, front]), wide)]
        start += block.shape[1]
    loudest = int(power.argmax())
    if count in CENTRED and power[2] < EMPTY_SHARE * max(power[0], power[1]):
        weights, mixed = front, mixed[1:]
    if mixed[0] < EMPTY_SHARE * power[loudest]:
        weights = np.eye(count, dtype=np.float32)[loudest]
    return weights


def _blocks(sound: Tensor) -> Iterator[NDArray[np.float32]]:
    """The sound in pieces (C, up to `BLOCK` / C)."""
    size = ceil(BLOCK / sound.shape[0])
    for start in range(0, sound.shape[1], size):
        yield sound[:, start : start + size].detach().to("cpu", torch.float32).numpy()


def _write(samples: NDArray[np.float32], written: int, more: NDArray[np.float32]) -> int:
    """Put `more` behind what is written; what rounding leaves over at the end falls away."""
    fitting = more[: len(samples) - written]
    samples[written : written + len(fitting)] = fitting
    return written + len(fitting)
