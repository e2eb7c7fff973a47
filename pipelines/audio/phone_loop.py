"""Which phone sounds at each step, when any may follow any: the forward-backward sum over all paths (Rabiner 1989).

A phone is three states in a row. For the first two the phone before is known, [before, phone]; for the last one the
phone after, [phone, after]: so every state has the scores of its neighbour without the cubic number of triphones.
"""

from __future__ import annotations

import numpy as np

from ..face import FloatArray


def phone_posteriors(
    scores: FloatArray, follows: FloatArray, stay: FloatArray, silence: int
) -> tuple[FloatArray, float]:
    """Probabilities of the phones at each step, and how well paths explain the sound.

    scores: (T, 3, P, P) as `phone_scores` gives them. follows: (P, P, P), [before, phone, after], probability of the
    phone after. stay: (3, P) probability that a state lasts another step. silence: the phone before the first one.
    Returns (T, P), rows that sum to 1, and the logarithm of the sum over all paths.
    """
    ahead, log_sum = _forward(scores, follows, stay, silence)
    steps, _, count, _ = scores.shape
    posteriors = np.empty((steps, count), np.float32)
    # [phone, after, before]: by matrices, one per phone
    into_last = np.ascontiguousarray(follows.transpose(1, 2, 0))
    first, second, last = (np.ones((count, count), np.float32) for _ in range(3))
    for step in range(steps - 1, -1, -1):
        seen = ahead[step]
        found = (seen[0] * first + seen[1] * second).sum(0) + (seen[2] * last).sum(1)
        posteriors[step] = found / found.sum()
        first, second, last = scores[step, 0] * first, scores[step, 1] * second, scores[step, 2] * last
        first, second, last = (
            first * stay[0] + second * (1 - stay[0]),
            second * stay[1] + (1 - stay[1]) * (last[:, None] @ into_last)[:, 0].T,
            last * stay[2][:, None] + first * (1 - stay[2])[:, None],
        )
        scale = 1 / max(first.max(), second.max(), last.max())
        first, second, last = first * scale, second * scale, last * scale
    return posteriors, log_sum


def _forward(scores: FloatArray, follows: FloatArray, stay: FloatArray, silence: int) -> tuple[FloatArray, float]:
    """(T, 3, P, P) probability of each state after each step, and the logarithm of what all of them had together."""
    ahead = np.zeros_like(scores)
    out_of_second = np.ascontiguousarray(follows.transpose(1, 0, 2))
    ahead[0, 0, silence] = scores[0, 0, silence]
    total = float(ahead[0].sum())
    ahead[0] /= total
    log_sum = np.log(total)
    for step in range(1, len(scores)):
        first, second, last = ahead[step - 1]
        now, score = ahead[step], scores[step]
        now[0] = score[0] * (first * stay[0] + last * (1 - stay[2])[:, None])
        now[1] = score[1] * (second * stay[1] + first * (1 - stay[0]))
        entering = ((second * (1 - stay[1])).T[:, None] @ out_of_second)[:, 0]
        now[2] = score[2] * (last * stay[2][:, None] + entering)
        total = float(now.sum())
        now /= total
        log_sum += np.log(total)
    return ahead, float(log_sum)
