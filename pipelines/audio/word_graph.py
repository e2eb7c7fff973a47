"""All ways in which some words may be said one after another, as states of the acoustic model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .english_model import STATES, EnglishModel
from .heard import ARPABET, SILENCE
from .pronunciation import Sounds, Word

QUIET = ARPABET.index(SILENCE)
#: Where a phone is in its word, as `EnglishModel.states` counts.
WITHIN, FIRST, LAST, ALONE = range(4)
#: Words at both ends of a piece that may be missing in it: where a text is cut is known to a word or two.
LOOSE_WORDS = 2


@dataclass(frozen=True, eq=False)
class WordGraph:
    """S states. phone, place: (S,) what a state is in the model: its phone, and which of its senones. unit: (S,) number
    of the phone's occurrence in `units`. before: (S, K) states from which it is entered, S where there is none. starts,
    ends: states in which the piece may begin and end. units: per occurrence its phone and the number of its word, -1
    for a pause.
    """

    phone: NDArray[np.int64]
    place: NDArray[np.int64]
    unit: NDArray[np.int64]
    before: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    units: tuple[tuple[int, int], ...]


@dataclass
class _Growing:
    """A graph under construction: lists in the place of the arrays of `WordGraph`."""

    model: EnglishModel
    phone: list[int] = field(default_factory=list[int])
    place: list[int] = field(default_factory=list[int])
    unit: list[int] = field(default_factory=list[int])
    before: list[list[int]] = field(default_factory=list[list[int]])
    units: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def chain(self, sounds: Sounds, word: int, left: int, right: int, entered_from: Sequence[int]) -> tuple[int, int]:
        """Add phones in a row; returns the first and the last state."""
        begin = len(self.phone)
        for index, phone in enumerate(sounds):
            where = ALONE if len(sounds) == 1 else FIRST if index == 0 else LAST if index == len(sounds) - 1 else WITHIN
            previous = sounds[index - 1] if index else left
            following = sounds[index + 1] if index < len(sounds) - 1 else right
            places = self.model.states[where, phone, previous, following]
            for state in range(STATES):
                here = len(self.phone)
                self.before.append([here - 1] if here > begin else list(entered_from))
                self.phone.append(phone)
                self.place.append(int(places[state]))
                self.unit.append(len(self.units))
            self.units.append((phone, word))
        return begin, len(self.phone) - 1


def word_graph(model: EnglishModel, words: Sequence[Word], loose_start: bool, loose_end: bool) -> WordGraph:
    """The graph of words in a row, each in any of its ways, a pause before, between and behind them or none.

    words: at least one. loose_start, loose_end: whether up to `LOOSE_WORDS` words may be missing there. Across words
    the neighbour of a phone is taken from the first way of the other word.
    """
    graph = _Growing(model)
    edge = min(LOOSE_WORDS, len(words) - 1)
    first_last = edge if loose_start else 0
    last_first = len(words) - 1 - (edge if loose_end else 0)
    starts, ends, reached = list[int](), list[int](), list[int]()
    opening_pause = graph.chain((QUIET,), -1, QUIET, QUIET, ())
    starts.append(opening_pause[0])
    pause_end = opening_pause[1]
    for index, word in enumerate(words):
        left = words[index - 1].ways[0][-1] if index else QUIET
        right = words[index + 1].ways[0][0] if index < len(words) - 1 else QUIET
        entered = [*reached, pause_end]
        if 0 < index <= first_last:
            entered.append(opening_pause[1])
        spans = [graph.chain(sounds, index, left, right, entered) for sounds in word.ways]
        if index <= first_last:
            starts += [begin for begin, _ in spans]
        reached = [end for _, end in spans]
        if index >= last_first:
            ends += reached
        _, pause_end = graph.chain((QUIET,), -1, QUIET, QUIET, reached)
        if index >= last_first:
            ends.append(pause_end)
    return _finished(graph, starts, ends)


def _finished(graph: _Growing, starts: list[int], ends: list[int]) -> WordGraph:
    count = len(graph.phone)
    width = max(len(before) for before in graph.before)
    before = np.full((count, width), count)
    for state, sources in enumerate(graph.before):
        before[state, : len(sources)] = sources
    phone, place, unit = (np.array(values) for values in (graph.phone, graph.place, graph.unit))
    return WordGraph(phone, place, unit, before, np.array(starts), np.array(ends), tuple(graph.units))


def best_states(graph: WordGraph, scores: FloatArray, stay: FloatArray) -> NDArray[np.int64] | None:
    """The likeliest state at each step (Viterbi); None where the piece is too short for any path.

    scores: (T, S) log-likelihood of each state. stay: (3, P) probability that a state lasts another step.
    """
    states = len(graph.phone)
    lasting = stay[np.arange(states) % STATES, graph.phone]
    stays, leaves = np.log(lasting), np.log1p(-lasting)
    best = np.full(states + 1, -np.inf, np.float32)
    best[graph.starts] = scores[0, graph.starts]
    everyone = np.arange(states)
    came_from = np.empty((len(scores), states), np.int32)
    for step in range(1, len(scores)):
        leaving = best.copy()
        leaving[:-1] += leaves
        entering = leaving[graph.before]
        column = entering.argmax(1)
        entered, stayed = entering[everyone, column], best[:-1] + stays
        moved = entered > stayed
        came_from[step] = np.where(moved, graph.before[everyone, column], everyone)
        best[:-1] = np.where(moved, entered, stayed) + scores[step]
    state = int(graph.ends[best[graph.ends].argmax()])
    if not np.isfinite(best[state]):
        return None
    path = np.empty(len(scores), np.int64)
    for step in range(len(scores) - 1, -1, -1):
        path[step] = state
        state = int(came_from[step, state])
    return path
