"""What the English acoustic model hears in a sound, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .cepstra import CEPSTRA, cepstra_of, with_changes
from .certainty import Certainty, Evidence
from .english_model import EnglishModel
from .heard import ARPABET, SILENCE
from .phone_loop import backward, forward, silent_share
from .phone_scores import Likelihoods, phone_scores, senone_likelihoods

#: Powers of likelihoods and of the probabilities of English: neighbouring steps tell much the same, so that sums over
#: paths would be far too sure at 1. Not critical: from 0.1 to 0.3 and from 0.5 to 1 the mouth curves of real English
#: agree with those of aligned phones within 0.01.
SOUND_SCALE, ENGLISH_SCALE = 0.15, 0.7
#: From this certainty on, and up to one minus it, the other rules are not asked.
CERTAIN = 0.98
QUIET = ARPABET.index(SILENCE)
#: Cepstral means are over steps of sound and half a second around; silence longer than that is no part of speech.
AROUND_STEPS = 50
#: How many steps of earlier pieces a mean remembers at most: the channel stays, the speaker may change.
MEAN_MEMORY_STEPS = 500


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of a sound as it is heard. probabilities: (T, P). likelihoods: of senones, empty for silence."""

    probabilities: FloatArray
    likelihoods: Likelihoods
    certainty: Certainty


class Ear:
    """The model with what it remembers from piece to piece: the mean of the cepstra and the evidence."""

    def __init__(self, model: EnglishModel, language: str) -> None:
        self.model = model
        self._evidence = Evidence(language)
        self._steps, self._sum = 0.0, np.zeros(CEPSTRA, np.float64)
        self._english = model.follows**ENGLISH_SCALE
        self._free = np.ones_like(model.follows)

    def hear(self, samples: FloatArray, sounding: NDArray[np.bool_]) -> Piece:
        """What one more piece is. samples: (N,) at 16 kHz. sounding: (T,), T = N / 160 rounded: not silent."""
        if not sounding.any():
            quiet = np.zeros((len(sounding), len(ARPABET)), np.float32)
            quiet[:, QUIET] = 1
            return Piece(quiet, (), Certainty(1.0, 1.0))
        cepstra = cepstra_of(samples)
        features = with_changes(cepstra, self._mean(cepstra, sounding))
        likelihoods, levels = senone_likelihoods(self.model, features)
        scores = phone_scores(self.model, likelihoods, SOUND_SCALE)
        certainty, probabilities = self._probable(scores, levels)
        probabilities[~sounding] = 0
        probabilities[~sounding, QUIET] = 1
        return Piece(probabilities, likelihoods, certainty)

    def _probable(self, scores: FloatArray, levels: FloatArray) -> tuple[Certainty, FloatArray]:
        """How sure it is that English is spoken, and (T, P) the probabilities of phones by that much of its rules."""
        stay = self.model.stay
        english, english_log = forward(scores, self._english, stay, QUIET)
        free, free_log = forward(scores, self._free, stay, QUIET)
        certainty = self._evidence.weigh(english_log, free_log, levels, 1 - silent_share(free, QUIET))
        share = np.float32(certainty.english)
        if share > CERTAIN:
            return certainty, backward(english, scores, self._english, stay)
        probabilities = (1 - share) * backward(free, scores, self._free, stay)
        if share > 1 - CERTAIN:
            probabilities += share * backward(english, scores, self._english, stay)
        return certainty, probabilities / probabilities.sum(1, keepdims=True)

    def _mean(self, cepstra: FloatArray, sounding: NDArray[np.bool_]) -> FloatArray:
        """(13,) of the sound so far."""
        near = np.convolve(sounding, np.ones(2 * AROUND_STEPS + 1), "same")[: len(cepstra)] > 0.5
        chosen = cepstra[near]
        kept = min(self._steps, MEAN_MEMORY_STEPS) / max(self._steps, 1.0)
        self._steps = kept * self._steps + len(chosen)
        self._sum = kept * self._sum + chosen.sum(0, dtype=np.float64)
        return (self._sum / self._steps).astype(np.float32)
