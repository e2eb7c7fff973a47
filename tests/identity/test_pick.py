"""Which face of each photo is the person: exact cases, with people who are numbers on a line."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.face import Face
from likeness.pipelines.identity.pick import pick_faces


class Ruler:
    """Two numbers less than 1 apart are the same person."""

    name, licence, commercial_use, dimension = "ruler", "none", True, 1

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(abs(a[0] - b[0]))

    def probability(self, distance: float) -> float:
        return 1 / (1 + np.exp((distance - 1) * 10))


def photo(*people: tuple[float, float]) -> tuple[list[Face], np.ndarray]:
    """Faces side by side, each given as (who, size in px)."""
    faces = [
        Face(np.array([100 * k, 0, 100 * k + size, size], np.float32), 0.9, np.zeros((5, 2), np.float32))
        for k, (_, size) in enumerate(people)
    ]
    return faces, np.array([[who] for who, _ in people], np.float32)


def picked(photos: list[tuple[list[Face], np.ndarray]], pick: str = "agreement") -> list[float]:
    """Who is picked in each photo."""
    faces, raw = zip(*photos, strict=True)
    chosen = pick_faces(Ruler(), faces, raw, [(150.0, 50.0)] * len(photos), pick)  # type: ignore[arg-type]
    return [float(vectors[index, 0]) for vectors, index in zip(raw, chosen, strict=True)]


A, B, C, D = 0.0, 5.0, 10.0, 15.0


@pytest.mark.parametrize(
    ("photos", "people"),
    [
        # alone, the largest
        ([photo((A, 20), (B, 90), (C, 30))], [B]),
        # a stranger in front of one photo
        ([photo((A, 50)), photo((B, 90), (A, 40)), photo((A, 30), (C, 80))], [A, A, A]),
        # a couple in every photo: the larger face of the clearest photo, in all of them
        ([photo((A, 50), (B, 60)), photo((B, 60), (A, 50)), photo((A, 40), (B, 80))], [B, B, B]),
        # always with somebody else
        ([photo((B, 90), (A, 30)), photo((C, 90), (A, 30)), photo((D, 90), (A, 30))], [A, A, A]),
        # looks that vary, and a photo of a stranger only: its face is taken here and rejected as an outlier later
        (
            [photo((A, 50), (C, 60)), photo((A + 0.6, 50)), photo((A - 0.6, 50), (D, 90)), photo((B, 50))],
            [A, 0.6, -0.6, B],
        ),
    ],
)
def test_the_face_that_most_photos_share_is_picked(
    photos: list[tuple[list[Face], np.ndarray]], people: list[float]
) -> None:
    assert picked(photos) == pytest.approx(people)


def test_agreement_does_not_depend_on_the_order_of_photos() -> None:
    photos = [photo((B, 90), (A, 40)), photo((A, 50)), photo((A, 30), (C, 80)), photo((C, 20), (A, 50), (B, 60))]
    assert picked(photos) == picked(photos[::-1]) == [A, A, A, A]


def test_largest_and_center_look_at_each_photo_alone() -> None:
    photos = [photo((A, 50), (B, 60)), photo((A, 90), (B, 60), (C, 30))]
    assert picked(photos, "largest") == [B, A]
    assert picked(photos, "center") == [B, B]
