"""The same person keeps one number and a steady face: on drawn discs exactly, on portraits as measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.benchmarks.clips import Clip, crossing_clip, still_clip
from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face, Faces
from likeness.pipelines.identity.analysis import FaceAnalysis, load_embedded_analysis
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.smoothing import LOOK_FRAMES, OneEuro, polynomial_weights, smooth_at
from likeness.pipelines.video.tracking import FaceStream, describe_tracks, track_faces
from likeness.tests.video.drawn import BLUE, GREEN, RED, Colours, face_at, find, picture


@pytest.fixture(scope="module")
def analysis() -> FaceAnalysis:
    return load_embedded_analysis(Registry(TorchRuntime()))


def track_of(faces: Faces, index: int, x: float, y: float) -> int:
    """The track of the face nearest to a place."""
    nearest = min(faces.frames[index], key=lambda face: float(np.hypot(*(face.center - [x, y]))))
    assert np.hypot(*(nearest.center - [x, y])) < 12
    return nearest.track


def people_of_tracks(clip: Clip, faces: Faces) -> dict[int, set[str]]:
    """Who was ever under each track number."""
    found: dict[int, set[str]] = {}
    for index, face in faces:
        nearest = min(clip.placed[index], key=lambda one: np.hypot(*(face.center - [one.x, one.y])))
        assert np.hypot(*(face.center - [nearest.x, nearest.y])) < 0.15 * nearest.height
        found.setdefault(face.track, set()).add(nearest.person)
    return found


def test_nobody_changes_number_when_people_cross_leave_return_and_are_cut_away_from(analysis: FaceAnalysis) -> None:
    clip = crossing_clip()
    looks = Counting(analysis)
    tracked = track_faces(clip.frames, analysis.detect(clip.frames), looks)
    people = people_of_tracks(clip, tracked)
    assert sorted(people) == [0, 1]
    assert sorted(people.values(), key=sorted) == [{"astronaut"}, {"hopper"}]
    assert len(tracked) >= 98
    assert looks.count < 30  # of 99 faces: the recogniser is asked only where motion leaves doubt


class Counting:
    """The real recogniser, and how many faces it saw."""

    def __init__(self, analysis: FaceAnalysis) -> None:
        self._recogniser, self.count = analysis.recogniser, 0
        self.distance, self.probability = self._recogniser.distance, self._recogniser.probability

    def embed(self, images: Tensor, faces: Sequence[tuple[int, Face]]) -> np.ndarray:
        self.count += len(faces)
        return self._recogniser.embed(images, faces)


def test_a_still_face_under_camera_noise_trembles_by_less_than_a_fifth_of_a_pixel(analysis: FaceAnalysis) -> None:
    clip = still_clip(18)
    found = analysis.detect(clip.frames)
    raw, zero_lag, causal = (
        np.stack([frame[0].landmarks for frame in faces.frames])[:, :, :2]
        for faces in (
            found,
            track_faces(clip.frames, found, analysis.recogniser),
            track_faces(clip.frames, found, analysis.recogniser, "one_euro"),
        )
    )
    assert zero_lag.std(0).max() < 0.2
    assert np.abs(np.diff(zero_lag, axis=0)).max() < 0.2
    assert zero_lag.std(0).mean() < 0.5 * raw.std(0).mean()
    assert causal.std(0).mean() < 0.7 * raw.std(0).mean()
    assert np.abs(zero_lag.mean(0) - raw.mean(0)).max() < 0.15


def discs(*places: Sequence[tuple[float, float, float, tuple[float, float, float]]]) -> Tensor:
    return torch.stack([picture(place) for place in places])


def test_a_gap_of_the_detector_is_filled_along_the_way() -> None:
    clip = discs(*([(20 + 3 * k, 40 + k, 11, RED)] for k in range(30)))
    found = find(clip)
    gaps = (9, 10, 11, 20)
    holes = found.with_frames(tuple(() if k in gaps else frame for k, frame in enumerate(found.frames)))
    tracked = track_faces(clip, holes, Colours())
    assert [len(frame) for frame in tracked.frames] == [1] * 30
    assert {face.track for _, face in tracked} == {0}
    for k in gaps:
        assert np.abs(tracked.frames[k][0].center - [20 + 3 * k, 40 + k]).max() < 0.5


def test_nothing_is_filled_in_where_the_face_is_hidden_or_gone() -> None:
    def frame(k: int, hidden: bool, wall: bool) -> Tensor:
        places = [(80.0, 50.0, 12.0, RED)] * (not hidden or not wall)
        return picture([*places, *([(80.0, 50.0, 30.0, (0.5, 0.5, 0.5))] if wall and hidden else [])])

    hidden = range(10, 14)
    clip = torch.stack([frame(k, k in hidden, True) for k in range(24)])
    tracked = track_faces(clip, find(clip), Colours())
    assert [len(faces) for faces in tracked.frames] == [0 if k in hidden else 1 for k in range(24)]
    gone = discs(*([(80, 50, 12, RED)] if k < 10 or k > 20 else [] for k in range(30)))
    assert [len(faces) for faces in track_faces(gone, find(gone), Colours()).frames][10:21] == [0] * 11


def test_a_face_seen_for_one_frame_only_is_left_out() -> None:
    clip = discs(*([(40, 50, 12, RED), *([(120, 40, 9, BLUE)] if k == 8 else [])] for k in range(20)))
    assert [len(frame) for frame in find(clip).frames][8] == 2
    assert {face.track for _, face in track_faces(clip, find(clip), Colours())} == {0}


def test_after_a_cut_people_are_known_by_their_looks_and_nothing_is_smoothed_across_it() -> None:
    first = [[(40, 50, 12, RED), (120, 50, 12, BLUE)]] * 10
    second = [[(42, 52, 14, BLUE), (118, 48, 14, RED), (80, 30, 10, GREEN)]] * 10
    shots = torch.stack(
        [picture(place) for place in first] + [picture(place, shade=0.5).flip(1).flip(0) for place in second]
    )
    shots[10:] = (shots[10:] * torch.tensor([0.9, 1.0, 0.9])).clamp(0, 1)
    found = find(shots)
    stream = FaceStream(Colours())
    done = [faces for image, frame in zip(shots, found.frames, strict=True) for faces in stream.push(image, frame)]
    tracked = found.with_frames(tuple([*done, *stream.finish()]))
    assert stream.cuts == [10]
    assert track_of(tracked, 5, 40, 50) == track_of(tracked, 15, 41, 47) == 0
    assert track_of(tracked, 5, 120, 50) == track_of(tracked, 15, 117, 43) == 1
    assert track_of(tracked, 15, 79, 65) == 2
    for index, face in tracked:
        raw = min(found.frames[index], key=lambda other: float(np.hypot(*(other.center - face.center))))
        assert np.abs(raw.center - face.center).max() < 1e-3
    assert "3 person(s) in 20 frame(s), 50 face(s)." in describe_tracks(tracked)


def test_a_stream_that_is_stopped_and_restored_gives_the_same_faces() -> None:
    def places(k: int) -> list:
        return [(20 + 4 * k, 50, 12, RED), (140 - 4 * k, 52, 11, BLUE)] if k < 34 else [(90, 40, 12, BLUE)]

    clip = discs(*(places(k) for k in range(44)))
    found = find(clip)
    for smoothing in ("zero_lag", "one_euro", "none"):
        whole = track_faces(clip, found, Colours(), smoothing)
        stream, given = FaceStream(Colours(), smoothing), 0
        parts: list[tuple[Face, ...]] = []
        for stop in (13, 30, 44):
            for k in range(len(parts), given):
                stream.show(k, clip[k])
            for k in range(given, stop):
                parts += stream.push(clip[k], found.frames[k])
            given, state = stop, stream.state()
            if stop < 44:
                stream = FaceStream(Colours(), smoothing)
                stream.restore(state)
        parts += stream.finish()
        assert [[face.track for face in frame] for frame in parts] == [
            [face.track for face in frame] for frame in whole.frames
        ]
        for (_, a), (_, b) in zip(found.with_frames(tuple(parts)), whole, strict=True):
            assert np.array_equal(a.landmarks, b.landmarks) and np.array_equal(a.blendshapes, b.blendshapes)


def test_memory_of_tracks_is_bounded() -> None:
    stream = FaceStream(Colours(), "none")
    rng = np.random.default_rng(0)
    image = torch.rand(96, 160, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(700):
        x, y = rng.uniform(10, 150), rng.uniform(10, 80)
        stream.push(image, (face_at(x, y, float(rng.uniform(4, 30))),))
    assert len(stream.tracker.tracks) <= 257


def test_frames_and_faces_that_do_not_belong_together_are_refused() -> None:
    clip = discs([(40, 50, 12, RED)], [(42, 50, 12, RED)])
    with pytest.raises(InputError, match="connect the frames"):
        track_faces(clip[:, :90], find(clip), Colours())
    with pytest.raises(InputError, match="2"):
        track_faces(clip[:1], find(clip), Colours())


def test_frames_without_any_face_stay_so() -> None:
    clip = discs([], [], [])
    tracked = track_faces(clip, find(clip), Colours())
    assert tracked.frames == ((), (), ())
    assert describe_tracks(tracked) == "0 person(s) in 3 frame(s), 0 face(s)."


def test_the_zero_lag_smoother_keeps_straight_and_curved_ways_and_calms_noise() -> None:
    offsets = np.arange(-LOOK_FRAMES, LOOK_FRAMES + 1)
    straight = np.stack([3.0 * offsets + 7, -2.0 * offsets], 1).astype(np.float32)
    assert np.abs(smooth_at(offsets, straight, np.ones(2, np.float32)) - [7, 0]).max() < 1e-5
    curved = (5.0 * offsets**2).astype(np.float32)[:, None]  # far beyond the noise: the parabola is kept
    assert abs(smooth_at(offsets, curved, np.ones(1, np.float32))[0]) < 0.05
    noise = np.random.default_rng(0).normal(size=(13, 4000)).astype(np.float32)
    assert smooth_at(offsets, noise, np.full(4000, 3, np.float32)).std() < 0.4
    lone = smooth_at(np.array([0]), np.array([[4.0]], np.float32), np.ones(1, np.float32))
    assert lone[0] == 4


def test_local_regression_weights_reproduce_polynomials_of_their_degree() -> None:
    offsets = np.array([-5.0, -2, -1, 3, 4])
    for degree in (0, 1, 2):
        weights = polynomial_weights(offsets, 2.5, degree)
        for power in range(degree + 1):
            assert abs(weights @ offsets**power - (power == 0)) < 1e-9


def test_the_one_euro_filter_calms_a_still_value_and_follows_a_fast_one() -> None:
    noise = np.full(500, 1, np.float32)
    rng = np.random.default_rng(0)
    still, fast = OneEuro(), OneEuro()
    calmed = [still.step(rng.normal(size=500).astype(np.float32), noise) for _ in range(60)]
    assert np.stack(calmed[30:]).std() < 0.6
    followed = [fast.step(np.full(500, 20.0 * k, np.float32), noise) for k in range(30)]
    assert 20 * 29 - followed[-1][0] < 10
