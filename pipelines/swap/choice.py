"""Which swapper, and which identity onto which face."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..errors import InputError, MissingPackageError
from ..face import Face, Faces
from ..identity.analysis import Recogniser
from ..identity.assign import assign_identities
from ..identity.identity import Identity, encode_references
from ..registry import Registry
from .swappers import SWAPPERS, Assignment, Swapper, SwapperEntry, swapper_named

#: Lines of a report before the rest is counted only.
_MOST_LINES = 20


def load_swapper(registry: Registry, name: str = "auto") -> tuple[Swapper, str]:
    """Load a swapper by name, or the last of `SWAPPERS` whose weights are all present.

    name: "auto" or the name of an entry. Returns the swapper and a text: which it is, its licence, and, for "auto",
    what each better one lacks. Raises MissingWeightsError for a named one without its weights, InputError for another
    name, and WrongWeightsError for a file that is broken or another model: "auto" does not pass over what is there.
    """
    if name != "auto":
        entry = swapper_named(name)
        return entry.load(registry), _describe(entry)
    passed: list[str] = []
    for entry in reversed(SWAPPERS):
        missing = [weights_id for weights_id in entry.requires if registry.find(weights_id) is None]
        if missing:
            passed.append(f"Not {entry.name}: {', '.join(missing)} missing.")
            continue
        try:
            return entry.load(registry), "\n".join([_describe(entry), *passed])
        except MissingPackageError as error:
            passed.append(f"Not {entry.name}: {str(error).partition('. ')[0]}.")
    raise InputError("\n".join(["No swapper can be loaded.", *passed]))


def _describe(entry: SwapperEntry) -> str:
    return f"Swapper: {entry.name}, {entry.title}. Licence {entry.licence}. {entry.needs}".rstrip()


def assign_in_order(faces: Faces, identities: Sequence[Identity]) -> tuple[list[Assignment], str]:
    """One identity onto every face, or several in order: in every picture the first onto the first face, and so on.

    Returns the assignments and a text that names them, the faces that stay as they are because there are fewer
    identities, and the identities that found no face. Raises FaceNotFoundError when no picture has a face.
    """
    faces.require_any("Swap Faces")
    if not identities:
        raise InputError("Swap Faces has no identity: connect one from Build Identity or Load Identity.")
    assignments: list[Assignment] = []
    lines: list[str] = []
    for index, frame in enumerate(faces.frames):
        for number, face in enumerate(frame):
            identity = _identity_of(number, identities)
            lines.append(_line(index, number, face, identity))
            if identity is not None:
                assignments.append((index, face, identity))
        if not frame:
            lines.append(f"picture {index}: no face, passed unchanged")
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more"]
    most = max(len(frame) for frame in faces.frames)
    lines += [f"{identity.name}: no face left for it" for identity in identities[most:] if len(identities) > 1]
    return assignments, "\n".join([f"{len(assignments)} of {len(faces)} face(s) swapped.", *lines])


def assign_by_likeness(
    faces: Faces,
    images: Tensor,
    people: Sequence[Identity],
    identities: Sequence[Identity],
    recogniser: Recogniser,
    min_probability: float = 0.5,
) -> tuple[list[Assignment], str]:
    """Who the faces are decides who they become: wherever people[k] is, identities[k] goes; strangers stay.

    images: (B, H, W, 3), the pictures the faces were found in. In every picture each person is at most one face.
    recogniser: judges; people without its vectors are encoded again from their stored pictures. Returns the assignments
    and a text that names them with their probabilities. Raises FaceNotFoundError when no picture has a face, InputError
    when there are not as many people as identities.
    """
    faces.require_any("Swap Faces")
    if len(people) != len(identities):
        raise InputError(
            f"There are {len(identities)} identities and {len(people)} people of the picture: connect as many people "
            "as identities (person0 becomes identity0), or no people to go by the order of the faces."
        )
    known = [
        person
        if recogniser.name in person.encoders
        else person.with_vectors(encode_references(recogniser, person.crops, person.landmarks))
        for person in people
    ]
    assignments: list[Assignment] = []
    lines: list[str] = []
    found = assign_identities(faces, images, known, recogniser, min_probability)
    numbers = [number for frame in faces.frames for number in range(len(frame))]
    for one, number in zip(found, numbers, strict=True):
        if one.person >= 0:
            assignments.append((one.frame, one.face, identities[one.person]))
            became = f"is {people[one.person].name} ({one.probability:.0%}), becomes {identities[one.person].name}"
        else:
            became = f"is nobody of the people (at most {one.probability:.0%}), unchanged"
        lines.append(f"picture {one.frame}, face {number} {became}")
    met = {one.person for one in found}
    lines = [*lines[:_MOST_LINES], *([f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else [])]
    lines += [f"{person.name} is in no picture" for number, person in enumerate(people) if number not in met]
    return assignments, "\n".join([f"{len(assignments)} of {len(faces)} face(s) swapped, by likeness.", *lines])


def _identity_of(number: int, identities: Sequence[Identity]) -> Identity | None:
    if len(identities) == 1:
        return identities[0]
    return identities[number] if number < len(identities) else None


def _line(index: int, number: int, face: Face, identity: Identity | None) -> str:
    became = identity.name if identity is not None else "unchanged, there is no identity for it"
    return f"picture {index}, face {number} ({face.width_px:.0f} × {face.height_px:.0f} px): {became}"
