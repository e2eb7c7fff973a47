"""The sounds of speech by the English acoustic model that comes with the package pocketsphinx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import MissingPackageError
from .envelope import SILENCE_DB, loudness_db, opening_of
from .heard import ARPABET, SILENCE, STEPS_HZ, Heard, Phone
from .progress import Watch
from .request import Request
from .speech import RATE_HZ, Speech
from .windows import windows

INSTALL = "the package pocketsphinx is not installed. Install it: pip install pocketsphinx"


class PhonemesListener:
    """Phones by pocketsphinx: any speech, best in English."""

    name = "phonemes"
    title = "phonemes: the sounds of speech, best in English"
    licence = "BSD-2, CMU Sphinx"

    def missing(self, request: Request) -> str:
        """The package, where it is not installed."""
        return "" if find_spec("pocketsphinx") else INSTALL

    def listen(self, speech: Speech, request: Request, watch: Watch) -> Heard:
        """Free phone decoding, piece by piece."""
        loudness = loudness_db(speech)
        pieces = windows(loudness)
        bar = watch(len(pieces))
        decoder = free_decoder()
        found = list[tuple[float, float, str]]()
        for start, stop in pieces:
            if loudness[start:stop].max() < SILENCE_DB:
                bar.update()
                continue
            samples = speech.samples[start * RATE_HZ // STEPS_HZ : stop * RATE_HZ // STEPS_HZ]
            found.extend((start_s + start / STEPS_HZ, end_s + start / STEPS_HZ, name)
                         for start_s, end_s, name in free_phones(decoder, samples))  # fmt: skip
            bar.update()
        phones = tuple(without_gaps(found, speech.duration_s))
        return Heard(speech.duration_s, phones, opening_of(loudness), 1.0, self.name)


def free_decoder() -> Any:
    """A decoder that hears phones without knowing words. Raises MissingPackageError."""
    try:
        from pocketsphinx import Decoder, get_model_path
    except ImportError as error:
        raise MissingPackageError(f"Phones cannot be heard: {INSTALL}") from error
    model = f"{get_model_path()}/en-us"
    return Decoder(
        hmm=f"{model}/en-us", allphone=f"{model}/en-us-phone.lm.bin", lm=None, dict=None, lw=1.0, loglevel="FATAL"
    )


def free_phones(decoder: Any, samples: np.ndarray) -> list[tuple[float, float, str]]:
    """(start, end, name) in seconds of the phones of one piece (N,) at 16 kHz."""
    peak = float(np.abs(samples).max())
    pcm = np.round(samples * (32000 / max(peak, 0.1))).astype("<i2")
    decoder.start_utt()
    decoder.process_raw(pcm.tobytes(), full_utt=True)
    decoder.end_utt()
    return [(s.start_frame / 100, (s.end_frame + 1) / 100, s.word) for s in decoder.seg() or ()]


def without_gaps(found: Iterable[tuple[float, float, str]], duration_s: float) -> Iterator[Phone]:
    """Phones from 0 to the end, silence where nothing was found and for what is no phone of `ARPABET`."""
    end = 0.0
    for start_s, end_s, name in found:
        stop_s = min(end_s, duration_s)
        if start_s > end + 1e-6:
            yield Phone(SILENCE, end, start_s)
        start_s = max(start_s, end)
        if stop_s > start_s + 1e-6:
            yield Phone(name if name in ARPABET else SILENCE, start_s, stop_s)
            end = stop_s
        else:
            end = max(end, start_s)
    if duration_s > end + 1e-6 or end == 0:
        yield Phone(SILENCE, end, duration_s)
