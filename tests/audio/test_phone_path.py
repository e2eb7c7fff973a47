"""The row of phones is the best one there is, each lasts a while, and they tile the sound."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from likeness.pipelines.audio.heard import ARPABET
from likeness.pipelines.audio.phone_path import Stretch, best_path, phones_of


def total(path: tuple[Stretch, ...], scores: np.ndarray, follows: np.ndarray) -> float:
    held = sum(scores[one.start : one.stop, one.index].sum() for one in path)
    return float(held + sum(follows[first.index, second.index] for first, second in pairwise(path)))


def best_by_trying_all(scores: np.ndarray, follows: np.ndarray, least: int) -> float:
    """The slow twin: every way to cut the steps into stretches, with every phone in each."""
    steps, phones = scores.shape
    best = -np.inf
    for cuts in product((False, True), repeat=steps - 1):
        ends = [0, *(place + 1 for place, cut in enumerate(cuts) if cut), steps]
        if any(stop - start < least for start, stop in pairwise(ends)):
            continue
        for names in product(range(phones), repeat=len(ends) - 1):
            path = tuple(Stretch(name, *between) for name, between in zip(names, pairwise(ends), strict=True))
            best = max(best, total(path, scores, follows))
    return best


@pytest.mark.parametrize("least", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_row_of_phones_scores_higher(least: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(7, 3)).astype(np.float32)
    follows = random.normal(size=(3, 3)).astype(np.float32)
    path = best_path(scores, follows, least)
    assert total(path, scores, follows) == pytest.approx(best_by_trying_all(scores, follows, least), abs=1e-4)
    assert all(one.stop - one.start >= least for one in path)
    assert [path[0].start, *(one.stop for one in path)] == [*(one.start for one in path), 7]


def test_a_flicker_shorter_than_a_phone_is_not_heard() -> None:
    scores = np.full((20, 2), -4.0, np.float32)
    scores[:, 0], scores[10, :] = -0.1, (-4.0, -0.1)
    assert best_path(scores, np.zeros((2, 2), np.float32)) == (Stretch(0, 0, 20),)
    scores[10:13] = (-4.0, -0.1)
    heard = (Stretch(0, 0, 10), Stretch(1, 10, 13), Stretch(0, 13, 20))
    assert best_path(scores, np.zeros((2, 2), np.float32)) == heard


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_sound_shorter_than_a_phone_is_one_phone(steps: int) -> None:
    scores = np.zeros((steps, 40), np.float32)
    scores[:, 7] = 1
    assert best_path(scores, np.zeros((40, 40), np.float32)) == (Stretch(7, 0, steps),)


def test_stretches_become_phones_without_gaps_whose_trust_is_their_mean_probability() -> None:
    probabilities = np.zeros((10, 40), np.float32)
    probabilities[:4, 2], probabilities[4:, 5] = 0.5, (0.2, 0.4, 0.6, 0.8, 1.0, 0.6)
    path = (Stretch(2, 0, 3), Stretch(2, 3, 4), Stretch(5, 4, 10))
    first, second = phones_of(path, probabilities, 0.104)
    assert (first.name, first.start_s, first.end_s, first.trust) == (ARPABET[2], 0.0, 0.04, 0.5)
    assert (second.name, second.start_s, second.end_s) == (ARPABET[5], 0.04, 0.104)
    assert second.trust == pytest.approx(0.6)
