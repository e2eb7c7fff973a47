"""Which phone sounds at each step, when any may follow any: the forward-backward sum over all paths (Rabiner 1989).

A phone is three states in a row. For the first two the phone before is known, [before, phone]; for the last one the
phone after, [phone, after]: so every state has the scores of its neighbour without the cubic number of triphones.
"""

from __future__ import annotations

import numpy as np

from ..face import FloatArray

#: Sums are brought back to 1 every so many steps. Scores are at least 1e-6 or so of the best of their step, so float32
#: holds the products of some steps.
RESCALED_STEPS = 4


def phone_posteriors(
    scores: FloatArray, follows: FloatArray, stay: FloatArray, silence: int
) -> tuple[FloatArray, float]:
    """Probabilities of the phones at each step, and how well paths explain the sound.

    scores: (T, 3, P, P) as `phone_scores` gives them. follows: (P, P, P), [before, phone, after], probability of the
    phone after. stay: (3, P) probability that a state lasts another step. silence: the phone before the first one.
    Returns (T, P), rows that sum to 1, and the logarithm of the sum over all paths.
    """
    ahead, log_sum = forward(scores, follows, stay, silence)
    return backward(ahead, scores, follows, stay), log_sum


def forward(scores: FloatArray, follows: FloatArray, stay: FloatArray, silence: int) -> tuple[FloatArray, float]:
    """Arguments as of `phone_posteriors`. Returns (T, 3, P, P), how likely each state is after each step among all
    states up to a factor, and the logarithm of the sum over all paths."""
    lasting, leaving = _spread(stay)
    out_of_second = np.ascontiguousarray(follows.transpose(1, 0, 2))
    ahead = np.zeros_like(scores)
    ahead[0, 0, silence] = scores[0, 0, silence]
    log_sum = 0.0
    for step in range(1, len(scores)):
        before, now = ahead[step - 1], ahead[step]
        left = before * leaving
        np.multiply(before, lasting, out=now)
        now[0] += left[2]
        now[1] += left[0]
        now[2] += (left[1].T[:, None] @ out_of_second)[:, 0]
        now *= scores[step]
        if step % RESCALED_STEPS == 0:
            total = float(now.sum())
            now /= total
            log_sum += np.log(total)
    return ahead, float(log_sum + np.log(ahead[-1].sum()))


def backward(ahead: FloatArray, scores: FloatArray, follows: FloatArray, stay: FloatArray) -> FloatArray:
    """(T, P) probabilities of the phones, from what `forward` gave for the same other arguments."""
    lasting, leaving = _spread(stay)
    into_last = np.ascontiguousarray(follows.transpose(1, 2, 0))
    steps, states, count, _ = scores.shape
    found = np.empty((steps, count), np.float32)
    behind = np.ones((states, count, count), np.float32)
    for step in range(steps - 1, -1, -1):
        seen = ahead[step] * behind
        found[step] = (seen[0] + seen[1]).sum(0) + seen[2].sum(1)
        reached = scores[step] * behind
        behind = reached * lasting
        behind[0] += leaving[0] * reached[1]
        behind[1] += leaving[1] * (reached[2][:, None] @ into_last)[:, 0].T
        behind[2] += leaving[2] * reached[0]
        if step % RESCALED_STEPS == 0:
            behind /= behind.max()
    return found / found.sum(1, keepdims=True)


def silent_share(ahead: FloatArray, silence: int) -> FloatArray:
    """(T,) how likely silence is by the steps up to each one. ahead: of `forward`."""
    silent = ahead[:, :2, :, silence].sum((1, 2)) + ahead[:, 2, silence].sum(1)
    return silent / ahead.sum((1, 2, 3))


def _spread(stay: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(3, P, P) probabilities that a state lasts and that it is left, in the layout of the scores."""
    count = stay.shape[1]
    lasting = np.empty((len(stay), count, count), np.float32)
    lasting[:2] = stay[:2, None]
    lasting[2] = stay[2][:, None]
    return lasting, 1 - lasting
