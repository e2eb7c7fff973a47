"""How well each phone among its neighbours explains each step of a sound."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray
from .english_model import STATES, EnglishModel
from .products import product

#: Steps worked on at once.
BLOCK_STEPS = 250
#: A stream's density is not taken below this share of the best one of the step: outliers must not decide alone.
LEAST_SHARE = 1e-12

#: Per phone (T, n): of each of its senones.
Likelihoods = tuple[FloatArray, ...]


def senone_likelihoods(model: EnglishModel, features: FloatArray) -> tuple[Likelihoods, FloatArray]:
    """Likelihoods of all senones, and the level they are relative to.

    features: (T, 39). Returns per phone (T, n), relative to the best density of the step in each stream; and (T,) the
    sum of the logarithms of these best densities: how well the model knows such sounds at all.
    """
    found = tuple(np.empty((len(features), phone.weights[0].shape[1]), np.float32) for phone in model.phones)
    levels = np.empty(len(features), np.float32)
    for start in range(0, len(features), BLOCK_STEPS):
        rows = slice(start, start + BLOCK_STEPS)
        inputs = [np.concatenate([x, x**2], 1) for x in np.split(features[rows], len(model.phones[0].factors), 1)]
        densities = [
            [
                product(x, factors) + offsets
                for x, factors, offsets in zip(inputs, phone.factors, phone.offsets, strict=True)
            ]
            for phone in model.phones
        ]
        best = [np.max([logs[stream].max(1) for logs in densities], 0) for stream in range(len(inputs))]
        for phone, logs, out in zip(model.phones, densities, found, strict=True):
            part = out[rows]
            part[:] = 1
            for log, level, weights in zip(logs, best, phone.weights, strict=True):
                part *= product(np.exp(log - level[:, None]), weights) + LEAST_SHARE
        levels[rows] = np.sum(best, 0)
    return found, levels


def phone_scores(model: EnglishModel, likelihoods: Likelihoods, scale: float) -> FloatArray:
    """Scores of all phones with one known neighbour.

    likelihoods: of `senone_likelihoods`. scale: power that is taken of them, since neighbouring steps tell much the
    same. Returns (T, 3, P, P) in (0, 1], 1 the best of a step: for the first two states [phone before, phone], for the
    last [phone, phone after].
    """
    count, steps = len(model.phones), len(likelihoods[0])
    scores = np.empty((steps, STATES, count, count), np.float32)
    for start in range(0, steps, BLOCK_STEPS):
        block = scores[start : start + BLOCK_STEPS]
        for index, (phone, likelihood) in enumerate(zip(model.phones, likelihoods, strict=True)):
            part = likelihood[start : start + BLOCK_STEPS]
            block[:, 0, :, index] = product(part, phone.pools[0])
            block[:, 1, :, index] = product(part, phone.pools[1])
            block[:, 2, index, :] = product(part, phone.pools[2])
        np.log(block, out=block)
        block *= scale
        block -= block.max((1, 2, 3), keepdims=True)
        np.exp(block, out=block)
    return scores
