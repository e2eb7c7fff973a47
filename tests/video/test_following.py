"""Faces followed between detections: how seldom the detector is asked, and that nobody is lost or late for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.benchmarks.clips import Placed, clip_of, crossing_clip, still_clip
from likeness.pipelines.face import Face, TrackedFrame, five_points
from likeness.pipelines.identity.analysis import FaceAnalysis, load_embedded_analysis
from likeness.pipelines.identity.finder import FaceFinder
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.face_tracks import FaceTracks
from likeness.pipelines.video.following import DETECT_EVERY, Follower, Sight
from likeness.pipelines.video.processing import Frame
from likeness.tests.video.drawn import BLUE, GREEN, RED, Disc, Discs, picture


def feed(follower: Follower, frames: Sequence[Tensor]) -> list[Sight]:
    return [sight for frame in frames for sight in follower.push(frame)] + follower.finish()


def tracked(tracks: FaceTracks, frames: Sequence[Tensor]) -> list[TrackedFrame]:
    pushed = [Frame(picture, k, 0.04 * k) for k, picture in enumerate(frames)]
    return [done for frame in pushed for done in tracks.push(frame)] + tracks.finish()


def walk(k: int) -> Disc:
    return (20 + 2.0 * k, 40.0, 11.0, RED)


def test_the_detector_sees_every_twelfth_frame_and_the_last_one() -> None:
    finder = Discs()
    sights = feed(Follower(finder), [picture([walk(k)]) for k in range(30)])
    assert [k for k, sight in enumerate(sights) if sight.detected] == [0, 12, 24, 29] and DETECT_EVERY == 12
    assert finder.detections == 4
    for k, sight in enumerate(sights):
        assert len(sight.faces) == 1 and abs(sight.faces[0].center[0] - 20 - 2 * k) < 0.6


@pytest.mark.parametrize("enters", [1, 5, 11, 12, 20])
def test_a_new_face_is_there_from_its_first_frame_on(enters: int) -> None:
    frames = [picture([walk(k), *([(110.0, 60.0, 10.0, BLUE)] if k >= enters else [])]) for k in range(24)]
    sights = feed(Follower(Discs()), frames)
    assert [len(sight.faces) for sight in sights] == [1] * enters + [2] * (24 - enters)


def test_without_looking_back_frames_come_at_once_and_a_new_face_at_most_a_detection_later() -> None:
    frames = [picture([walk(k), *([(110.0, 60.0, 10.0, BLUE)] if k >= 3 else [])]) for k in range(24)]
    follower = Follower(Discs(), look_back=False)
    given = [follower.push(frame) for frame in frames]
    assert [len(sights) for sights in given] == [1] * 24 and follower.finish() == []
    assert [len(sight.faces) for (sight,) in given] == [1] * 12 + [2] * 12


def test_a_lost_face_is_looked_for_at_once_and_one_that_left_is_not() -> None:
    leap = [walk(k) if k < 7 else (130 - 2.0 * k, 60.0, 11.0, RED) for k in range(12)]
    still = [(x, 80.0, 10.0, (0.9, 0.9, 0.9)) for x in (20.0, 60.0, 140.0)]  # so that the leap is no cut
    finder = Discs()
    sights = feed(Follower(finder), [picture([one, *still]) for one in leap])
    assert [k for k, sight in enumerate(sights) if sight.detected] == [0, 7, 11]
    assert [len(sight.faces) for sight in sights] == [1] * 12
    finder = Discs()
    sights = feed(Follower(finder), [picture([walk(k)] if k < 5 else []) for k in range(17)])
    assert [k for k, sight in enumerate(sights) if sight.detected] == [0, 5, 16]
    assert [len(sight.faces) for sight in sights] == [1] * 5 + [0] * 12


def test_after_a_cut_nobody_is_followed_and_the_end_of_a_shot_is_searched() -> None:
    first = [picture([walk(k), *([(120.0, 70.0, 10.0, GREEN)] if k >= 4 else [])]) for k in range(8)]
    second = [1 - picture([(150 - 2.0 * k, 30.0, 11.0, BLUE)]).flip(0) for k in range(8)]
    colours = [frame.flip(0) * 0 + (1 - frame) for frame in second]  # the same discs upright on another ground
    shots = [*first, *[(frame * 0.999).flip(1).flip(1) for frame in colours]]
    shots[8:] = [torch.where(frame.std(-1, keepdim=True) > 0.2, frame, 1 - frame) for frame in shots[8:]]
    sights = feed(Follower(Discs()), shots)
    assert [k for k, sight in enumerate(sights) if sight.cut] == [8]
    assert [k for k, sight in enumerate(sights) if sight.detected] == [0, 7, 8, 15]
    assert [len(sight.faces) for sight in sights] == [1] * 4 + [2] * 4 + [1] * 8


def test_a_face_that_the_detector_does_not_see_again_and_again_is_given_up() -> None:
    finder = Discs(blind=[1, 2, 3])
    sights = feed(Follower(finder), [picture([walk(k)]) for k in range(40)])
    faces = [len(sight.faces) for sight in sights]
    assert faces[:24] == [1] * 24, "one miss is no reason"
    assert 0 in faces[24:], "two are"


def test_a_follower_that_is_stopped_and_restored_gives_the_same_faces() -> None:
    frames = [picture([walk(k), *([(110.0, 60.0, 10.0, BLUE)] if k >= 15 else [])]) for k in range(30)]
    whole = feed(Follower(Discs()), frames)
    for stop in (3, 14, 20):
        follower = Follower(Discs())
        done = [sight for frame in frames[:stop] for sight in follower.push(frame)]
        state, follower = follower.state(), Follower(Discs())
        waiting = follower.restore(state)
        assert waiting == stop - len(done)
        for frame in frames[stop - waiting : stop]:
            follower.show(frame)
        done += [sight for frame in frames[stop:] for sight in follower.push(frame)] + follower.finish()
        assert [[tuple(f.center) for f in sight.faces] for sight in done] == [
            [tuple(f.center) for f in sight.faces] for sight in whole
        ]


@pytest.fixture(scope="module")
def analysis() -> FaceAnalysis:
    return load_embedded_analysis(Registry(TorchRuntime()))


class Counting:
    """The real finder; notes how many faces were known at each detection."""

    def __init__(self, analysis: FaceAnalysis) -> None:
        self._finder, self.seen = FaceFinder(analysis, blendshapes=False), []
        self.follow = self._finder.follow

    def detect(self, picture: Tensor, known: Sequence[Face]) -> tuple[list[Face], list[Face | None]]:
        self.seen.append(len(known))
        return self._finder.detect(picture, known)


def test_followed_people_who_cross_leave_return_and_are_cut_away_from_keep_their_numbers(
    analysis: FaceAnalysis,
) -> None:
    clip, finder = crossing_clip(), Counting(analysis)
    frames = tracked(FaceTracks(finder, analysis.recogniser), list(clip.frames))
    people: dict[int, set[str]] = {}
    for frame in frames:
        for face in frame.faces:
            nearest = min(clip.placed[frame.index], key=lambda one: np.hypot(*(face.center - [one.x, one.y])))
            assert np.hypot(*(face.center - [nearest.x, nearest.y])) < 0.15 * nearest.height
            people.setdefault(face.track, set()).add(nearest.person)
    assert people == {0: {"astronaut"}, 1: {"hopper"}}
    assert sum(len(frame.faces) for frame in frames) >= 100
    assert len(finder.seen) <= 12  # of 60 frames
    assert [frame.index for frame in frames if frame.cut] == [32]


def test_a_followed_still_face_trembles_by_less_than_a_fifth_of_a_pixel_and_does_not_slide(
    analysis: FaceAnalysis,
) -> None:
    clip = still_clip(26)
    frames = tracked(FaceTracks(FaceFinder(analysis), analysis.recogniser), list(clip.frames))
    points = np.stack([frame.faces[0].landmarks[:, :2] for frame in frames])
    assert points.std(0).max() < 0.2 and np.abs(np.diff(points, axis=0)).max() < 0.2
    assert np.abs(points[:6].mean(0) - points[-6:].mean(0)).max() < 0.3


def test_a_face_followed_out_of_the_picture_and_back_in_is_where_it_is(analysis: FaceAnalysis) -> None:
    places = [(Placed("hopper", 560 + 45 * np.sin(np.pi * k / 16), 180, 130),) for k in range(17)]
    clip = clip_of(places, [4] * 17)
    frames = tracked(FaceTracks(FaceFinder(analysis), analysis.recogniser), list(clip.frames))
    assert {face.track for frame in frames for face in frame.faces} == {0}
    for frame, (one,) in zip(frames, clip.placed, strict=True):
        assert len(frame.faces) == 1
        assert np.hypot(*(frame.faces[0].landmarks5[:2].mean(0) - [one.x, one.y - 25])) < 0.2 * one.height


def test_five_points_of_another_detector_move_with_the_mesh(analysis: FaceAnalysis) -> None:
    clip = clip_of([(Placed("astronaut", 300, 180, 120),), (Placed("astronaut", 318, 186, 126, 8),)], [4, 4])
    (face,) = analysis.detect(clip.frames[:1]).frames[0]
    shifted = face.landmarks5 + np.array([3.0, -2.0], np.float32)
    own = Face(face.bbox_xyxy + np.float32([-4, -4, 4, 4]), face.score, shifted, face.landmarks, face.blendshapes)
    (after,) = analysis.follow(clip.frames[1], [own])
    (measured,) = analysis.detect(clip.frames[1:]).frames[0]
    angle, scale = np.deg2rad(8), 1.05
    turned = scale * np.array([3 * np.cos(angle) + 2 * np.sin(angle), 3 * np.sin(angle) - 2 * np.cos(angle)])
    assert np.abs(after.landmarks5 - five_points(after.landmarks) - turned).max() < 0.3
    assert np.abs(after.landmarks - measured.landmarks).max() < 3
    assert abs(after.width_px - scale * own.width_px) < 2 and np.abs(after.center - measured.center).max() < 4
    assert after.score > 0.9
    (gone,) = analysis.follow(torch.full((360, 640, 3), 0.5), [own])
    assert gone.score < 0.5
