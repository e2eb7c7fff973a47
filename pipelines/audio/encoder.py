"""Hearing with ComfyUI's audio encoders: the features of wav2vec2 or whisper, read by a speech head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .ear import QUIET
from .encoder_features import EncoderFeatures
from .english_model import INSTALL, english_model
from .envelope import loudness_db, opening_of, silence_db
from .following import Follower
from .heard import Heard
from .phone_path import Stretch, best_path
from .progress import Watch
from .request import Request
from .speech import Speech
from .speech_head import SpeechHead, mean_trust, phones_along
from .story import LEAST_PROBABILITY, TOLD
from .windows import windows

#: Weights ids of files for ComfyUI's Load Audio Encoder, for hosts that list what is known; any other encoder of the
#: kinds in `GRIDS` does too, with a head that was trained for it.
ENCODER_FILES = ("wav2vec2_base_960h",)
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
        """The head's phones, or those of the transcript where it fits.

        Each counts as the head is sure of it, all of them less where it is hardly ever.
        """
        encoded: EncodedSpeech = request.features
        head, loudness = encoded.head, loudness_db(speech)
        logs = head.step_logs(speech, encoded.features, long_quiet(loudness), watch)
        path, told = _along_text(head, logs, windows(loudness), request)
        phones = phones_along(path or best_path(logs, head.follows), logs, speech.duration_s)
        if path:
            phones = tuple(replace(phone, trust=TOLD + (1 - TOLD) * phone.trust) for phone in phones)
        sure = mean_trust(phones)
        said = (f"Speech head for {head.card.describe()}.", f"It is sure of its sounds to {sure:.0%}.", *told)
        return Heard(speech.duration_s, phones, opening_of(loudness), min(sure / SURE, 1.0), self.name, said)


def _along_text(
    head: SpeechHead, logs: FloatArray, pieces: Sequence[tuple[int, int]], request: Request
) -> tuple[tuple[Stretch, ...], list[str]]:
    """The path of the transcript through log-probabilities, () where it fits nowhere, and what there is to say.

    Where it does not fit a piece of the sound, the path is that of what is heard.
    """
    if not request.transcript.strip():
        return (), []
    if request.language == "other" or find_spec("pocketsphinx") is None:
        why = "only English can be followed" if request.language == "other" else INSTALL
        return (), [f"The transcript was not read: {why}."]
    model = english_model()
    follower, path, unfit = Follower(model, request.transcript), list[Stretch](), 0
    senones = [phone.weights[0].shape[1] for phone in model.phones]
    for start, stop in pieces:
        part = np.exp(logs[start:stop])
        free = best_path(logs[start:stop], head.follows)
        likely = np.maximum(part, LEAST_PROBABILITY)
        likelihoods = tuple(np.repeat(likely[:, [index]], count, 1) for index, count in enumerate(senones))
        followed = follower.follow(part, likelihoods, free)
        unfit += followed is None and any(stretch.index != QUIET for stretch in free)
        chosen = followed.path if followed else free
        path += [Stretch(one.index, one.start + start, one.stop + start) for one in chosen]
    if not follower.said:
        return (), [
            "The transcript does not fit the sound as the head hears it: heard without it. The backend phonemes may "
            "follow it."
        ]
    said = f"Followed the transcript ({follower.said} of {len(follower.words)} words)."
    return tuple(path), [said, *([f"It does not fit in {unfit} of {len(pieces)} pieces."] if unfit else [])]


def long_quiet(loudness: FloatArray) -> NDArray[np.bool_]:
    """(T,) where nothing is louder than `silence_db` for at least `PAUSE_STEPS`, or in all of a shorter sound.

    loudness: (T,) dB as `loudness_db` gives it.
    """
    edges = np.diff(np.concatenate([[0], (loudness <= silence_db(loudness)).astype(np.int8), [0]]))
    found = np.zeros(len(loudness), bool)
    for start, stop in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
        found[start:stop] = stop - start >= min(PAUSE_STEPS, len(loudness))
    return found
