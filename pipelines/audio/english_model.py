"""The English acoustic model that comes in the package pocketsphinx: how phones sound, and which follow which.

US English, semi-continuous with one codebook per phone (Sphinx "PTM"): copyright 2015 Alpha Cephei Inc., BSD-2. Of the
package's code only what reads its table of phone triples is run; hearing and following a text are this room's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPackageError, WrongWeightsError
from ..face import FloatArray
from .heard import ARPABET
from .sphinx_files import (
    WEIGHT_BASE,
    Definition,
    read_definition,
    read_densities,
    read_mixture_weights,
    read_transitions,
)

INSTALL = "the package pocketsphinx is not installed. Install it: pip install pocketsphinx"
STATES = 3
#: How often a phone is within, first in, last in, alone in a word: the share of such phones in running English, where a
#: word has four phones on average.
PLACES = (0.5, 0.24, 0.24, 0.02)
#: Smaller variances than this belong to densities that nothing was trained on.
LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, eq=False)
class PhoneModel:
    """How one phone sounds, by its n senones (tied states of the phone among certain neighbours).

    factors: per stream (2 w, D), offsets: per stream (D,), so that [x, x^2] @ factors + offsets is the log density of
    the w features x of the stream. weights: per stream (D, n) share of each density in each senone. pools: per state
    (n, P) the share of each senone in the state when one neighbour is known: the phone before for the first two states,
    the phone after for the last.
    """

    factors: tuple[FloatArray, ...]
    offsets: tuple[FloatArray, ...]
    weights: tuple[FloatArray, ...]
    pools: tuple[FloatArray, ...]


@dataclass(frozen=True, eq=False)
class EnglishModel:
    """All phones, in the order of `ARPABET` (P = 40).

    stay: (3, P) probability that a state goes on for another step. follows: (P, P, P): [before, phone, after], the
    probability of a phone after two others. states: (4, P, P, P, 3): by place in the word (0 within, 1 first, 2 last,
    3 alone), phone, phone before, phone after, the three senones as their places in `PhoneModel.weights` of the phone.
    dictionary: the file of pronunciations.
    """

    phones: tuple[PhoneModel, ...]
    stay: FloatArray
    follows: FloatArray
    states: NDArray[np.uint16]
    dictionary: Path


_alive: WeakValueDictionary[str, EnglishModel] = WeakValueDictionary()


def english_model() -> EnglishModel:
    """The model, read from the package; one that somebody still holds is shared.

    Raises MissingPackageError without the package, WrongWeightsError for files that are not the model's.
    """
    try:
        from pocketsphinx import NGramModel, get_model_path
    except ImportError as error:
        raise MissingPackageError(f"Phones cannot be heard ({error}): {INSTALL}.") from error
    folder = Path(get_model_path()) / "en-us"
    found = _alive.get(str(folder))
    if found is None:
        try:
            grammar: Any = NGramModel.readfile(str(folder / "en-us-phone.lm.bin"))
            found = _alive[str(folder)] = _read(folder, _follows(grammar.prob))
        except WrongWeightsError:
            raise
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise WrongWeightsError(
                f"The acoustic model in {folder} cannot be read ({error}): install pocketsphinx again."
            ) from error
    return found


def _follows(log_probability: Callable[[list[str]], int]) -> FloatArray:
    """(P, P, P) of a model of three phones, which wants the newest first and answers in logarithms to `WEIGHT_BASE`."""
    known = [[[log_probability([c, b, a]) for c in ARPABET] for b in ARPABET] for a in ARPABET]
    table = WEIGHT_BASE ** np.array(known, np.float64)
    return (table / table.sum(2, keepdims=True)).astype(np.float32)


def _read(folder: Path, follows: FloatArray) -> EnglishModel:
    files = folder / "en-us"
    definition = read_definition(files / "mdef")
    missing = [name for name in ARPABET if name not in definition.names]
    if missing or definition.senones.shape[1] != STATES:
        raise WrongWeightsError(f"{files} has no phones {missing} of three states: install pocketsphinx again.")
    numbers = np.array([definition.names.index(name) for name in ARPABET])
    means = read_densities(files / "means")[numbers].astype(np.float64)
    variances = np.maximum(read_densities(files / "variances")[numbers].astype(np.float64), LEAST_VARIANCE)
    weights = read_mixture_weights(files / "sendump", definition.count)
    transitions = read_transitions(files / "transition_matrices")[definition.transitions[numbers]]
    used, states = _states(definition, numbers)
    pools = [_pools(states[:, phone], len(used[phone]), phone, follows) for phone in range(len(ARPABET))]
    phones = tuple(
        PhoneModel(
            *_quadratic(means[phone], variances[phone]),
            tuple(np.ascontiguousarray(stream[:, used[phone]]) for stream in weights),
            pools[phone],
        )
        for phone in range(len(ARPABET))
    )
    stay = np.stack([transitions[:, state, state] for state in range(STATES)]).astype(np.float32)
    return EnglishModel(phones, stay, follows, states, folder / "cmudict-en-us.dict")


def _quadratic(
    means: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Log normal densities (streams, D, w) as factors of [x, x^2] and offsets."""
    factors = np.concatenate([means / variances, -0.5 / variances], 2).transpose(0, 2, 1)
    offsets = -0.5 * (means**2 / variances + np.log(2 * np.pi * variances)).sum(2)
    return tuple(factors.astype(np.float32)), tuple(offsets.astype(np.float32))


def _states(definition: Definition, numbers: NDArray[np.int64]) -> tuple[list[NDArray[np.int64]], NDArray[np.uint16]]:
    """Per phone the senones it uses, and `EnglishModel.states`."""
    count = len(numbers)
    place_of = np.full(len(definition.names), -1)
    place_of[numbers] = np.arange(count)
    place, phone, before, after = definition.context.T
    phone, before, after = place_of[phone], place_of[before], place_of[after]
    kept = (phone >= 0) & (before >= 0) & (after >= 0)
    senones = np.empty((4, count, count, count, STATES), np.int64)
    senones[:] = definition.alone[numbers][None, :, None, None]
    # what the model does not know at a place in the word, it may know within one
    for source in (0, 1, 2, 3):
        here = kept & (place == source)
        targets = range(4) if source == 0 else (source,)
        for target in targets:
            senones[target, phone[here], before[here], after[here]] = definition.senones[here]
    owner, place_in_phone = np.full(definition.count, -1), np.zeros(definition.count, np.uint16)
    owner[senones] = np.arange(count)[None, :, None, None, None]
    used = [np.flatnonzero(owner == index) for index in range(count)]
    for found in used:
        place_in_phone[found] = np.arange(len(found))
    return used, place_in_phone[senones]


def _pools(states: NDArray[np.uint16], senones: int, phone: int, follows: FloatArray) -> tuple[FloatArray, ...]:
    """`PhoneModel.pools` from the states (4, P, P, 3) of one phone; unknown neighbours count as often as they come."""
    count = len(ARPABET)
    pair = np.einsum("abc->bc", follows)  # of a phone and the next, all phones before them weighted alike
    after = pair[phone] / pair[phone].sum()
    before = pair[:, phone] / pair[:, phone].sum()
    pools = list[FloatArray]()
    for state in range(STATES):
        # place in the word, known neighbour, unknown neighbour
        last = state == STATES - 1
        table = states[..., state].transpose(0, 2, 1) if last else states[..., state]
        shares = np.array(PLACES)[:, None, None] * (before if last else after)
        cells = (table.astype(np.int64) * count + np.arange(count)[:, None]).ravel()
        pool = np.bincount(cells, np.broadcast_to(shares, table.shape).ravel(), senones * count)
        pools.append(pool.reshape(senones, count).astype(np.float32))
    return tuple(pools)
