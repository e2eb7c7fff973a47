"""Which words of a long text are said in a piece of a sound, by the phones that were heard there freely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .heard import ARPABET
from .pronunciation import Sounds, Word
from .visemes import VISEME_OF_PHONE

#: Costs of a phone that is heard as another one: of the same viseme class, both vowels or both consonants, else; of one
#: that is missed or heard in addition.
ALIKE, SAME_KIND, UNLIKE, LEFT_OUT = 0.3, 0.7, 1.0, 0.7
#: Cost of a phone of the text in front that is not said in this piece: words are left out now and then, never many.
PASSED_OVER = 0.1


@dataclass(frozen=True)
class Match:
    """words[start:stop] are said. cost: per phone that was heard, 0 all alike to `LEFT_OUT` nothing alike."""

    start: int
    stop: int
    cost: float


def _costs() -> FloatArray:
    """(P, P) of hearing one phone as another."""
    classes = np.array([VISEME_OF_PHONE[name] for name in ARPABET])
    vowels = np.array([name[0] in "AEIOU" for name in ARPABET])
    costs = np.where(vowels[:, None] == vowels, SAME_KIND, UNLIKE)
    costs = np.where(classes[:, None] == classes, ALIKE, costs)
    np.fill_diagonal(costs, 0)
    return costs.astype(np.float32)


COSTS = _costs()


def match_words(heard: Sequence[int], words: Sequence[Word]) -> Match:
    """The run of words whose phones are most like the heard ones (edit distance with free ends of the text).

    heard: numbers of phones in `ARPABET`, without silence; at least one. words: those that may be said here, the first
    ones sooner; at least one.
    """
    sounds = [word.ways[0] for word in words]
    text, word_of = _joined(sounds)
    table = _distances(np.array(heard), text)
    stop = int(table[-1].argmin())
    start = _traced(table, np.array(heard), text, stop)
    cost = float(table[-1, stop] - PASSED_OVER * start) / len(heard)
    if stop <= start:
        return Match(0, 0, LEFT_OUT)
    first, last = int(word_of[start]), int(word_of[stop - 1])
    # a word of which only the end is heard belongs to the piece before, one of which only the beginning is, behind
    first += int(start - _begin(word_of, first) > len(sounds[first]) / 2)
    last -= int(stop - _begin(word_of, last) < len(sounds[last]) / 2)
    return Match(first, last + 1, cost) if last >= first else Match(0, 0, LEFT_OUT)


def _joined(sounds: Sequence[Sounds]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    text = np.array([phone for word in sounds for phone in word])
    return text, np.repeat(np.arange(len(sounds)), [len(word) for word in sounds])


def _begin(word_of: NDArray[np.int64], word: int) -> int:
    return int(np.searchsorted(word_of, word))


def _distances(heard: NDArray[np.int64], text: NDArray[np.int64]) -> FloatArray:
    """(H + 1, N + 1): least cost of having heard so many phones at so many phones of the text."""
    table = np.empty((len(heard) + 1, len(text) + 1), np.float32)
    table[0] = PASSED_OVER * np.arange(len(text) + 1)
    missed = LEFT_OUT * np.arange(len(text) + 1)
    for row, phone in enumerate(heard, 1):
        table[row] = table[row - 1] + LEFT_OUT
        table[row, 1:] = np.minimum(table[row, 1:], table[row - 1, :-1] + COSTS[phone, text])
        # phones of the text that nobody heard, any number in a row
        table[row] = missed + np.minimum.accumulate(table[row] - missed)
    return table


def _traced(table: FloatArray, heard: NDArray[np.int64], text: NDArray[np.int64], column: int) -> int:
    """The place in the text where the best match that ends at `column` begins."""
    row = len(heard)
    while row > 0:
        here = table[row, column] - 1e-4
        if column > 0 and table[row - 1, column - 1] + COSTS[heard[row - 1], text[column - 1]] <= here + 2e-4:
            row, column = row - 1, column - 1
        elif table[row - 1, column] + LEFT_OUT <= here + 2e-4 or column == 0:
            row -= 1
        else:
            column -= 1
    return column
