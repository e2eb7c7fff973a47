"""Who stands where: regions given to people by the best assignment, of likeness to faces and of faces to regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, MissingPackageError
from ..face import Face
from ..identity.analysis import FaceAnalysis, as_pictures
from ..identity.identity import Identity
from ..identity.select import embed_faces
from .layout import Layout, PeopleRegions, centre

#: How people get their regions.
ORDERS = ("left to right", "as given", "likeness")
#: How much a face's being inside a region counts against its distance to it.
INSIDE = 0.9


@dataclass(frozen=True, eq=False)
class SeenPeople:
    """A picture in which the people can be told apart."""

    picture: Tensor
    analysis: FaceAnalysis


def assign_regions(
    people: Sequence[Identity], masks: Tensor, order: str, seen: SeenPeople | None = None
) -> tuple[PeopleRegions, str]:
    """One region per person.

    masks: (N, H, W), N at least as many as people. order: "left to right" (the first person gets the region furthest
    to the left), "as given", or "likeness": by where each person's face is in `seen`. Raises InputError for more
    people than regions.
    """
    if not people:
        raise InputError("There is nobody to give a region to: connect at least one identity.")
    if len(people) > len(masks):
        raise InputError(
            f"There are {len(people)} people ({', '.join(person.name for person in people)}) but only {len(masks)} "
            "region(s): add regions, or connect fewer identities."
        )
    notes = [""] * len(people)
    if order == "likeness":
        chosen, notes = _by_likeness(people, masks, seen)
    elif order == "left to right":
        chosen = sorted(range(len(masks)), key=lambda index: centre(masks[index])[0])[: len(people)]
    elif order == "as given":
        chosen = list(range(len(people)))
    else:
        raise InputError(f"Unknown order of regions {order!r}: choose left to right, as given or likeness.")
    lines = [
        f"{person.name}: region {index}, {100 * float(masks[index].mean()):.0f} % of the picture, around "
        f"({centre(masks[index])[0]:.0f}, {centre(masks[index])[1]:.0f}) px{note}"
        for person, index, note in zip(people, chosen, notes, strict=True)
    ]
    spare = len(masks) - len(people)
    lines += [f"{spare} region(s) left over"] if spare else []
    return PeopleRegions(tuple(people), masks[chosen]), "\n".join(lines)


def lay_out(
    people: Sequence[Identity],
    layout: Layout,
    order: str,
    picture: Tensor | None = None,
    analysis: FaceAnalysis | None = None,
) -> tuple[PeopleRegions, str]:
    """`assign_regions` on a layout; picture and analysis are for the order "likeness"."""
    seen = SeenPeople(picture, analysis) if picture is not None and analysis is not None else None
    return assign_regions(people, layout.masks(), order, seen)


def best_pairs(scores: NDArray[np.float64]) -> list[int]:
    """The column of each row, -1 for none, so that the sum of the scores is greatest and no column is used twice.

    scores: (R, C). With more rows than columns some rows go without (Hungarian method, Kuhn 1955).
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingPackageError("Assigning regions needs the package scipy: `pip install scipy`.") from error
    rows, columns = linear_sum_assignment(scores, maximize=True)
    found = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [found.get(row, -1) for row in range(len(scores))]


def seat(chances: NDArray[np.float64], nearness: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """The region of every person, and the face by which it was found, -1 for none.

    chances: (people, faces), how likely each face is each person. nearness: (faces, regions). First the most likely
    combination of people and faces, then the nearest one of those faces and regions; who has no face gets what is
    left. Regions at least as many as people.
    """
    faces = best_pairs(chances)
    flat = np.full((len(chances), nearness.shape[1]), nearness.min(initial=0.0) - 1.0)
    scores = np.array([nearness[face] if face >= 0 else row for face, row in zip(faces, flat, strict=True)])
    return best_pairs(scores), faces


def _by_likeness(people: Sequence[Identity], masks: Tensor, seen: SeenPeople | None) -> tuple[list[int], list[str]]:
    if seen is None:
        raise InputError("Regions by likeness need a picture with the people's faces, and a face analysis.")
    picture = as_pictures(seen.picture[:1], "The picture with the people")
    found = seen.analysis.detect(picture)
    found.require_any("Identity Regions by likeness")
    recogniser = seen.analysis.recogniser
    vectors = embed_faces(found, picture, recogniser)
    chances = np.array(
        [
            [recogniser.probability(recogniser.distance(vector, person.raw(recogniser.name))) for vector in vectors]
            for person in people
        ]
    )
    size = (picture.shape[1], picture.shape[2])
    nearness = np.stack([face_nearness(face, masks, *size) for face in found.frames[0]])
    regions, faces = seat(chances, nearness)
    notes = [
        ", not seen in the picture" if face < 0 else f", likeness {chances[row, face]:.2f}"
        for row, face in enumerate(faces)
    ]
    return regions, notes


def face_nearness(face: Face, masks: Tensor, height: int, width: int) -> NDArray[np.float64]:
    """(N,) in [0, 1]: how near a face, in a picture of height × width px, is to each mask.

    Mostly the part of its box that lies in the mask, and so that a face outside all of them has a nearest one, the
    distance of the centres in units of the picture's diagonal.
    """
    x0, y0, x1, y1 = (float(value) for value in face.bbox_xyxy)
    rows, columns = masks.shape[-2] / height, masks.shape[-1] / width
    middle = ((x0 + x1) / 2 * columns, (y0 + y1) / 2 * rows)
    diagonal = math.hypot(masks.shape[-2], masks.shape[-1])
    distances = np.array([math.dist(centre(mask), middle) for mask in masks]) / diagonal
    return INSIDE * face_shares(face, masks, height, width) + (1 - INSIDE) * (1 - distances)


def face_shares(face: Face, masks: Tensor, height: int, width: int) -> NDArray[np.float64]:
    """(N,): how much of a face's box, in a picture of height × width px, lies in each mask."""
    rows, columns = masks.shape[-2] / height, masks.shape[-1] / width
    x0, y0, x1, y1 = (float(value) for value in face.bbox_xyxy)
    top, left = max(int(y0 * rows), 0), max(int(x0 * columns), 0)
    part = masks[:, top : max(int(y1 * rows), top + 1), left : max(int(x1 * columns), left + 1)]
    return part.mean((1, 2)).double().numpy() if part.numel() else np.zeros(len(masks))
