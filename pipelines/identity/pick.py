"""Which face of each photo is the person that the photos are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from ..errors import InputError
from ..face import Face, FloatArray
from .analysis import Recogniser
from .quality import mean_vector, same_person_matrix

#: agreement: who appears in most photos. largest: the largest face. center: nearest to the middle of the photo.
Pick = Literal["agreement", "largest", "center"]
PICKS: tuple[Pick, ...] = get_args(Pick)

#: What being the largest face of a photo counts against a sure match in one other photo.
_SIZE_VOTE = 0.25


def pick_faces(
    recogniser: Recogniser,
    faces: Sequence[Sequence[Face]],
    raw: Sequence[FloatArray],
    centers: Sequence[tuple[float, float]],
    pick: Pick,
) -> list[int]:
    """The index of one face per photo.

    faces: per photo its faces (at least one). raw: per photo (F, D) their vectors. centers: per photo the middle, px.
    "agreement" finds the face with the most support, concretely the sum over the other photos of the highest
    probability of meeting it there, plus 0.25 x its size relative to the largest face of its photo; then takes from
    every photo the face that is nearest to it, and once more the nearest to the mean of those. A single photo gives
    its largest face. Raises InputError for another word.
    """
    if pick not in PICKS:
        raise InputError(f"There is no way {pick!r} to pick a face; there are {', '.join(PICKS)}.")
    if pick == "center":
        return [_nearest_to(frame, center) for frame, center in zip(faces, centers, strict=True)]
    sizes = [_relative_sizes(frame) for frame in faces]
    if pick == "largest" or len(faces) < 2 or all(len(frame) == 1 for frame in faces):
        return [int(np.argmax(size)) for size in sizes]
    return _by_agreement(recogniser, raw, sizes)


def _by_agreement(recogniser: Recogniser, raw: Sequence[FloatArray], sizes: Sequence[FloatArray]) -> list[int]:
    best, anchor = -1.0, raw[0][0]
    for at, vectors in enumerate(raw):
        others = [same_person_matrix(recogniser, vectors, other).max(1) for k, other in enumerate(raw) if k != at]
        support = np.sum(others, axis=0) + _SIZE_VOTE * sizes[at]
        if support.max() > best:
            best, anchor = float(support.max()), vectors[int(np.argmax(support))]
    chosen = _nearest_vectors(recogniser, raw, anchor)
    members = [vectors[index] for vectors, index in zip(raw, chosen, strict=True)]
    alike = same_person_matrix(recogniser, np.stack(members), anchor[None])[:, 0]
    return _nearest_vectors(recogniser, raw, mean_vector(np.stack(members), alike.tolist()))


def _nearest_vectors(recogniser: Recogniser, raw: Sequence[FloatArray], anchor: FloatArray) -> list[int]:
    return [int(np.argmin([recogniser.distance(vector, anchor) for vector in vectors])) for vectors in raw]


def _relative_sizes(frame: Sequence[Face]) -> FloatArray:
    areas = np.array([face.area_px for face in frame], dtype=np.float32)
    return areas / areas.max()


def _nearest_to(frame: Sequence[Face], center: tuple[float, float]) -> int:
    return int(np.argmin([np.linalg.norm(face.center - np.array(center)) for face in frame]))
