"""Who is who: identities assigned to the faces of a picture by likeness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, MissingPackageError
from ..face import Face, Faces, FloatArray
from .analysis import Recogniser
from .identity import Identity, likeness
from .select import embed_faces


@dataclass(frozen=True, eq=False)
class Assignment:
    """A face and who it is. person: index of the identity, -1 when it is nobody of them. probability: in [0, 1]."""

    frame: int
    face: Face
    person: int
    probability: float


def assign_identities(
    faces: Faces, images: Tensor, people: Sequence[Identity], recogniser: Recogniser, min_probability: float = 0.5
) -> tuple[Assignment, ...]:
    """Who is who: in every picture each person is at most one face, and the likeliest combination wins.

    images: (B, H, W, 3), the pictures the faces were found in. Returns one entry per face, in the order of iterating
    them. Concretely the assignment that maximises the sum of the probabilities that reach `min_probability`
    (Hungarian method, Kuhn 1955). Raises InputError for no people, EncoderMismatchError when one lacks the vectors.
    """
    if not people:
        raise InputError("There is nobody to look for: connect at least one identity.")
    known = [person.raw(recogniser.name) for person in people]
    raw = embed_faces(faces, images, recogniser)
    every = np.array([[recogniser.probability(recogniser.distance(a, b)) for b in known] for a in raw], np.float64)
    every = every.reshape(len(raw), len(people))
    assignments: list[Assignment] = []
    for index, frame in enumerate(faces.frames):
        chances = every[len(assignments) : len(assignments) + len(frame)]
        for k, (face, at) in enumerate(zip(frame, best_people(chances, min_probability), strict=True)):
            probability = float(chances[k, at]) if at >= 0 else float(chances[k].max())
            assignments.append(Assignment(index, face, at, probability))
    return tuple(assignments)


def best_people(chances: NDArray[np.float64], min_probability: float) -> list[int]:
    """Who each face is when nobody is two of them: numbers of people, -1 for nobody.

    chances: (faces, people) probabilities. Concretely the assignment that maximises the sum of those that reach
    `min_probability` (Hungarian method, Kuhn 1955).
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingPackageError("Assigning identities needs the package scipy: `pip install scipy`.") from error
    rows, columns = linear_sum_assignment(np.where(chances >= min_probability, chances, 0.0), maximize=True)
    person = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    found = [person.get(k, -1) for k in range(len(chances))]
    return [at if at >= 0 and chances[k, at] >= min_probability else -1 for k, at in enumerate(found)]


def person_or_all(
    recogniser: Recogniser, person: Identity | None, min_probability: float = 0.5
) -> Callable[[FloatArray, frozenset[int]], Sequence[int]]:
    """Says of the tracks of a video who they are: 0 is the person, or everybody where nobody is named; -1 is nobody.

    The function takes mean vectors (T, D) of tracks and who was found in the frame already. Raises
    EncoderMismatchError when the identity lacks the recogniser's vectors.
    """
    if person is not None:
        person.references(recogniser.name)

    def choose(vectors: FloatArray, taken: frozenset[int]) -> Sequence[int]:
        if person is None:
            return [0] * len(vectors)
        chances = np.array([[likeness(recogniser, vector, person)[1]] for vector in vectors], np.float64)
        return best_people(chances * (0 not in taken), min_probability)

    return choose
