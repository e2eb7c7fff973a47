"""Sounds for the tests: two short clips of real speech with the times of their phones, and made-up ones."""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.pipelines.audio.heard import ARPABET, SILENCE, Heard, Phone
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.audio.visemes import opening_curve

FIXTURES = Path(__file__).parent / "fixtures"
CLIPS = ("sense_0880", "sense_0930")
#: The aligner tells the middle of a window of 410 samples as if the window were a step of 160, s.
EARLY_S = 125 / RATE_HZ


@dataclass(frozen=True)
class Clip:
    """Real speech: how it sounds, its words, its phones as an aligner that knows the words found them."""

    speech: Speech
    words: str
    phones: tuple[Phone, ...]

    @property
    def truth(self) -> Heard:
        """The phones at full trust."""
        steps = round(self.speech.duration_s * 100)
        return Heard(self.speech.duration_s, self.phones, np.zeros(steps, np.float32), 1.0, "truth")


def clip(name: str) -> Clip:
    """A clip of `CLIPS`."""
    with wave.open(str(FIXTURES / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    record = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    named = [(start, end, phone if phone in ARPABET else SILENCE) for start, end, phone in record["phones"]]
    edges = [0.0, *(start + EARLY_S for start, _, _ in named[1:]), len(samples) / RATE_HZ]
    phones = tuple(Phone(name, *span) for (_, _, name), *span in zip(named, edges[:-1], edges[1:], strict=True))
    return Clip(Speech(samples), record["words"], phones)


def tone(rate_hz: int, seconds: float, pitch_hz: float = 440.0, size: float = 0.5) -> NDArray[np.float32]:
    """(N,) a sine."""
    return (size * np.sin(2 * np.pi * pitch_hz * np.arange(round(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def agreement(heard: Heard, truth: Heard) -> float:
    """Correlation of two opening curves at 25 frames per second."""
    first, second = (frames(opening_curve(one)) for one in (heard, truth))
    return float(np.corrcoef(first, second)[0, 1])


def frames(curve: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over the four steps of each frame at 25 per second."""
    return curve[: len(curve) // 4 * 4].reshape(-1, 4).mean(1)


def music(seconds: float = 8.0) -> NDArray[np.float32]:
    """(N,) at 16 kHz: a band plays, eight chords and a tune in four bars over a drum, two beats a second."""
    random = np.random.default_rng(7)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = np.zeros(len(time))
    chords = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
    tune = (440.0, 493.9, 554.4, 587.3, 659.3, 587.3, 554.4, 493.9)
    for beat in range(int(2 * seconds)):
        since = time - beat / 2
        heard = (since >= 0) & (since < 0.5)
        fading = np.where(heard, np.exp(-3 * since) * np.minimum(100 * since, 1), 0)
        for pitch_hz in (*chords[beat // 4 % 4], tune[beat % 8]):
            overtones = sum(np.sin(2 * np.pi * pitch_hz * n * since) / n**1.2 for n in range(1, 8))
            sound += 0.5 * fading * overtones
        sound += np.where(heard, np.exp(-50 * np.clip(since, 0, 1)), 0) * random.standard_normal(len(time))
    return (0.6 * sound / np.abs(sound).max()).astype(np.float32)
