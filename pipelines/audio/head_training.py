"""Trains a speech head: which layers of an encoder tell phones apart best, then a small network on those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import FloatArray, as_float_array
from .encoder_features import FrameGrid
from .heard import ARPABET, Phone
from .phone_path import best_path
from .speech_head import HeadCard, HeadNetwork, SpeechHead, on_steps

#: Steps of the optimiser at most, frames that each of them sees, and after how many the held out speech is asked.
STEPS, WINDOW, WINDOWS, CHECK_EVERY = 1500, 100, 8, 25
#: Checks without a better result after which training ends.
PATIENCE = 12
_RATE, _DECAY = 2e-3, 1e-2
#: How much the row of phones may count against the sound; the best one on the held out speech is kept.
_FOLLOW_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
_TEMPERATURES = tuple(2 ** (power / 4) for power in range(-4, 13))
_RIDGE = 1e-2


@dataclass(frozen=True, eq=False)
class Example:
    """A piece of speech to learn from. features: (T, D) of any float type, an array on disk as well. labels: (T,)
    index in `ARPABET`, -1 where nothing is known. weights: (T,) how sure the label is, 0 to 1. duration_s: of it.
    """

    features: NDArray[np.floating]
    labels: NDArray[np.int64]
    weights: FloatArray
    duration_s: float


def frame_labels(
    phones: Sequence[Phone], grid: FrameGrid, frames: int, start_s: float = 0.0
) -> tuple[NDArray[np.int64], FloatArray]:
    """Index in `ARPABET` and trust of the phone in the middle of each frame; -1 and 0 outside all phones.

    start_s: where in the time of the phones the frames begin.
    """
    labels, weights = np.full(frames, -1, np.int64), np.zeros(frames, np.float32)
    times = grid.times_s(frames).numpy() + start_s
    for phone in phones:
        inside = (times >= phone.start_s) & (times < phone.end_s)
        labels[inside], weights[inside] = ARPABET.index(phone.name), phone.trust
    return labels, weights


class LayerProbe:
    """Sums over frames from which a linear classifier of each layer follows, whatever the amount of speech."""

    def __init__(self, depth: int, width: int) -> None:
        self.grams = np.zeros((depth, width + 1, width + 1), np.float32)
        self.targets = np.zeros((depth, width + 1, len(ARPABET)), np.float32)

    def add(self, layers: Sequence[Tensor], labels: NDArray[np.int64]) -> None:
        """Learn from one piece: layers, each (T, D), and their labels (T,)."""
        known = labels >= 0
        wanted = np.eye(len(ARPABET), dtype=np.float32)[labels[known]]
        for index, layer in enumerate(layers):
            rows = _with_one(layer, known)
            self.grams[index] += rows.T @ rows
            self.targets[index] += rows.T @ wanted

    def classifiers(self) -> FloatArray:
        """(depth, width + 1, 40) least squares with a ridge relative to the spread of the features."""
        found = np.empty_like(self.targets)
        for index, gram in enumerate(self.grams.astype(np.float64)):
            ridge = _RIDGE * np.trace(gram) / len(gram)
            found[index] = np.linalg.solve(gram + ridge * np.eye(len(gram)), self.targets[index])
        return as_float_array(found)


def right_frames(classifiers: FloatArray, layers: Sequence[Tensor], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many frames of a piece the classifier of each layer hears right."""
    known = labels >= 0
    guesses = [(_with_one(layer, known) @ classifiers[index]).argmax(1) for index, layer in enumerate(layers)]
    return np.array([(guess == labels[known]).sum() for guess in guesses], np.int64)


def _with_one(layer: Tensor, known: NDArray[np.bool_]) -> FloatArray:
    rows = layer.to("cpu", torch.float32).numpy()[known]
    rows = (rows - rows.mean(1, keepdims=True)) / (rows.std(1, keepdims=True) + 1e-5)
    return as_float_array(np.concatenate([rows, np.ones((len(rows), 1), np.float32)], 1))


def train_head(
    card: HeadCard, learned: Sequence[Example], held_out: Sequence[Example], seed: int = 0, steps: int = STEPS
) -> SpeechHead:
    """Train a head on `learned`, as far as `held_out` gets better, and calibrate it there.

    The features of the examples are those of `card.layers` side by side. The same seed gives the same head on the same
    machine. The card comes back with the accuracy on `held_out`, as the whole head hears it. Raises InputError when
    there is nothing to learn from or to check with, or no step.
    """
    if steps < CHECK_EVERY:
        raise InputError(f"Training has {steps} steps, at least {CHECK_EVERY} are needed.")
    for what, examples in (("to learn from", learned), ("held out", held_out)):
        if not any((example.labels >= 0).any() for example in examples):
            raise InputError(f"There is no speech {what}: at least two sounds with speech in them are needed.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _fitted(learned, held_out, np.random.default_rng(seed), steps)
    _calibrate(network, held_out)
    counts = follow_counts(learned)
    heads = [SpeechHead(card, network, as_float_array(weight * counts)) for weight in _FOLLOW_WEIGHTS]
    shares = [path_accuracy(head, held_out) for head in heads]
    best = int(np.argmax(shares))
    return replace(heads[best], card=replace(card, accuracy=round(shares[best], 4)))


def _fitted(
    learned: Sequence[Example], held_out: Sequence[Example], rng: np.random.Generator, steps: int
) -> HeadNetwork:
    mean, scale = _statistics(learned)
    network = HeadNetwork(len(mean))
    network.mean, network.scale = mean, scale
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, _RATE / 50)
    best, kept, waited = float("inf"), network.state_dict(), 0
    for step in range(steps):
        features, labels, weights = _batch(learned, rng)
        network.train()
        loss = _loss(network(features), labels, weights)
        optimiser.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % CHECK_EVERY == 0:
            now = _held_out_loss(network, held_out)
            waited = waited + 1 if now >= best else 0
            if now < best:
                best, kept = now, {key: value.clone() for key, value in network.state_dict().items()}
            if waited == PATIENCE:
                break
    network.load_state_dict(kept)
    return network.eval().requires_grad_(False)


def _statistics(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Mean and 1 / deviation of each number over all frames, one example in memory at a time."""
    total = sum(len(example.features) for example in examples)
    mean = sum(example.features.astype(np.float64).sum(0) for example in examples) / total
    spread = sum(((example.features.astype(np.float64) - mean) ** 2).sum(0) for example in examples) / total
    return torch.from_numpy(mean).float(), torch.from_numpy(1 / np.sqrt(np.asarray(spread) + 1e-8)).float()


def _batch(examples: Sequence[Example], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of speech, examples drawn by their length; what is shorter than a window is filled up with nothing."""
    lengths = np.array([len(example.labels) for example in examples], np.float64)
    width = examples[0].features.shape[1]
    features = np.zeros((WINDOWS, WINDOW, width), np.float32)
    labels, weights = np.full((WINDOWS, WINDOW), -1, np.int64), np.zeros((WINDOWS, WINDOW), np.float32)
    for row, index in enumerate(rng.choice(len(examples), WINDOWS, p=lengths / lengths.sum())):
        example = examples[index]
        start = int(rng.integers(max(len(example.labels) - WINDOW, 0) + 1))
        seen = slice(start, start + WINDOW)
        count = len(example.labels[seen])
        features[row, :count] = example.features[seen]
        labels[row, :count], weights[row, :count] = example.labels[seen], example.weights[seen]
    return torch.from_numpy(features), torch.from_numpy(labels), torch.from_numpy(weights)


def _loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy per known frame, each counted as its label is trusted."""
    each = torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-1, reduction="none")
    return (each * weights.flatten()).sum() / weights.sum().clamp_min(1e-6)


def _held_out_loss(network: HeadNetwork, examples: Sequence[Example]) -> float:
    logits, labels, weights = _answers(network, examples)
    return float(_loss(logits, labels, weights))


@torch.no_grad()
def _answers(network: HeadNetwork, examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    network.eval()
    logits = [network(torch.from_numpy(example.features.astype(np.float32))[None])[0] for example in examples]
    labels = np.concatenate([example.labels for example in examples])
    weights = np.concatenate([example.weights for example in examples])
    return torch.cat(logits), torch.from_numpy(labels), torch.from_numpy(weights)


def _calibrate(network: HeadNetwork, held_out: Sequence[Example]) -> None:
    """Divide the logits by the temperature that suits the held out speech best: then probabilities are what they say.

    Guo et al., On Calibration of Modern Neural Networks, 2017, equation 9.
    """
    logits, labels, weights = _answers(network, held_out)
    losses = [float(_loss(logits / temperature, labels, weights)) for temperature in _TEMPERATURES]
    temperature = _TEMPERATURES[int(np.argmin(losses))]
    network.out.weight.data /= temperature
    network.out.bias.data /= temperature


def follow_counts(examples: Sequence[Example]) -> FloatArray:
    """(40, 40) log-probability that phone j follows phone i, counted in the labels, one added to every count."""
    counts = np.ones((len(ARPABET), len(ARPABET)))
    for example in examples:
        before, after = example.labels[:-1], example.labels[1:]
        changes = (before != after) & (before >= 0) & (after >= 0)
        np.add.at(counts, (before[changes], after[changes]), 1)
    np.fill_diagonal(counts, 1e-3)
    return as_float_array(np.log(counts / counts.sum(1, keepdims=True)))


def path_accuracy(head: SpeechHead, examples: Sequence[Example]) -> float:
    """Share of the known frames, each counted as it is trusted, that the row of phones of the head has right."""
    right = total = 0.0
    for example in examples:
        logits, _, _ = _answers(head.network, [example])
        logs = as_float_array(logits.log_softmax(-1).numpy())
        path = best_path(on_steps(logs, head.card.grid, example.duration_s), head.follows)
        heard = np.concatenate([np.full(stretch.stop - stretch.start, stretch.index) for stretch in path])
        places = (head.card.grid.times_s(len(logs)).numpy() * 100).astype(np.int64).clip(0, len(heard) - 1)
        weights = example.weights * (example.labels >= 0)
        right += float((weights * (heard[places] == example.labels)).sum())
        total += float(weights.sum())
    return right / max(total, 1e-9)
