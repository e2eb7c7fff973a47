"""The likeliest row of phones through scores per step: a Viterbi search in which every phone lasts a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face import FloatArray
from .heard import ARPABET, STEPS_HZ, Phone

#: Steps of 10 ms that a phone lasts at least, as in acoustic models of three states.
LEAST_STEPS = 3


@dataclass(frozen=True)
class Stretch:
    """A phone of the path. index: in `ARPABET`. start, stop: steps, stop not included."""

    index: int
    start: int
    stop: int


def best_path(scores: FloatArray, follows: FloatArray, least_steps: int = LEAST_STEPS) -> tuple[Stretch, ...]:
    """The row of phones with the highest sum of scores, without gaps from step 0 to the end.

    scores: (T, P) log-likelihood of each phone at each step. follows: (P, P) log-probability that phone j comes after
    phone i, counted where a phone begins. least_steps: each phone lasts at least so long (or as long as the sound).
    """
    steps, phones = scores.shape
    least = max(min(least_steps, steps), 1)
    # held[p, k]: best score of having been in phone p for k + 1 steps, or for `least` steps and more at the end
    held = np.full((phones, least), -np.inf)
    held[:, 0] = scores[0]
    came_from = np.full((steps, phones), -1, np.int16)
    stayed = np.ones((steps, phones), bool)
    everyone = np.arange(phones)
    for step in range(1, steps):
        ends = held[:, -1]
        table = ends[:, None] + follows
        best = table.argmax(0)
        longer = held[:, -2] if least > 1 else np.full(phones, -np.inf)
        came_from[step] = best
        if least == 1:
            entered = table[best, everyone]
            stayed[step] = ends >= entered
            held[:, 0] = np.maximum(ends, entered)
        else:
            stayed[step] = ends >= longer
            last = np.maximum(ends, longer)
            held[:, 1:-1] = held[:, :-2]
            held[:, -1] = last
            held[:, 0] = table[best, everyone]
        held += scores[step][:, None]
    return tuple(_traced(held, came_from, stayed, least))


def _traced(held: FloatArray, came_from: NDArray[np.int16], stayed: NDArray[np.bool_], least: int) -> list[Stretch]:
    """The stretches read backwards from the best phone that has lasted long enough at the end."""
    stop, phone = len(came_from), int(held[:, -1].argmax())
    found: list[Stretch] = []
    while stop > 0:
        step = stop - 1
        while step >= least and stayed[step, phone]:
            step -= 1
        start = step - least + 1
        found.append(Stretch(phone, start, stop))
        stop, phone = start, int(came_from[start, phone])
    return found[::-1]


def phones_of(path: tuple[Stretch, ...], probabilities: FloatArray, duration_s: float) -> tuple[Phone, ...]:
    """The stretches as phones with times; the last one ends with the sound. Neighbours of one name become one phone.

    probabilities: (T, P), of which a phone's trust is the mean over its steps.
    """
    phones: list[Phone] = []
    for stretch in _joined(path):
        last = stretch.stop == len(probabilities)
        trust = float(np.clip(probabilities[stretch.start : stretch.stop, stretch.index].mean(), 0, 1))
        start_s = phones[-1].end_s if phones else 0.0
        phones.append(Phone(ARPABET[stretch.index], start_s, duration_s if last else stretch.stop / STEPS_HZ, trust))
    return tuple(phones)


def _joined(path: tuple[Stretch, ...]) -> Iterator[Stretch]:
    held: Stretch | None = None
    for stretch in path:
        if held is not None and held.index == stretch.index:
            held = Stretch(held.index, held.start, stretch.stop)
            continue
        if held is not None:
            yield held
        held = stretch
    if held is not None:
        yield held
