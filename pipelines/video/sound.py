"""New sound for a video: speech, dubbing, a whole mix; encoded once, where the source's own would be copied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .pixels import pyav

#: Channels -> what AAC calls them.
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
#: The rates AAC knows; others are brought to 48 kHz.
_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_USUAL_RATE_HZ = 48000
#: Bits per second and channel: transparent for speech and music.
_BIT_RATE = 128_000
#: Samples that are handed to the encoder at a time.
_PART = 65536


def layout_of(channels: int) -> str:
    """What FFmpeg calls a sound with so many channels: 1, 2, 6 (5.1) or 8 (7.1)."""
    return _LAYOUTS[channels]


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound that replaces a video's own and begins with its first frame.

    waveform: (channels, samples) float in [-1, 1]; 1, 2, 6 (5.1) or 8 (7.1) channels. rate_hz: samples per second.
    What is longer than the picture is cut off, what is shorter ends earlier. Raises InputError for anything else.
    """

    waveform: NDArray[np.float32]
    rate_hz: int

    def __post_init__(self) -> None:
        shape = self.waveform.shape
        if len(shape) != 2 or shape[0] not in _LAYOUTS or shape[1] == 0:
            raise InputError(
                f"The new sound has the shape {shape}; it must be (channels, samples) with 1, 2, 6 or 8 channels and "
                "at least one sample."
            )
        if self.rate_hz <= 0:
            raise InputError(f"The new sound has {self.rate_hz} samples per second; it must have more than none.")
        if not np.isfinite(self.waveform).all():
            raise InputError("The new sound has samples that are NaN or infinite: the step that made it has failed.")

    @property
    def seconds(self) -> float:
        return self.waveform.shape[1] / self.rate_hz

    def fingerprint(self) -> str:
        """What tells it from any other."""
        values = hashlib.sha256(np.ascontiguousarray(self.waveform).view(np.uint8).data).hexdigest()
        return f"{values} {self.waveform.shape} {self.rate_hz}"

    def coded_rate_hz(self) -> int:
        """The rate it is encoded at."""
        return self.rate_hz if self.rate_hz in _RATES_HZ else _USUAL_RATE_HZ

    def packets(self, output: Any, seconds: float) -> Iterator[tuple[float, Any]]:
        """(time in s, packet) of the first `seconds` as AAC, in order; adds the stream to `output` at once."""
        stream = output.add_stream("aac", rate=self.coded_rate_hz(), layout=_LAYOUTS[len(self.waveform)])
        stream.codec_context.bit_rate = _BIT_RATE * len(self.waveform)
        return self._encoded(stream, seconds)

    def _encoded(self, stream: Any, seconds: float) -> Iterator[tuple[float, Any]]:
        for frame in [*self._frames(stream, seconds), None]:
            for packet in stream.encode(frame):
                yield float((packet.pts or 0) * packet.time_base), packet

    def _frames(self, stream: Any, seconds: float) -> Iterator[Any]:
        """The samples as frames of the encoder's length, format and rate."""
        av, context = pyav(), stream.codec_context
        resampler = av.AudioResampler(format="fltp", layout=context.layout.name, rate=context.sample_rate)
        fifo = av.AudioFifo()
        length = min(self.waveform.shape[1], round(seconds * self.rate_hz))
        for start in range(0, length, _PART):
            part = np.ascontiguousarray(self.waveform[:, start : min(start + _PART, length)], np.float32)
            frame = av.AudioFrame.from_ndarray(part.clip(-1, 1), format="fltp", layout=context.layout.name)
            frame.sample_rate, frame.pts, frame.time_base = self.rate_hz, start, Fraction(1, self.rate_hz)
            for whole in resampler.resample(frame):
                fifo.write(whole)
            yield from fifo.read_many(context.frame_size or 1024)
        for rest in resampler.resample(None):
            fifo.write(rest)
        yield from fifo.read_many(context.frame_size or 1024, partial=True)
