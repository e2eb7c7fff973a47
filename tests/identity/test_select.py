"""Choosing faces by place, size, score, list and likeness, and assigning people to them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from likeness.pipelines.errors import EncoderMismatchError, InputError, LikenessError
from likeness.pipelines.face import Face, Faces
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.assign import assign_identities
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.identity.select import (
    ORDERS,
    FaceLimits,
    Wanted,
    describe_selection,
    parse_indices,
    select_faces,
)


def face(x: float, y: float, size: float, score: float = 0.9) -> Face:
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    return Face(box, score, np.zeros((5, 2), np.float32))


#: In a picture of 200 x 100 px: a small one at the left, a large one right of the middle, a middling one at the right.
SMALL, LARGE, RIGHT = face(20, 50, 10, 0.7), face(110, 60, 60, 0.8), face(170, 20, 30, 0.95)
FACES = Faces(((LARGE, RIGHT, SMALL), (), (RIGHT,)), height=100, width=200)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("largest", (LARGE, RIGHT, SMALL)),
        ("smallest", (SMALL, RIGHT, LARGE)),
        ("left_to_right", (SMALL, LARGE, RIGHT)),
        ("right_to_left", (RIGHT, LARGE, SMALL)),
        ("top_to_bottom", (RIGHT, SMALL, LARGE)),
        ("center", (LARGE, RIGHT, SMALL)),
        ("score", (RIGHT, LARGE, SMALL)),
        ("detected", (LARGE, RIGHT, SMALL)),
    ],
)
def test_every_order_is_taken_in_each_picture_on_its_own(by: str, expected: tuple[Face, ...]) -> None:
    chosen = select_faces(FACES, by=by)  # type: ignore[arg-type]
    assert chosen.frames == (expected, (), (RIGHT,)) and (chosen.height, chosen.width) == (100, 200)
    assert select_faces(FACES, by=by, count=1).frames == (expected[:1], (), (RIGHT,))  # type: ignore[arg-type]


def test_the_table_above_covers_every_order_but_likeness() -> None:
    assert set(ORDERS) == {
        "largest",
        "smallest",
        "left_to_right",
        "right_to_left",
        "top_to_bottom",
        "center",
        "score",
        "detected",
        "likeness",
    }


def test_an_index_list_picks_places_of_the_order() -> None:
    def picked(indices: str) -> tuple[Face, ...]:
        return select_faces(FACES, by="left_to_right", indices=indices).frames[0]

    assert picked("0") == (SMALL,) and picked("2,0") == (RIGHT, SMALL) and picked("1-5") == (LARGE, RIGHT)
    assert picked("7") == ()
    assert select_faces(FACES, by="left_to_right", indices="0-2", count=2).frames[0] == (SMALL, LARGE)


@pytest.mark.parametrize(("text", "places"), [("", ()), (" 1 ; 3 ", (1, 3)), ("0-2,1", (0, 1, 2)), ("4,", (4,))])
def test_index_lists_are_read_as_people_write_them(text: str, places: tuple[int, ...]) -> None:
    assert parse_indices(text) == places


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "1.5", "1 2", "0x1", "²", "99999", "1--2"])
def test_an_unreadable_index_list_is_quoted(text: str) -> None:
    with pytest.raises(InputError, match="index list"):
        parse_indices(text)


@given(st.text(alphabet="0123456789,-; ab", max_size=12))
def test_any_index_list_is_read_or_refused(text: str) -> None:
    try:
        places = parse_indices(text)
    except LikenessError:
        return
    assert len(set(places)) == len(places) and all(0 <= place <= 9999 for place in places)


def test_limits_leave_faces_out_by_size_score_and_place() -> None:
    def left(limits: FaceLimits, invert: bool = False) -> tuple[Face, ...]:
        return select_faces(FACES, limits=limits, invert=invert).frames[0]

    assert left(FaceLimits(min_size_px=30)) == (LARGE, RIGHT)
    assert left(FaceLimits(max_size_px=30)) == (RIGHT, SMALL)
    assert left(FaceLimits(min_score=0.8)) == (LARGE, RIGHT)
    assert left(FaceLimits(region=(0.5, 0, 1, 1))) == (LARGE, RIGHT)
    assert left(FaceLimits(region=(0.5, 0, 1, 0.5))) == (RIGHT,)
    assert left(FaceLimits(region=(0.5, 0, 1, 0.5)), invert=True) == (LARGE, SMALL)
    for broken in (FaceLimits(region=(0.5, 0, 0.5, 1)), FaceLimits(min_size_px=50, max_size_px=40)):
        with pytest.raises(InputError):
            left(broken)


def test_a_face_whose_middle_is_outside_the_picture_belongs_to_its_edge() -> None:
    cut_off = face(-5, 50, 40)
    faces = Faces(((cut_off,),), 100, 200)
    assert len(select_faces(faces)) == 1 and len(select_faces(faces, limits=FaceLimits(region=(0, 0, 0.3, 1)))) == 1
    assert len(select_faces(faces, limits=FaceLimits(region=(0.1, 0, 1, 1)))) == 0


def test_what_was_kept_is_told() -> None:
    assert describe_selection(FACES, select_faces(FACES, count=1)) == "2 of 4 face(s) kept in 3 picture(s)."
    none = select_faces(FACES, limits=FaceLimits(max_size_px=20))
    assert describe_selection(FACES, none).endswith("None of the faces was kept in 1 picture(s): 2.")


def test_unknown_orders_and_likeness_without_a_person_are_refused() -> None:
    with pytest.raises(InputError, match="'biggest'.*largest"):
        select_faces(FACES, by="biggest")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs an identity"):
        select_faces(FACES, by="likeness")
    with pytest.raises(InputError, match="count is -1"):
        select_faces(FACES, count=-1)


@pytest.fixture(scope="module")
def pair(analysis: FaceAnalysis, astronaut: Tensor, hopper: Tensor) -> tuple[Identity, Identity]:
    return build_identity(analysis, [astronaut], "Eileen")[0], build_identity(analysis, [hopper], "Grace")[0]


@pytest.fixture(scope="module")
def group(astronaut: Tensor, hopper: Tensor) -> Tensor:
    """(2, 512, 1024, 3): both people side by side, the second time mirrored."""
    height = 512
    width = round(hopper.shape[2] * height / hopper.shape[1])
    admiral = F.interpolate(hopper.movedim(3, 1), (height, width), mode="area").movedim(1, 3)
    picture = torch.cat([astronaut, admiral], dim=2)
    return torch.cat([picture, picture.flip(2)])


def test_likeness_finds_the_person_wherever_they_stand(
    analysis: FaceAnalysis, group: Tensor, pair: tuple[Identity, Identity]
) -> None:
    faces = analysis.detect(group)
    assert [len(frame) for frame in faces.frames] == [2, 2]
    for identity, left_first in zip(pair, (True, False), strict=True):
        wanted = Wanted(identity, analysis.recogniser, group)
        chosen = select_faces(faces, by="likeness", wanted=wanted)
        assert [len(frame) for frame in chosen.frames] == [1, 1]
        middles = [frame[0].center[0] < group.shape[2] / 2 for frame in chosen.frames]
        assert middles == [left_first, not left_first]
        others = select_faces(faces, by="likeness", wanted=wanted, invert=True)
        assert all(a[0] is not b[0] for a, b in zip(chosen.frames, others.frames, strict=True))
        everyone = select_faces(faces, by="likeness", wanted=Wanted(identity, analysis.recogniser, group, 0.0))
        assert [frame[0] for frame in everyone.frames] == [frame[0] for frame in chosen.frames]
    nobody = select_faces(faces, by="likeness", wanted=Wanted(pair[0], analysis.recogniser, group, 1.0))
    assert len(nobody) == 0


def test_likeness_says_when_picture_or_recogniser_do_not_belong(
    analysis: FaceAnalysis, group: Tensor, pair: tuple[Identity, Identity], astronaut: Tensor
) -> None:
    faces = analysis.detect(group)
    for wrong, says in ((group[:1], "1 picture"), (torch.cat([astronaut, astronaut]), "connect the picture")):
        with pytest.raises(InputError, match=says):
            select_faces(faces, by="likeness", wanted=Wanted(pair[0], analysis.recogniser, wrong))
    foreign = pair[0].with_vectors(EncodedReferences("other", "", np.ones((1, 4), np.float32)))
    foreign = Identity("X", foreign.crops, foreign.landmarks, foreign.weights, foreign.vectors[1:])
    with pytest.raises(EncoderMismatchError, match="dlib_resnet_128"):
        select_faces(faces, by="likeness", wanted=Wanted(foreign, analysis.recogniser, group))


def test_everyone_is_assigned_to_themselves(
    analysis: FaceAnalysis, group: Tensor, pair: tuple[Identity, Identity]
) -> None:
    faces = analysis.detect(group)
    assigned = assign_identities(faces, group, pair, analysis.recogniser)
    assert [(entry.frame, entry.face) for entry in assigned] == list(faces)
    for entry in assigned:
        on_the_left = entry.face.center[0] < group.shape[2] / 2
        assert entry.person == (0 if on_the_left == (entry.frame == 0) else 1) and entry.probability > 0.9
    alone = assign_identities(faces, group, pair[1:], analysis.recogniser)
    assert sorted(entry.person for entry in alone) == [-1, -1, 0, 0]
    assert all(entry.probability < 0.5 for entry in alone if entry.person == -1)
    with pytest.raises(InputError, match="nobody to look for"):
        assign_identities(faces, group, [], analysis.recogniser)


class Table:
    """A recogniser whose vectors are rows of numbers, and whose distance is one minus their product."""

    name, licence, commercial_use, dimension = "table", "none", True, 3

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows.astype(np.float32)

    def embed(self, images: Tensor, faces: list[tuple[int, Face]]) -> np.ndarray:
        return self.rows[: len(faces)]

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        return 1 - float(a @ b)

    def probability(self, distance: float) -> float:
        return 1 - distance


@given(st.lists(st.lists(st.integers(0, 100), min_size=3, max_size=3), min_size=3, max_size=3))
def test_the_assignment_is_the_best_of_all(chances: list[list[int]]) -> None:
    table = np.array(chances) / 100
    blank = torch.zeros(1, 512, 512, 3, dtype=torch.uint8)
    people = [
        Identity(str(k), blank, np.zeros((1, 478, 3), np.float32), np.ones(1, np.float32),
                 (EncodedReferences("table", "", np.eye(3, dtype=np.float32)[k : k + 1]),))
        for k in range(3)
    ]  # fmt: skip
    faces = Faces((tuple(face(20.0 + 30 * k, 50, 10) for k in range(3)),), 100, 200)
    assigned = assign_identities(faces, torch.zeros(1, 100, 200, 3), people, Table(table))  # type: ignore[arg-type]
    kept = np.where(table.astype(np.float32) >= 0.5, table, 0)
    best = max(sum(kept[row, column] for row, column in enumerate(order)) for order in permutations(range(3)))
    assert sum(entry.probability for entry in assigned if entry.person >= 0) == pytest.approx(best, abs=1e-5)
    persons = [entry.person for entry in assigned if entry.person >= 0]
    assert len(set(persons)) == len(persons)
