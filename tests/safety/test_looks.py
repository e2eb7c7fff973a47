"""People of a video are looked at when they are met and when there is more to see, and are remembered in bounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch.nn.functional as F
from torch import Tensor

from likeness.pipelines.face import Face, TrackedFrame
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.storage import save_identity
from likeness.pipelines.safety.looks import LATER, MOST_BETTER, Looks, MetTracks, visibility
from likeness.pipelines.safety.protected import ProtectedPersonError, load_protected
from likeness.pipelines.safety.statement import MAX_ITEMS, Track


@pytest.fixture(scope="module")
def face(analysis: FaceAnalysis, astronaut: Tensor) -> Face:
    return replace(analysis.detect(astronaut).frames[0][0], track=3)


def frame(picture: Tensor, face: Face, index: int) -> TrackedFrame:
    return TrackedFrame(picture[0], (face,), (0,), index, index / 25)


def blurred(picture: Tensor, times: float) -> Tensor:
    small = F.interpolate(picture.movedim(3, 1), scale_factor=1 / times, mode="area")
    return F.interpolate(small, size=picture.shape[1:3], mode="bilinear").movedim(1, 3)


def turned(face: Face) -> Face:
    """The face as far in profile as its mesh can be turned: 75 degrees."""
    assert face.landmarks is not None
    middle, angle = face.landmarks.mean(0), np.radians(75)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    landmarks = ((face.landmarks - middle) @ turn.T + middle).astype(np.float32)
    return replace(face, landmarks=landmarks)


def test_a_sharp_face_shows_more_than_a_blurred_one_and_that_more_than_one_in_profile(
    astronaut: Tensor, face: Face
) -> None:
    sharp, soft = visibility(astronaut[0], face), visibility(blurred(astronaut, 8)[0], face)
    assert sharp > 0.5 and soft < 0.5 * sharp
    assert visibility(astronaut[0], turned(face)) < 0.2 * sharp
    outside = replace(face, bbox_xyxy=face.bbox_xyxy + 5000)
    assert visibility(astronaut[0], outside) == 0


def test_a_face_met_in_a_bad_frame_is_looked_at_again_in_the_first_good_one(astronaut: Tensor, face: Face) -> None:
    pictures = [blurred(astronaut, 8)] * 3 + [astronaut] * 3
    looks = Looks()
    shots = [frame(picture, face, index) for index, picture in enumerate(pictures)]
    assert [len(looks.due(shot, shot.faces)) for shot in shots] == [1, 0, 0, 1, 0, 0]


def test_a_protected_person_whose_first_frame_says_nothing_is_refused_in_the_good_one(
    astronaut: Tensor, face: Face, analysis: FaceAnalysis, tmp_path: Path
) -> None:
    save_identity(build_identity(analysis, [astronaut], name="Eileen")[0], tmp_path)
    protected, looks = load_protected([tmp_path], analysis), Looks()

    def look(shot: TrackedFrame) -> None:
        protected.refuse_faces(shot.picture[None], [(0, one) for one in looks.due(shot, shot.faces)], "the video")

    for index in range(3):
        look(frame(blurred(astronaut, 16), face, index))
    with pytest.raises(ProtectedPersonError, match="of the video is 'Eileen'"):
        look(frame(astronaut, face, 3))


def test_however_long_a_track_and_however_it_improves_the_looks_are_bounded(
    monkeypatch: pytest.MonkeyPatch, astronaut: Tensor, face: Face
) -> None:
    shown = {"now": 1e-9}
    monkeypatch.setattr("likeness.pipelines.safety.looks.visibility", lambda *_: shown["now"])
    looks, count = Looks(), 0
    for index in range(1000):
        shown["now"] *= 1.3
        count += len(looks.due(frame(astronaut, face, index), [face]))
    assert count == 1 + MOST_BETTER + len(LATER)


def test_a_steady_face_is_looked_at_again_after_half_a_second_two_and_ten(
    monkeypatch: pytest.MonkeyPatch, astronaut: Tensor, face: Face
) -> None:
    monkeypatch.setattr("likeness.pipelines.safety.looks.visibility", lambda *_: 0.5)
    looks = Looks()
    due = [index for index in range(5, 400) if looks.due(frame(astronaut, face, index), [face])]
    assert due == [5, 5 + LATER[0], 5 + LATER[1], 5 + LATER[2]]


def test_the_tracks_of_a_work_say_when_and_where_and_go_on_after_an_interrupt(astronaut: Tensor, face: Face) -> None:
    met = MetTracks()
    for index in (4, 5, 9):
        met.meet(frame(astronaut, face, index), [face])
    again = MetTracks()
    again.restore(met.rows())
    moved = replace(face, bbox_xyxy=face.bbox_xyxy + 7)
    again.meet(frame(astronaut, face, 12), [moved])
    first, last = ([round(float(value)) for value in one.bbox_xyxy] for one in (face, moved))
    assert met.tracks() == (Track(3, 4, 9, (tuple(first), tuple(first))),)
    assert again.tracks() == (Track(3, 4, 12, (tuple(first), tuple(last))),)
    assert MetTracks().tracks() == () and MetTracks().rows().shape == (0, 11)


def test_no_more_tracks_are_named_than_a_statement_holds(astronaut: Tensor, face: Face) -> None:
    met = MetTracks()
    crowd = [replace(face, track=number) for number in range(MAX_ITEMS + 9)]
    met.meet(frame(astronaut, face, 0), crowd)
    assert len(met.tracks()) == MAX_ITEMS
