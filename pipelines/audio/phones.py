"""The sounds of speech by an English acoustic model: freely, or along a text that is known."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .ear import Ear
from .english_model import INSTALL, english_model
from .envelope import HOP, loudness_db, opening_of, silence_db
from .following import Follower
from .heard import ARPABET, Heard
from .progress import Watch
from .request import Request
from .speech import Speech
from .story import Story
from .visemes import OPENNESS
from .windows import windows

OPEN = np.array([OPENNESS[name] for name in ARPABET], np.float32)


class PhonemesListener:
    """Phones by the acoustic model of pocketsphinx: best in English, better than loudness in other languages."""

    name = "phonemes"
    title = "phonemes: the sounds of speech, best in English"
    licence = "acoustic model of CMU Sphinx, BSD-2"

    def missing(self, request: Request) -> str:
        """The package, where it is not installed."""
        return "" if find_spec("pocketsphinx") else INSTALL

    def listen(self, speech: Speech, request: Request, watch: Watch) -> Heard:
        """The phones of a speech, piece by piece; those of the transcript where it fits."""
        ear = Ear(english_model(), request.language)
        text = "" if request.language == "other" else request.transcript
        story = Story(speech.duration_s, Follower(ear.model, text))
        loudness = loudness_db(speech)
        opening = opening_of(loudness)
        sounding = loudness > silence_db(loudness)
        pieces = windows(loudness)
        bar = watch(len(pieces))
        for start, stop in pieces:
            share, likely = _hear(ear, story, speech.samples[start * HOP : stop * HOP], sounding, (start, stop))
            opening[start:stop] = share * likely + (1 - share) * opening[start:stop]
            bar.update()
        said = story.said(request)
        return Heard(speech.duration_s, tuple(story.phones), opening, story.trust, self.name, said)


def _hear(
    ear: Ear, story: Story, samples: FloatArray, sounding: NDArray[np.bool_], steps: tuple[int, int]
) -> tuple[float, FloatArray]:
    """Hear a piece, and let go of all that is large before the next: how far likely phones count, how open they are."""
    start, stop = steps
    piece = ear.hear(samples, sounding[start:stop])
    story.tell(piece, start, stop == len(sounding))
    return piece.certainty.share, np.einsum("tp,p->t", piece.probabilities, OPEN)
