"""Who is who: identities assigned to the faces of a picture by likeness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..errors import InputError, MissingPackageError
from ..face import Face, Faces
from .analysis import Recogniser
from .identity import Identity
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
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingPackageError("Assigning identities needs the package scipy: `pip install scipy`.") from error
    if not people:
        raise InputError("There is nobody to look for: connect at least one identity.")
    known = [person.raw(recogniser.name) for person in people]
    raw = embed_faces(faces, images, recogniser)
    every = np.array([[recogniser.probability(recogniser.distance(a, b)) for b in known] for a in raw], np.float64)
    every = every.reshape(len(raw), len(people))
    assignments: list[Assignment] = []
    for index, frame in enumerate(faces.frames):
        chances = every[len(assignments) : len(assignments) + len(frame)]
        rows, columns = linear_sum_assignment(np.where(chances >= min_probability, chances, 0.0), maximize=True)
        person = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        for k, face in enumerate(frame):
            at = person.get(k, -1)
            sure = at >= 0 and chances[k, at] >= min_probability
            probability = float(chances[k, at]) if sure else float(chances[k].max())
            assignments.append(Assignment(index, face, at if sure else -1, probability))
    return tuple(assignments)
