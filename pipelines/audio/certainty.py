"""How sure a free row of phones is: is this English, and is it a voice as people have it?

What was compared to choose the numbers: clips of real English (LibriVox, the source package of pocketsphinx, examples
of SpeechRecognition), also with noise and in a telephone's band; French and Chinese speech; voices of espeak-ng in six
languages; two people at once; music and noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..face import FloatArray

#: What paths under English rules explain less than paths under none, per step of speech, as a logarithm: clips of real
#: English -0.26 to -0.36, French -0.40, Chinese -0.44, two people at once -0.41, synthetic voices -0.34 to -0.45.
ENGLISH_AT, ENGLISH_WIDTH = -0.37, 0.012
#: Mean level of the best densities in steps of speech: real voices -140 to -123, synthetic ones -164 to -148.
VOICE_AT, VOICE_WIDTH = -144.0, 2.0
#: Evidence of earlier pieces counts as much as so many steps at most: people take turns in languages, too.
MEMORY_STEPS = 3000
#: Trust in phones that are certainly English of a real voice, and in those that are certainly not.
MOST_TRUST, LEAST_TRUST = 1.0, 0.44
#: Share of the likely phones against loudness in `Heard.opening`, at that least trust.
LEAST_SHARE = 0.6


@dataclass(frozen=True)
class Certainty:
    """english, voice: 0 to 1, how sure it is that English is spoken and that a real voice speaks."""

    english: float
    voice: float

    @property
    def trust(self) -> float:
        """How far phones count against `Heard.opening`."""
        return LEAST_TRUST + (MOST_TRUST - LEAST_TRUST) * self.english * self.voice

    @property
    def share(self) -> float:
        """How far likely phones count against loudness in `Heard.opening`."""
        return LEAST_SHARE + (1 - LEAST_SHARE) * self.english * self.voice


class Evidence:
    """What the pieces of a sound have shown so far; `weigh` them in order."""

    def __init__(self, language: str) -> None:
        """language: of `LANGUAGES`; a language that was told is not doubted."""
        self._language = language
        self._steps = self._gain = self._level = 0.0

    def weigh(self, english_log: float, free_log: float, levels: FloatArray, speaking: FloatArray) -> Certainty:
        """What is sure with one more piece.

        english_log, free_log: sums over all paths under English rules and under none. levels: (T,) of
        `senone_likelihoods`. speaking: (T,) probability that somebody speaks.
        """
        steps = float(speaking.sum())
        kept = min(self._steps, MEMORY_STEPS) / max(self._steps, 1.0)
        self._steps = kept * self._steps + steps
        self._gain = kept * self._gain + english_log - free_log
        self._level = kept * self._level + float(np.dot(levels, speaking))
        if self._steps < 1:
            return Certainty(1.0, 1.0)
        english = _sigmoid((self._gain / self._steps - ENGLISH_AT) / ENGLISH_WIDTH)
        voice = _sigmoid((self._level / self._steps - VOICE_AT) / VOICE_WIDTH)
        told = {"en": 1.0, "other": 0.0}.get(self._language)
        return Certainty(english if told is None else told, voice)


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(x, -40, 40))))
