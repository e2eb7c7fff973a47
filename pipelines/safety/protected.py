"""People nobody may touch here: a folder of identities, and the refusal when a face is one of theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Literal

from torch import Tensor

from ..errors import LikenessError
from ..face import Face, Faces, FloatArray
from ..files.names import SUFFIX, names_in_folder
from ..identity.analysis import FaceAnalysis
from ..identity.identity import Identity, ensure_encoded
from ..identity.storage import load_identity

#: Two faces nearer than this (Euclidean distance of raw embedded vectors) are taken for one person.
MATCH_DISTANCE = 0.5

Against = Literal["look_alikes", "everybody"]


class ProtectedPersonError(LikenessError):
    """A face is that of somebody who is on the list of protected people."""


@cache
def _impostor_distances() -> dict[str, list[float]]:
    return json.loads(Path(__file__).with_name("impostor_distances.json").read_text("utf-8"))


def impostor_pairs(against: Against) -> list[float]:
    """The measured distances between photos of two different people, ascending.

    against: "look_alikes" are people within one group photo, mostly of one sex and age; "everybody" has the pairs of
    different photos, too. `tools/impostor_distances.py` names the photos and makes the file again.
    """
    table = _impostor_distances()
    return sorted(table["look_alikes"] + (table["others"] if against == "everybody" else []))


def false_match_rate(against: Against, distance: float = MATCH_DISTANCE) -> float:
    """Share in [0, 1] of other people that are wrongly taken for one given person at a distance, extrapolated.

    Concretely the normal distribution fitted to `impostor_pairs`: none of those lies below the limit, so that counting
    them gives 0, and a bound, `rate_that_counting_allows`.
    """
    return NormalDist.from_samples(impostor_pairs(against)).cdf(distance)


def rate_that_counting_allows(against: Against, confidence: float = 0.95) -> float:
    """The largest false match rate in [0, 1] that the measured pairs do not rule out, whatever their distribution.

    Concretely 1 - (1 - confidence)^(1/n) for n pairs none of which lies below `MATCH_DISTANCE` (Clopper and Pearson
    1934), as if every pair had been drawn on its own; they share people, so that the true bound is no smaller.
    """
    return 1 - (1 - confidence) ** (1 / len(impostor_pairs(against)))


@dataclass(frozen=True, eq=False)
class ProtectedPeople:
    """The people of a folder, encoded by the embedded recogniser. people: empty when nobody is protected."""

    people: tuple[Identity, ...]
    analysis: FaceAnalysis

    def refuse_vectors(self, vectors: Iterable[FloatArray], what: str) -> None:
        """Raise ProtectedPersonError when a raw vector (128,) is a protected person's. what: for the message."""
        recogniser = self.analysis.recogniser
        for vector in vectors:
            for person in self.people:
                distance = recogniser.distance(vector, person.raw(recogniser.name))
                if distance < MATCH_DISTANCE:
                    raise ProtectedPersonError(_refusal(what, person, distance))

    def refuse_identities(self, identities: Iterable[Identity]) -> None:
        """Raise ProtectedPersonError when one of the identities is a protected person. Encodes them when needed."""
        if self.people:
            name = self.analysis.recogniser.name
            for identity in identities:
                encoded = ensure_encoded(identity, self.analysis)
                vectors = [encoded.raw(name), *encoded.references(name).raw]
                self.refuse_vectors(vectors, f"Identity {identity.name!r}")

    def refuse_faces(self, images: Tensor, faces: Faces | Sequence[tuple[int, Face]], what: str) -> None:
        """Raise ProtectedPersonError when a face of `images` (B, H, W, 3) is a protected person's."""
        if not self.people:
            return
        listed = (
            [(i, face) for i, frame in enumerate(faces.frames) for face in frame] if isinstance(faces, Faces) else faces
        )
        if listed:
            vectors = self.analysis.recogniser.embed(images[..., :3], listed)
            for (index, _), vector in zip(listed, vectors, strict=True):
                self.refuse_vectors([vector], f"A face of picture {index} of {what}")


def _refusal(what: str, person: Identity, distance: float) -> str:
    look_alikes, everybody = (100 * false_match_rate(kind) for kind in ("look_alikes", "everybody"))
    pairs, bound = len(impostor_pairs("everybody")), 100 * rate_that_counting_allows("everybody")
    return (
        f"{what} is {person.name!r} (distance {distance:.2f}, limit {MATCH_DISTANCE}), who is on the list of protected "
        f"people of this installation, and is refused. About {everybody:.1g} % of other people, {look_alikes:.1g} % of "
        "people as alike as those of one group photo, are wrongly taken for one protected person: extrapolated from "
        f"{pairs} pairs, which alone only say that it is below {bound:.1f} %. Use somebody else, or ask whoever runs "
        "this installation."
    )


def load_protected(folders: Sequence[Path], analysis: FaceAnalysis) -> ProtectedPeople:
    """The protected people of some folders; a folder that does not exist protects nobody.

    analysis: the embedded one. A file that is no identity raises UnsafeFileError: protection that silently shrinks
    would be none.
    """
    files = [folder / f"{name}{SUFFIX}" for folder in folders for name in names_in_folder(folder)]
    return ProtectedPeople(tuple(ensure_encoded(load_identity(file), analysis) for file in files), analysis)
