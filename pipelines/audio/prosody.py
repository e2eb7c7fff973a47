"""How a speech is said: its pauses, its stressed syllables, how high and loud it is against the speaker's usual.

What is usual for the speaker is a mean over the last seconds, so that the beginning of a recording does not change when
more is said later, and so that a level that drifts over hours does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray, as_float_array
from .heard import SILENCE, STEPS_HZ, Heard
from .pitch import pitch_hz, power_db
from .speech import Speech

VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())

#: Seconds over which the speaker's usual pitch and loudness are averaged; voiced seconds that make a first idea.
_MEMORY_S, _FIRST_S = 8.0, 0.5

#: A voice varies by about this much around its mean (Traunmüller and Eriksson 1995: 2 to 4 semitones).
_USUAL_RANGE = 3.0

#: A pause is at least this long; sound so far below the speaker's level is one (the closures of p, t, k are shorter).
PAUSE_S, _PAUSE_DB = 0.16, 15.0

#: Syllables that are told apart by loudness alone: how far below the level one may peak, the dip and the time between.
_SYLLABLE_DB, _DIP_DB, _APART_S = 12.0, 2.0, 0.11


@dataclass(frozen=True)
class Syllable:
    """One syllable. at_s: the middle of its vowel. stress: 0 to 1."""

    at_s: float
    stress: float


@dataclass(frozen=True, eq=False)
class Prosody:
    """How a speech is said, at `STEPS_HZ` steps.

    loud_db: (T,) loudness against the speaker's usual when a voice sounds. semitones: (T,) pitch against the speaker's
    usual, held over what is unvoiced. voiced: (T,) whether a voice sounds. level_db, level_hz: (T,) that usual.
    syllables, pauses (start, end in seconds): in order.
    """

    loud_db: FloatArray
    semitones: FloatArray
    voiced: NDArray[np.bool_]
    level_db: FloatArray
    level_hz: FloatArray
    syllables: tuple[Syllable, ...]
    pauses: tuple[tuple[float, float], ...]

    @property
    def duration_s(self) -> float:
        """How long the speech is."""
        return len(self.loud_db) / STEPS_HZ

    @property
    def rate_hz(self) -> float:
        """Syllables per second of speech, pauses left out; 0 when nothing is said."""
        said = self.duration_s - sum(end - start for start, end in self.pauses)
        return len(self.syllables) / said if said > 0.1 else 0.0


def prosody_of(speech: Speech, heard: Heard) -> Prosody:
    """Measure how a speech is said; syllables and pauses are those of the phones where phones are trusted.

    Time and memory grow with the length and no faster.
    """
    loud, (pitch, _) = power_db(speech), pitch_hz(speech)
    voiced = pitch > 0
    level_db = _usual(loud, voiced)
    semitones = np.where(voiced, 12 * np.log2(np.where(voiced, pitch, 1.0)), 0.0)
    level = _usual(as_float_array(semitones), voiced)
    above = as_float_array(_held(np.where(voiced, semitones - level, 0.0), voiced))
    phones = heard.trust >= 0.3 and len(heard.phones) > 0
    relative = as_float_array(loud - level_db)
    pauses = _silent_phones(heard) if phones else _quiet(relative, voiced)
    vowels = _vowels(heard) if phones else _peaks(relative, voiced)
    return Prosody(
        loud_db=relative,
        semitones=above,
        voiced=voiced,
        level_db=level_db,
        level_hz=as_float_array(2 ** (level / 12)),
        syllables=tuple(_stressed(start, end, relative, above) for start, end in vowels),
        pauses=pauses,
    )


def smoothed(values: FloatArray, seconds: float) -> FloatArray:
    """(T,) averaged with a Gaussian bell of this standard deviation at `STEPS_HZ`; the ends keep their value."""
    sigma = seconds * STEPS_HZ
    reach = max(int(np.ceil(3 * sigma)), 1)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return as_float_array(np.convolve(np.pad(values, reach, mode="edge"), bell / bell.sum(), "valid"))


def _usual(values: FloatArray, counts: NDArray[np.bool_]) -> FloatArray:
    """(T,) the mean over the last seconds of what counts; before there is enough of it, the first mean there is."""
    starts = np.arange(0, len(values), STEPS_HZ)
    sums = np.add.reduceat(np.where(counts, values, 0.0), starts)
    numbers = np.add.reduceat(counts.astype(np.float64), starts)
    fade = np.exp(-1 / _MEMORY_S)
    total, weight = 0.0, 0.0
    means = np.full(len(starts), np.nan)
    for second, (value, number) in enumerate(zip(sums, numbers, strict=True)):
        total, weight = total * fade + value, weight * fade + number
        if weight >= _FIRST_S * STEPS_HZ * fade**20:
            means[second] = total / weight
    known = np.flatnonzero(~np.isnan(means))
    if not len(known):
        return np.full(len(values), float(values[counts].mean() if counts.any() else values.max()), np.float32)
    middles = starts + STEPS_HZ / 2
    return as_float_array(np.interp(np.arange(len(values)), middles[known], means[known]))


def _held(values: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values interpolated over what is unvoiced, 0 long before and after any voice."""
    known = np.flatnonzero(voiced)
    if not len(known):
        return np.zeros(len(values))
    steps = np.arange(len(values))
    nearest = np.minimum(
        np.abs(steps - known[np.clip(np.searchsorted(known, steps) - 1, 0, None)]),
        np.abs(known[np.minimum(np.searchsorted(known, steps), len(known) - 1)] - steps),
    )
    fading = np.clip(1 - (nearest / STEPS_HZ - 0.2) / 0.4, 0, 1)
    return np.interp(steps, known, values[known]) * fading


def _vowels(heard: Heard) -> list[tuple[float, float]]:
    return [(phone.start_s, phone.end_s) for phone in heard.phones if phone.name in VOWELS]


def _silent_phones(heard: Heard) -> tuple[tuple[float, float], ...]:
    """Pauses: silent phones that follow each other count as one."""
    joined: list[tuple[float, float]] = []
    for phone in heard.phones:
        if phone.name != SILENCE:
            continue
        if joined and abs(joined[-1][1] - phone.start_s) < 1e-6:
            joined[-1] = (joined[-1][0], phone.end_s)
        else:
            joined.append((phone.start_s, phone.end_s))
    return tuple(pause for pause in joined if pause[1] - pause[0] >= PAUSE_S)


def _quiet(loud: FloatArray, voiced: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """Pauses by loudness: where nothing comes near the speaker's level; everything when no voice sounds."""
    quiet = (smoothed(loud, 0.02) < -_PAUSE_DB) if voiced.any() else np.ones(len(loud), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    spans = [(int(a) / STEPS_HZ, int(b) / STEPS_HZ) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return tuple(span for span in spans if span[1] - span[0] >= PAUSE_S)


def _peaks(loud: FloatArray, voiced: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Syllables by loudness alone: voiced peaks that rise by a few dB from the dips on both sides."""
    curve = smoothed(loud, 0.03)
    inner = np.flatnonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:])) + 1
    found: list[int] = []
    for peak in inner:
        if not voiced[peak] or curve[peak] < -_SYLLABLE_DB:
            continue
        if found and peak - found[-1] < _APART_S * STEPS_HZ * 3:
            dip = curve[found[-1] : peak].min()
            if peak - found[-1] < _APART_S * STEPS_HZ or min(curve[peak], curve[found[-1]]) - dip < _DIP_DB:
                found[-1] = int(max((found[-1], int(peak)), key=lambda at: float(curve[at])))
                continue
        found.append(int(peak))
    return [((at - 4) / STEPS_HZ, (at + 5) / STEPS_HZ) for at in found]


def _stressed(start: float, end: float, loud: FloatArray, semitones: FloatArray) -> Syllable:
    """A vowel with its stress: louder, higher and longer than usual (Fry 1958 gives them in the order of effect)."""
    first = min(max(int(start * STEPS_HZ), 0), len(loud) - 1)
    part = slice(first, max(int(np.ceil(end * STEPS_HZ)), first + 1))
    louder, higher = float(loud[part].max()) / 5, float(semitones[part].mean()) / _USUAL_RANGE
    longer = float(np.log2(max(end - start, 0.02) / 0.09))
    score = 0.9 * higher + 0.7 * louder + 0.7 * longer - 0.9
    return Syllable((start + end) / 2, float(1 / (1 + np.exp(-score))))
