"""The sounds of speech by an English acoustic model: freely, or along a text that is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .cepstra import CEPSTRA, cepstra_of, with_changes
from .certainty import LEAST_TRUST, MOST_TRUST, Certainty, Evidence
from .english_model import INSTALL, EnglishModel, english_model
from .envelope import HOP, loudness_db, opening_of, silence_db
from .heard import ARPABET, SILENCE, STEPS_HZ, Heard, Phone
from .phone_loop import phone_posteriors
from .phone_path import best_path, phones_of
from .phone_scores import Likelihoods, phone_scores, senone_likelihoods
from .progress import Watch
from .request import Request
from .speech import RATE_HZ, Speech
from .visemes import OPENNESS
from .windows import windows

#: Powers of likelihoods and of the probabilities of English: neighbouring steps tell much the same, so that sums over
#: paths would be far too sure at 1. Not critical: from 0.1 to 0.3 and from 0.5 to 1 the mouth curves of real English
#: agree with those of aligned phones within 0.01.
SOUND_SCALE, ENGLISH_SCALE = 0.15, 0.7
QUIET = ARPABET.index(SILENCE)
#: A path through probabilities of phones pays nothing for changing: the sums have paid already. No phone repeats.
CHANGES = np.where(np.eye(len(ARPABET), dtype=bool), -9.0, 0.0).astype(np.float32)
LEAST_PROBABILITY = 1e-5
#: Cepstral means are over steps of sound and half a second around; silence longer than that is no part of speech.
AROUND_STEPS = 50
#: How many steps of earlier pieces a mean remembers at most: the channel stays, the speaker may change.
MEAN_MEMORY_STEPS = 500
#: Less speech than this is none.
LEAST_SPEECH_S = 0.1
OPEN = np.array([OPENNESS[name] for name in ARPABET], np.float32)


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of a sound as it is heard. probabilities: (T, P). likelihoods: of senones. certainty: of it all."""

    probabilities: FloatArray
    likelihoods: Likelihoods
    certainty: Certainty


class PhonemesListener:
    """Phones by the acoustic model of pocketsphinx: best in English, better than loudness in other languages."""

    name = "phonemes"
    title = "phonemes: the sounds of speech, best in English"
    licence = "acoustic model of CMU Sphinx, BSD-2"

    def missing(self, request: Request) -> str:
        """The package, where it is not installed."""
        return "" if find_spec("pocketsphinx") else f"{INSTALL}."

    def listen(self, speech: Speech, request: Request, watch: Watch) -> Heard:
        """The phones of a speech, piece by piece."""
        ear = Ear(english_model(), request.language)
        loudness = loudness_db(speech)
        opening = opening_of(loudness)
        sounding = loudness > silence_db(loudness)
        pieces = windows(loudness)
        bar = watch(len(pieces))
        phones, trust = list[Phone](), list[tuple[float, float]]()
        for start, stop in pieces:
            piece = ear.hear(speech.samples[start * HOP : stop * HOP], sounding[start:stop])
            end_s = speech.duration_s if stop == len(loudness) else stop * HOP / RATE_HZ
            found = free_phones(piece, end_s - start * HOP / RATE_HZ)
            phones.extend(_later(found, start * HOP / RATE_HZ, end_s))
            share, likely = piece.certainty.share, np.einsum("tp,p->t", piece.probabilities, OPEN)
            opening[start:stop] = share * likely + (1 - share) * opening[start:stop]
            trust.append((piece.certainty.trust, 1e-6 + float((1 - piece.probabilities[:, QUIET]).sum())))
            bar.update()
        spoken_s = sum(weight for _, weight in trust) / STEPS_HZ
        mean_trust = sum(value * weight for value, weight in trust) / (spoken_s * STEPS_HZ)
        said = _said(mean_trust) if spoken_s > LEAST_SPEECH_S else "Nobody is heard to speak."
        return Heard(speech.duration_s, _joined(phones), opening, mean_trust, self.name, (said,))


class Ear:
    """The model with what it remembers from piece to piece: the mean of the cepstra and the evidence."""

    def __init__(self, model: EnglishModel, language: str) -> None:
        self._model = model
        self._evidence = Evidence(language)
        self._steps, self._sum = 0.0, np.zeros(CEPSTRA, np.float64)
        self._english = model.follows**ENGLISH_SCALE
        self._free = np.ones_like(model.follows)

    def hear(self, samples: FloatArray, sounding: NDArray[np.bool_]) -> Piece:
        """What one more piece is. samples: (N,) at 16 kHz. sounding: (T,), T = N / 160: not silent."""
        steps = len(sounding)
        if not sounding.any():
            quiet = np.zeros((steps, len(ARPABET)), np.float32)
            quiet[:, QUIET] = 1
            return Piece(quiet, (), Certainty(1.0, 1.0))
        cepstra = cepstra_of(samples)
        features = with_changes(cepstra, self._mean(cepstra, sounding))
        likelihoods, levels = senone_likelihoods(self._model, features)
        scores = phone_scores(self._model, likelihoods, SOUND_SCALE)
        english, english_log = phone_posteriors(scores, self._english, self._model.stay, QUIET)
        free, free_log = phone_posteriors(scores, self._free, self._model.stay, QUIET)
        certainty = self._evidence.weigh(english_log, free_log, levels, 1 - free[:, QUIET])
        share = np.float32(certainty.english)
        probabilities = share * english + (1 - share) * free
        probabilities[~sounding] = 0
        probabilities[~sounding, QUIET] = 1
        return Piece(probabilities, likelihoods, certainty)

    def _mean(self, cepstra: FloatArray, sounding: NDArray[np.bool_]) -> FloatArray:
        """(13,) of the sound so far."""
        near = np.convolve(sounding, np.ones(2 * AROUND_STEPS + 1), "same") > 0.5
        chosen = cepstra[near[: len(cepstra)]]
        kept = min(self._steps, MEAN_MEMORY_STEPS) / max(self._steps, 1.0)
        self._steps = kept * self._steps + len(chosen)
        self._sum = kept * self._sum + chosen.sum(0, dtype=np.float64)
        return (self._sum / self._steps).astype(np.float32)


def _said(trust: float) -> str:
    sure = (trust - LEAST_TRUST) / (MOST_TRUST - LEAST_TRUST)
    if sure > 0.7:
        return f"This is English by a natural voice: its phones are trusted to {trust:.2f}."
    what = "other than clear English by one natural voice" if sure < 0.3 else "not quite clear English"
    return f"This is {what}: its phones are trusted to {trust:.2f}, the rest goes by loudness and likely phones."


def free_phones(piece: Piece, duration_s: float) -> tuple[Phone, ...]:
    """The likeliest phones of a piece, from 0 to its end."""
    scores = np.log(np.maximum(piece.probabilities, LEAST_PROBABILITY))
    return phones_of(best_path(scores, CHANGES), piece.probabilities, duration_s)


def _later(phones: tuple[Phone, ...], start_s: float, end_s: float) -> Iterator[Phone]:
    """The phones of a piece that begins at `start_s`; the last one ends at `end_s`."""
    for index, phone in enumerate(phones):
        stop_s = end_s if index == len(phones) - 1 else start_s + phone.end_s
        yield replace(phone, start_s=start_s + phone.start_s, end_s=stop_s)


def _joined(phones: list[Phone]) -> tuple[Phone, ...]:
    """Phones without repeats where pieces meet, each beginning where the one before ends."""
    found = list[Phone]()
    for phone in phones:
        if found and found[-1].name == phone.name:
            found[-1] = replace(found[-1], end_s=phone.end_s)
        else:
            found.append(replace(phone, start_s=found[-1].end_s if found else 0.0))
    return tuple(found)
