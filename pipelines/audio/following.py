"""A text that is known, followed through the pieces of a sound: which phones of it are said when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .english_model import EnglishModel
from .heard import ARPABET
from .matching import match_words
from .phone_path import Stretch
from .phone_scores import Likelihoods
from .pronunciation import pronounced
from .spelling import words_of
from .visemes import VISEME_OF_PHONE, VISEMES
from .word_graph import LOOSE_WORDS, QUIET, WordGraph, best_states, word_graph

#: Largest cost of `match_words` and least agreement of a text that is said. Texts that were said: costs up to 0.23 for
#: real and 0.41 for synthetic speech, agreement from 0.73 and 0.45; texts that were not: from 0.49, up to 0.34.
MOST_COST, LEAST_FIT = 0.45, 0.4
#: A piece says so many phones of the text at most, as a share of those that were heard in it, and some more.
MOST_SHARE, SOME_PHONES = 1.5, 40
#: Words before the place that was reached which may be said again.
BACK_WORDS = 6
#: Speech is not followed where the text has nothing for it for so long, or a phone that is not heard would last so
#: long: steps, and how probable such a phone is at most.
UNTOLD_STEPS, STRETCHED_STEPS, UNHEARD = 30, 40, 0.2
CLASSES = np.array([VISEME_OF_PHONE[name] for name in ARPABET])


@dataclass(frozen=True, eq=False)
class Followed:
    """path: phones of the text, in steps of the piece. fit: mean probability of what the mouth shows in them."""

    path: tuple[Stretch, ...]
    fit: float


class Follower:
    """The place in a text that is reached. said: how many words were found. unsayable: those in no known alphabet."""

    def __init__(self, model: EnglishModel, text: str) -> None:
        self._model = model
        self.words, self.unsayable = pronounced(words_of(text), model.dictionary)
        self.said = self._reached = self._lost_phones = 0

    def follow(self, probabilities: FloatArray, likelihoods: Likelihoods, free: Sequence[Stretch]) -> Followed | None:
        """The phones of the text in the next piece; None where it says something else.

        probabilities: (T, P) of phones. likelihoods: of senones. free: phones as they are heard without a text.
        """
        heard = [stretch.index for stretch in free if stretch.index != QUIET]
        begin, end = self._candidates(len(heard))
        if not heard or begin == end:
            return None
        match = match_words(heard, self.words[begin:end])
        found = None
        if match.cost <= MOST_COST and match.stop > match.start:
            first = max(begin + match.start - LOOSE_WORDS, 0)
            last = min(begin + match.stop + LOOSE_WORDS, len(self.words))
            found = self._aligned(first, last, probabilities, likelihoods)
        if found is None:
            self._lost_phones += len(heard)
            return None
        self._lost_phones = 0
        return Followed(tuple(_with_free(found.path, probabilities, free)), found.fit)

    def _candidates(self, heard: int) -> tuple[int, int]:
        """The words that may be said in a piece in which so many phones are heard."""
        room = MOST_SHARE * (heard + self._lost_phones) + SOME_PHONES
        end = self._reached
        while end < len(self.words) and room > 0:
            room -= len(self.words[end].ways[0])
            end += 1
        return max(self._reached - BACK_WORDS, 0), end

    def _aligned(self, first: int, last: int, probabilities: FloatArray, likelihoods: Likelihoods) -> Followed | None:
        """words[first:last] along a piece, some of them at both ends missing; None where they do not fit."""
        graph = word_graph(self._model, self.words[first:last], loose_start=True, loose_end=True)
        columns = [likelihoods[phone][:, place] for phone, place in zip(graph.phone, graph.place, strict=True)]
        states = best_states(graph, np.log(np.stack(columns, 1)), self._model.stay)
        if states is None:
            return None
        path = tuple(_stretches(graph, states))
        fit = _fit(path, probabilities)
        if fit < LEAST_FIT:
            return None
        numbers = {graph.units[unit][1] for unit in np.unique(graph.unit[states])} - {-1}
        reached = first + max(numbers) + 1
        self.said += max(reached - max(first + min(numbers), self._reached), 0)
        self._reached = max(reached, self._reached)
        return Followed(path, fit)


def _stretches(graph: WordGraph, states: NDArray[np.int64]) -> Iterator[Stretch]:
    """The occurrences of phones that states run through."""
    units = graph.unit[states]
    edges = [0, *(np.flatnonzero(np.diff(units)) + 1).tolist(), len(units)]
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        yield Stretch(graph.units[units[start]][0], start, stop)


def shown(probabilities: FloatArray) -> FloatArray:
    """(T, 14) probabilities of viseme classes from those (T, P) of phones."""
    found = np.zeros((len(VISEMES), len(probabilities)), np.float32)
    np.add.at(found, CLASSES, probabilities.T)
    return found.T


def _fit(path: Sequence[Stretch], probabilities: FloatArray) -> float:
    """Mean probability of the viseme class of the path over its steps that are no pause."""
    classes = shown(probabilities)
    parts = [classes[s.start : s.stop, CLASSES[s.index]] for s in path if s.index != QUIET]
    return float(np.concatenate(parts).mean()) if parts else 0.0


def _with_free(path: Sequence[Stretch], probabilities: FloatArray, free: Sequence[Stretch]) -> Iterator[Stretch]:
    """The path, and the freely heard phones where it has nothing for speech or a phone that cannot be heard."""
    classes = shown(probabilities)
    for stretch in path:
        steps = slice(stretch.start, stretch.stop)
        length, probable = stretch.stop - stretch.start, float(classes[steps, CLASSES[stretch.index]].mean())
        untold = stretch.index == QUIET and length >= UNTOLD_STEPS and probable < 0.5
        if untold or (length >= STRETCHED_STEPS and probable < UNHEARD):
            yield from _cut(free, stretch.start, stretch.stop)
        else:
            yield stretch


def _cut(path: Sequence[Stretch], start: int, stop: int) -> Iterator[Stretch]:
    """The part of a path between two steps."""
    for stretch in path:
        first, last = max(stretch.start, start), min(stretch.stop, stop)
        if first < last:
            yield Stretch(stretch.index, first, last)
