"""Hearing with ComfyUI's audio encoders: the features of wav2vec2 or whisper, read by a speech head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .encoder_features import EncoderFeatures
from .envelope import loudness_db, opening_of, silence_db
from .heard import Heard
from .progress import Watch
from .request import Request
from .speech import Speech
from .speech_head import SpeechHead, mean_trust

#: Steps of 10 ms: a quiet stretch of this length is a pause, a shorter one may be the closed lips of a p.
PAUSE_STEPS = 20
#: Mean probability of a head's phones from which on loudness has no say beyond what each phone leaves to it.
SURE = 0.4


@dataclass(frozen=True, eq=False)
class EncodedSpeech:
    """What `Request.features` holds. head: reads the features. features: of the whole sound; None where the head has
    an encoder of its own, which then hears it piece by piece.
    """

    head: SpeechHead
    features: EncoderFeatures | None = None


class EncoderListener:
    """Phones by an audio encoder and a head that was trained for it."""

    name = "encoder"
    title = "encoder: a speech head on ComfyUI's audio encoder"
    licence = "that of the encoder, and of the speech the head was trained on"

    def missing(self, request: Request) -> str:
        """A speech head, where none is connected."""
        if request.features is not None:
            return ""
        return "no speech head is connected. Load Speech Head reads one, tools/train_speech_head.py trains one"

    def listen(self, speech: Speech, request: Request, watch: Watch) -> Heard:
        """The head's phones; each counts as the head is sure of it, all of them less where it is hardly ever."""
        encoded: EncodedSpeech = request.features
        head = encoded.head
        loudness = loudness_db(speech)
        phones = head.phones(speech, encoded.features, long_quiet(loudness), watch)
        sure = mean_trust(phones)
        said = [f"Speech head for {head.card.describe()}.", f"It is sure of its sounds to {sure:.0%}."]
        if request.transcript.strip():
            said.append("The transcript is of no use to the encoder, which hears without it: it was not read.")
        trust = min(sure / SURE, 1.0)
        return Heard(speech.duration_s, phones, opening_of(loudness), trust, self.name, tuple(said))


def long_quiet(loudness: FloatArray) -> NDArray[np.bool_]:
    """(T,) where nothing is louder than `silence_db` for at least `PAUSE_STEPS`, or in all of a shorter sound.

    loudness: (T,) dB as `loudness_db` gives it.
    """
    edges = np.diff(np.concatenate([[0], (loudness <= silence_db(loudness)).astype(np.int8), [0]]))
    found = np.zeros(len(loudness), bool)
    for start, stop in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
        found[start:stop] = stop - start >= min(PAUSE_STEPS, len(loudness))
    return found
