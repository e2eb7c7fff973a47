"""What was heard so far in a sound: its phones, how far they can be trusted, and how the transcript fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..face import FloatArray
from .certainty import LEAST_TRUST, MOST_TRUST
from .ear import QUIET, Piece
from .following import CLASSES, Follower, shown
from .heard import ARPABET, STEPS_HZ, Phone
from .phone_path import best_path, phones_of
from .request import Request

#: A path through probabilities of phones pays nothing for changing: the sums have paid already. No phone repeats.
CHANGES = np.where(np.eye(len(ARPABET), dtype=bool), -9.0, 0.0).astype(np.float32)
LEAST_PROBABILITY = 1e-5
#: Agreement of a text with what is heard from which on its phones are trusted fully: what real speech reaches.
SURE_FIT = 0.7
#: Phones of a text that fits are sure to this degree even where one by itself can hardly be heard.
TOLD = 0.5
#: Less speech than this is none, s.
LEAST_SPEECH_S = 0.1
#: Places of the transcript that are named when it does not fit there.
MOST_NAMED = 3


class Story:
    """Takes the pieces of a sound in order (`tell`). phones: from 0 to the end of the last piece."""

    def __init__(self, duration_s: float, follower: Follower) -> None:
        self._duration_s = duration_s
        self._follower = follower
        self._spoken = self._trusted = 0.0
        self._unfit = list[tuple[float, float]]()
        self.phones = list[Phone]()

    @property
    def trust(self) -> float:
        """Mean over all speech; 1 where there is none."""
        return self._trusted / self._spoken if self._spoken else 1.0

    def tell(self, piece: Piece, start: int, last: bool) -> None:
        """One more piece. start: its first step. last: whether the sound ends with it."""
        free = best_path(np.log(np.maximum(piece.probabilities, LEAST_PROBABILITY)), CHANGES)
        start_s, stop_s = start / STEPS_HZ, (start + len(piece.probabilities)) / STEPS_HZ
        end_s = self._duration_s if last else stop_s
        spoken = float((1 - piece.probabilities[:, QUIET]).sum())
        followed = self._follower.follow(piece.probabilities, piece.likelihoods, free)
        trust = min(followed.fit / SURE_FIT, 1.0) if followed else piece.certainty.trust
        found = phones_of(followed.path if followed else free, piece.probabilities, end_s - start_s)
        if followed:
            found = _told(found, piece.probabilities)
        elif self._follower.words and spoken > LEAST_SPEECH_S * STEPS_HZ:
            self._unfit.append((start_s, end_s))
        self._spoken += spoken
        self._trusted += trust * spoken
        self._add(found, start_s, end_s)

    def _add(self, found: Sequence[Phone], start_s: float, end_s: float) -> None:
        """Put the phones of a piece behind the others; one that goes on across the cut stays one."""
        for index, phone in enumerate(found):
            stop_s = end_s if index == len(found) - 1 else start_s + phone.end_s
            if self.phones and self.phones[-1].name == phone.name:
                self.phones[-1] = replace(self.phones[-1], end_s=stop_s)
            else:
                begin_s = self.phones[-1].end_s if self.phones else 0.0
                self.phones.append(replace(phone, start_s=begin_s, end_s=stop_s))

    def said(self, request: Request) -> tuple[str, ...]:
        """What there is to report."""
        if self._spoken < LEAST_SPEECH_S * STEPS_HZ:
            return ("Nobody is heard to speak.",)
        return (*(() if self._follower.said else (_clear(self.trust),)), *self._transcript(request))

    def _transcript(self, request: Request) -> list[str]:
        follower = self._follower
        if not request.transcript.strip():
            return []
        if request.language == "other":
            return ["The transcript was not read: only English can be followed."]
        lines = list[str]()
        if follower.unsayable:
            lines.append(f"Not in Latin letters and left out: {_some(follower.unsayable)}.")
        if not follower.words:
            return [*lines, "The transcript has no words that can be said: heard without it."]
        if not follower.said:
            begin = _some([word.text for word in follower.words])
            return [*lines, f"The transcript does not fit the sound ({begin}): heard without it."]
        count = len(follower.words)
        lines.append(f"Followed the transcript ({follower.said} of {count} words): trusted to {self.trust:.2f}.")
        spans = _joined(self._unfit)
        if spans:
            named = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in spans[:MOST_NAMED])
            more = f" and {len(spans) - MOST_NAMED} more places" if len(spans) > MOST_NAMED else ""
            lines.append(f"The transcript does not fit at {named}{more}: heard freely there.")
        return lines


def _clear(trust: float) -> str:
    sure = (trust - LEAST_TRUST) / (MOST_TRUST - LEAST_TRUST)
    if sure > 0.7:
        return f"This is English by a natural voice: its phones are trusted to {trust:.2f}."
    what = "other than clear English by one natural voice" if sure < 0.3 else "not quite clear English"
    return f"This is {what}: its phones are trusted to {trust:.2f}, the rest goes by loudness and likely phones."


def _told(phones: Sequence[Phone], probabilities: FloatArray) -> tuple[Phone, ...]:
    """Phones of a text with the trust that they have because they are told."""
    classes, found = shown(probabilities), list[Phone]()
    for phone in phones:
        steps = slice(round(phone.start_s * STEPS_HZ), max(round(phone.end_s * STEPS_HZ), 1))
        probable = float(classes[steps, CLASSES[ARPABET.index(phone.name)]].mean())
        found.append(replace(phone, trust=TOLD + (1 - TOLD) * min(2 * probable, 1.0)))
    return tuple(found)


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found = list[tuple[float, float]]()
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _some(words: Sequence[str]) -> str:
    shown_words = " ".join(words[:6])
    return f"'{shown_words}{' ...' if len(words) > 6 else ''}'"
