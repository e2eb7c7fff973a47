"""From speech with known phones to a speech head: which layers are worth it, their features on disk, the training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import FloatArray
from .encoder_features import WAV2VEC2, EncoderFeatures
from .head_training import STEPS, Example, LayerProbe, frame_labels, right_frames, train_head
from .heard import Phone
from .progress import Progress, Watch, unwatched
from .speech import RATE_HZ, Speech
from .speech_head import Encode, HeadCard, SpeechHead, pieces

#: Speech that the layers are compared on, seconds of either part: more does not change which one is best.
PROBED_S = 300.0
#: A sound shorter than this teaches nothing.
LEAST_S = 0.5
#: What half precision holds.
_HALF = 60_000.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """A speech with its phones. name: of the file, for messages. sha256: of the file."""

    name: str
    sha256: str
    speech: Speech
    phones: tuple[Phone, ...]


@dataclass(frozen=True)
class Plan:
    """How a head is trained.

    layer_count: layers of the encoder it takes. held_out_share: of the files, 0.05 to 0.5. seed: the same one gives the
    same head on the same machine. steps: of the optimiser at most. language, licence, consent: of the speech, as
    `HeadCard` keeps them.
    """

    layer_count: int = 2
    held_out_share: float = 0.2
    seed: int = 0
    steps: int = STEPS
    language: str = "en"
    licence: str = ""
    consent: str = ""


@dataclass(frozen=True)
class Taught:
    """A trained head and how it came about.

    layer_shares: share of held out frames that a linear classifier of each layer hears right. chance: that of always
    naming the commonest phone. learned_s, held_out_s: seconds of speech. held_out: names of those files.
    """

    head: SpeechHead
    layer_shares: tuple[float, ...]
    chance: float
    learned_s: float
    held_out_s: float
    held_out: tuple[str, ...]


def split(lessons: Sequence[Lesson], held_out_share: float) -> tuple[list[Lesson], list[Lesson]]:
    """What is learned from and what is held out: whole files, drawn by their hash, at least one of each.

    Raises InputError when there are fewer than two files, the same file twice, one that is shorter than `LEAST_S`,
    or a share out of range.
    """
    if not 0.05 <= held_out_share <= 0.5:
        raise InputError(f"The share held out is {held_out_share}, 0.05 to 0.5 can be used.")
    ordered = sorted(lessons, key=lambda lesson: lesson.sha256)
    for lesson in ordered:
        if lesson.speech.duration_s < LEAST_S:
            raise InputError(f"{lesson.name} has {lesson.speech.duration_s:.2f} s; sounds of {LEAST_S} s are needed.")
    for before, after in zip(ordered, ordered[1:], strict=False):
        if before.sha256 == after.sha256:
            raise InputError(f"{before.name} and {after.name} are the same sound: remove one of them.")
    if len(ordered) < 2:
        raise InputError(f"There are {len(ordered)} sounds; at least two are needed, one of them to check the head.")
    count = min(max(round(held_out_share * len(ordered)), 1), len(ordered) - 1)
    return ordered[count:], ordered[:count]


def teach(
    lessons: Sequence[Lesson], encode: Encode, scratch: Path, plan: Plan | None = None, watch: Watch = unwatched
) -> Taught:
    """Train a head for an encoder.

    encode: makes features of up to 20 s of samples. scratch: a folder on disk for the features of the layers that are
    taken, 2 bytes a number: 0.4 GB per hour and layer at a width of 1024. watch: makes the progress bar, a step per
    sound and pass. Raises InputError for too few sounds or sounds without speech.
    """
    plan = plan or Plan()
    learned, held_out = split(lessons, plan.held_out_share)
    bar = watch(len(_some(learned)) + len(_some(held_out)) + len(lessons))
    layers, shares = _layers(learned, held_out, encode, plan.layer_count, bar)
    first = next(_encoded(learned[0], encode)).features
    card = HeadCard(
        first.grid.name, first.width, len(first.layers), layers, plan.language, plan.licence, plan.consent,
        _hash_of(learned), round(_seconds(learned), 1),
    )  # fmt: skip
    store = _Store(scratch / "features.f16", layers)
    examples, checks = (
        [store.add(piece) for lesson in _counted(part, bar) for piece in _encoded(lesson, encode)]
        for part in (learned, held_out)
    )
    head = train_head(card, examples, checks, plan.seed, plan.steps)
    names = tuple(lesson.name for lesson in held_out)
    return Taught(head, shares, _chance(examples, checks), _seconds(learned), _seconds(held_out), names)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Up to 20 s of a lesson, encoded. labels, weights: as in `Example`; nothing is known of what belongs to the
    pieces beside it.
    """

    features: EncoderFeatures
    labels: NDArray[np.int64]
    weights: FloatArray


def _encoded(lesson: Lesson, encode: Encode) -> Iterator[_Piece]:
    """A lesson piece by piece, as a head with an encoder of its own hears it."""
    samples = lesson.speech.samples
    for start, stop, first, last in pieces(len(samples), WAV2VEC2):  # every grid has its hop
        features = encode(samples[start:stop])
        frames = features.heard_frames
        labels, weights = frame_labels(lesson.phones, features.grid, frames, start / RATE_HZ)
        times = start + features.grid.times_s(frames).numpy() * RATE_HZ
        elsewhere = (times < first) | (times >= last)
        labels[elsewhere], weights[elsewhere] = -1, 0
        yield _Piece(features, labels, weights)


def _layers(
    learned: Sequence[Lesson], held_out: Sequence[Lesson], encode: Encode, count: int, bar: Progress
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The layers that tell phones apart best, ascending, and the share that each of all layers hears right."""
    probe: LayerProbe | None = None
    for lesson in _counted(_some(learned), bar):
        for piece in _encoded(lesson, encode):
            probe = probe or LayerProbe(len(piece.features.layers), piece.features.width)
            probe.add(*_probed(piece))
    if probe is None or not probe.grams.any():
        raise InputError("There is no speech to learn from: no phone is known of any sound.")
    classifiers = probe.classifiers()
    right, known = np.zeros(len(classifiers), np.int64), 0
    for lesson in _counted(_some(held_out), bar):
        for piece in _encoded(lesson, encode):
            right += right_frames(classifiers, *_probed(piece))
            known += int((piece.labels >= 0).sum())
    shares = right / max(known, 1)
    best = np.argsort(-shares, kind="stable")[: max(count, 1)]
    return tuple(sorted(int(index) for index in best)), tuple(float(share) for share in shares)


def _probed(piece: _Piece) -> tuple[list[Tensor], NDArray[np.int64]]:
    return [layer[: len(piece.labels)] for layer in piece.features.layers], piece.labels


class _Store:
    """Features of pieces in one file on disk, mapped into memory as they are read."""

    def __init__(self, path: Path, layers: Sequence[int]) -> None:
        self.path, self.layers = path, layers
        path.unlink(missing_ok=True)

    def add(self, piece: _Piece) -> Example:
        """Append the layers that are taken, side by side; the example reads them from the file."""
        chosen = [piece.features.layers[index][: len(piece.labels)] for index in self.layers]
        rows = torch.cat([layer.to("cpu", torch.float32) for layer in chosen], 1).clamp(-_HALF, _HALF)
        with self.path.open("ab") as file:
            offset = file.tell()
            file.write(rows.to(torch.float16).numpy().tobytes())
        mapped = np.memmap(self.path, np.float16, "r", offset, tuple(rows.shape))
        return Example(mapped, piece.labels, piece.weights, piece.features.samples / RATE_HZ)


def _some(lessons: Sequence[Lesson]) -> list[Lesson]:
    """The first of them, up to `PROBED_S` and at least one."""
    ends = np.cumsum([lesson.speech.duration_s for lesson in lessons])
    return list(lessons[: 1 + int((ends < PROBED_S).sum())])


def _counted(lessons: Sequence[Lesson], bar: Progress) -> Iterator[Lesson]:
    for lesson in lessons:
        yield lesson
        bar.update()


def _seconds(lessons: Sequence[Lesson]) -> float:
    return sum(lesson.speech.duration_s for lesson in lessons)


def _hash_of(lessons: Sequence[Lesson]) -> str:
    """sha256 over the hashes of the files, in their order."""
    return hashlib.sha256("\n".join(sorted(lesson.sha256 for lesson in lessons)).encode()).hexdigest()


def _chance(learned: Sequence[Example], held_out: Sequence[Example]) -> float:
    """Share of held out frames that have the commonest phone of what was learned."""
    known, asked = (np.concatenate([example.labels for example in part]) for part in (learned, held_out))
    commonest = int(np.bincount(known[known >= 0]).argmax())
    return float((asked[asked >= 0] == commonest).mean())
