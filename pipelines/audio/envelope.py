"""How open a mouth is by loudness alone: any language, nothing but numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .heard import STEPS_HZ, Heard
from .progress import Watch
from .request import Request
from .speech import RATE_HZ, Speech

#: Samples per step, and of the window around its middle: a window of 25 ms, as recognisers of speech use.
HOP, WINDOW = RATE_HZ // STEPS_HZ, 400
#: Steps worked on at once: ten seconds.
BLOCK_STEPS = 1000
#: Vowels live here: the first formant tells how far the jaw is down (Fant, Acoustic Theory of Speech Production, 1960);
#: below lies hum, above the hiss of s and sh, which is made with closed teeth.
BAND_HZ = (200.0, 3500.0)
#: Silence: so much quieter than the loudest speech of the sound, and anyway below what 16 bits can tell well, dB.
BELOW_SPEECH_DB, SILENCE_DB = 50.0, -96.0
#: The level of speech and its background are looked for in so many seconds to both sides.
NEAR_S = 4.0
#: Loudness of speech comes and goes by 20 dB and more within NEAR_S; a range below LEAST_RANGE_DB is a steady noise or
#: a held chord and moves nothing, from FULL_RANGE_DB on everything counts.
LEAST_RANGE_DB, FULL_RANGE_DB = 8.0, 20.0


class EnvelopeListener:
    """Loudness alone: any language, no phones."""

    name = "envelope"
    title = "envelope: how loud it is, in any language"
    licence = "part of this pack"

    def missing(self, request: Request) -> str:
        """Nothing, ever."""
        return ""

    def listen(self, speech: Speech, request: Request, watch: Watch) -> Heard:
        """What loudness says of the mouth."""
        bar = watch(1)
        opening = opening_of(loudness_db(speech))
        bar.update()
        said = ("A transcript is of no use to the envelope: it was not read.",) if request.transcript.strip() else ()
        return Heard(speech.duration_s, (), opening, 0.0, self.name, said)


def steps_of(speech: Speech) -> int:
    """Steps of a speech at `STEPS_HZ`, as `Heard` counts them; step i is about the time i / 100 to (i + 1) / 100 s."""
    return max(round(speech.duration_s * STEPS_HZ), 1)


def loudness_db(speech: Speech) -> FloatArray:
    """(T,) dB against full scale at `STEPS_HZ`: power between `BAND_HZ` in 25 ms around the middle of each step."""
    steps = steps_of(speech)
    padding = (WINDOW - HOP) // 2
    window = np.hanning(WINDOW).astype(np.float32)
    frequencies = np.fft.rfftfreq(512, 1 / RATE_HZ)
    band = (frequencies >= BAND_HZ[0]) & (frequencies <= BAND_HZ[1])
    # a sine at full scale has 0 dB: its power is half, a spectrum counts one of two sides
    scale = 4 / (512 * float(np.sum(window**2)))
    power = np.empty(steps, np.float32)
    for start in range(0, steps, BLOCK_STEPS):
        stop = min(start + BLOCK_STEPS, steps)
        first, last = start * HOP - padding, (stop - 1) * HOP - padding + WINDOW
        part = speech.samples[max(first, 0) : max(last, 0)]
        part = np.pad(part, (max(-first, 0), last - max(first, 0) - len(part)))
        frames = np.lib.stride_tricks.sliding_window_view(part, WINDOW)[::HOP] * window
        spectra = np.fft.rfft(frames, 512)[:, band]
        power[start:stop] = scale * np.sum(np.abs(spectra) ** 2, axis=1)
    return as_db(power)


def as_db(power: NDArray[np.float32]) -> FloatArray:
    """10 log10 of power, not below -120."""
    return (10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)


def opening_of(loudness: FloatArray) -> FloatArray:
    """(T,) in [0, 1]: 0 closed, 1 as wide as in the loudest vowels around.

    loudness: (T,) dB as `loudness_db` gives it. Concretely the place of the loudness, lightly smoothed, between the
    background and the level of speech near it (the 10th and 95th percentile of `NEAR_S` to both sides), less where that
    range is small, nothing in silence.
    """
    silence = silence_db(loudness)
    floor, level = _near_percentiles(loudness, silence)
    span = np.maximum(level - floor, 1e-3)
    counts = np.clip((span - LEAST_RANGE_DB) / (FULL_RANGE_DB - LEAST_RANGE_DB), 0, 1)
    # the lowest third of the range is background and the ends of words
    place = np.clip(((loudness - floor) / span - 1 / 3) * 1.5, 0, 1)
    place = np.where(loudness > silence, place * counts, 0)
    width = min(7, len(place))
    kernel = np.hanning(width + 2)[1:-1]
    smooth = np.convolve(np.pad(place, (width // 2, width - 1 - width // 2), "edge"), kernel / kernel.sum(), "valid")
    return np.clip(smooth, 0, 1).astype(np.float32)


def silence_db(loudness: FloatArray) -> float:
    """Loudness (dB) up to which a sound with this course of loudness (T,) is silent."""
    return max(SILENCE_DB, float(np.percentile(loudness, 98)) - BELOW_SPEECH_DB)


def _near_percentiles(loudness: FloatArray, silence: float) -> tuple[FloatArray, FloatArray]:
    """Per step the background and the level around it: percentiles twice a second, linear in between."""
    near, every = round(NEAR_S * STEPS_HZ), STEPS_HZ // 2
    middles = np.arange(0, len(loudness), every)
    found = [np.percentile(loudness[max(m - near, 0) : m + near + 1], (10, 95)) for m in middles]
    floor, level = np.array(found, np.float32).T
    steps = np.arange(len(loudness))
    floor, level = np.interp(steps, middles, floor), np.interp(steps, middles, level)
    # the silence of a studio is no background that speech must rise above
    return np.maximum(floor, silence).astype(np.float32), level.astype(np.float32)
