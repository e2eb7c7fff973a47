"""The mouth of a film gives way to another motion: what it did is gone, the rest of the picture stays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import activations
from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face, TrackedFrame
from likeness.pipelines.geometry.features import EYES, LIPS, RIGID
from likeness.pipelines.identity.finder import FaceFinder
from likeness.pipelines.motion.motion import Motion, still
from likeness.pipelines.render.dubbing import AFTER_SPEECH, MouthDubbing
from likeness.pipelines.render.mouth_rest import MouthAtRest, lip_gap, mouth_weights, without_teeth
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.face_tracks import FaceTracks
from likeness.pipelines.video.watch import watch_faces

FILM = Path(__file__).resolve().parents[2] / "assets" / "samples" / "grace_hopper_acts.mp4"


@pytest.fixture(scope="module")
def film(sitters: SimpleNamespace) -> list[TrackedFrame]:
    """The frames of a film in which somebody opens her mouth twice, the second time widely."""
    tracks = FaceTracks(FaceFinder(sitters.analysis, 0.5), sitters.analysis.recogniser, "zero_lag")
    return list(watch_faces(FILM, tracks, TorchRuntime().progress))


def mouth_of(sitters: SimpleNamespace, picture: torch.Tensor) -> Face:
    (face,) = sitters.analysis.detect(picture[None]).frames[0]
    return face


def gap(sitters: SimpleNamespace, picture: torch.Tensor) -> float:
    landmarks = mouth_of(sitters, picture).landmarks
    assert landmarks is not None
    return lip_gap(landmarks)


def spoken(work: MouthDubbing, frames: list[TrackedFrame]) -> list[torch.Tensor]:
    return [picture for start in range(0, len(frames), 8) for picture in work.change(frames[start : start + 8])]


def saying(*amounts: float, fps: float = 12.5) -> Motion:
    rows = np.stack([activations(("jawOpen",), amount) for amount in amounts])
    nothing = np.zeros((len(amounts), 3), np.float32)
    return Motion(fps, rows, nothing, nothing)


def test_a_mouth_that_is_told_nothing_is_closed_however_wide_it_was_filmed(
    sitters: SimpleNamespace, film: list[TrackedFrame]
) -> None:
    filmed = [lip_gap(frame.faces[0].landmarks) for frame in film]
    assert max(filmed) > 0.15
    quiet = spoken(MouthDubbing(still({}, frames=200)), film)
    widest = sorted(range(len(film)), key=lambda k: -filmed[k])[:6]
    for k in widest:
        assert gap(sitters, quiet[k]) < 0.03


def test_the_lips_follow_the_new_motion_and_not_the_film(sitters: SimpleNamespace, film: list[TrackedFrame]) -> None:
    told = [0.4 * (1 - np.cos(2 * np.pi * k / 11)) / 2 for k in range(len(film))]
    result = spoken(MouthDubbing(saying(*told)), film)
    shown = [gap(sitters, picture) for picture in result]
    filmed = [lip_gap(frame.faces[0].landmarks) for frame in film]
    assert np.corrcoef(shown, told)[0, 1] > 0.95
    assert np.corrcoef(shown, filmed)[0, 1] < np.corrcoef(told, filmed)[0, 1] + 0.1


def test_eyes_head_and_everything_else_stay_bit_for_bit(film: list[TrackedFrame]) -> None:
    result = spoken(MouthDubbing(saying(*[0.4] * len(film))), film)
    for frame, picture in zip(film, result, strict=True):
        landmarks = frame.faces[0].landmarks
        assert landmarks is not None
        changed = (picture != frame.picture).any(-1).numpy()
        for eye in EYES:
            lids = landmarks[list(eye.lids.loop), :2]
            (left, top), (right, bottom) = np.floor(lids.min(0)).astype(int), np.ceil(lids.max(0)).astype(int)
            assert not changed[:top].any() and not changed[top:bottom, left:right].any()
        x, y = np.round(landmarks[list(LIPS), :2].mean(0)).astype(int)
        assert changed[y - 2 : y + 3, x - 2 : x + 3].mean() > 0.5
        assert changed.mean() < 0.25


def test_strength_zero_is_the_film_itself_and_half_is_in_between(
    sitters: SimpleNamespace, film: list[TrackedFrame]
) -> None:
    quiet = still({}, frames=200)
    untouched = spoken(MouthDubbing(quiet, strength=0.0), film)
    assert all(picture is frame.picture for picture, frame in zip(untouched, film, strict=True))
    widest = int(np.argmax([lip_gap(frame.faces[0].landmarks) for frame in film]))
    half = gap(sitters, spoken(MouthDubbing(quiet, strength=0.5), film)[widest])
    assert 0.25 < half / lip_gap(film[widest].faces[0].landmarks) < 0.75


def test_after_the_speech_the_lips_stay_closed_or_the_film_comes_back(
    sitters: SimpleNamespace, film: list[TrackedFrame]
) -> None:
    assert AFTER_SPEECH == ("lips closed", "as filmed")
    short = saying(0.0, 0.0, 0.0)
    widest = int(np.argmax([lip_gap(frame.faces[0].landmarks) for frame in film]))
    assert film[widest].time_s > short.duration_s + 0.3
    assert gap(sitters, spoken(MouthDubbing(short), film)[widest]) < 0.03
    back = spoken(MouthDubbing(short, after="as filmed"), film)
    assert back[widest] is film[widest].picture
    with pytest.raises(InputError, match="after is 'soon', it must be one of lips closed, as filmed"):
        MouthDubbing(short, after="soon")  # pyright: ignore[reportArgumentType]


def test_interrupted_work_goes_on_with_what_it_knew(film: list[TrackedFrame]) -> None:
    whole, first = MouthDubbing(saying(*[0.2] * 40)), MouthDubbing(saying(*[0.2] * 40))
    expected = spoken(whole, film)
    spoken(first, film[:16])
    second = MouthDubbing(saying(*[0.2] * 40))
    second.restore(first.state())
    assert all(torch.equal(a, b) for a, b in zip(spoken(second, film[16:]), expected[16:], strict=True))
    assert second.text == whole.text and second.text.startswith(f"{len(film)} mouth(s) dubbed")


def test_rest_is_the_same_wherever_the_head_is_and_moves_nothing_but_the_mouth(film: list[TrackedFrame]) -> None:
    landmarks = film[0].faces[0].landmarks
    assert landmarks is not None
    rest = MouthAtRest()
    rest.learn(landmarks)
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    elsewhere = (1.4 * landmarks @ turn.T + (50, -20, 5)).astype(np.float32)
    placed, here = rest.placed(elsewhere), rest.placed(landmarks)
    assert np.abs(placed - (1.4 * here @ turn.T + (50, -20, 5))).max() < 0.02
    assert np.abs(here - landmarks)[list(RIGID)].max() < 0.5 and lip_gap(here) < 1e-3
    weights = mouth_weights()
    assert weights[[13, 14, 61, 291]].min() == 1 and weights[152] > 0.95 and weights[[33, 263, 168, 10]].max() == 0


def test_frames_with_open_lips_hardly_count_for_how_a_mouth_rests(film: list[TrackedFrame]) -> None:
    faces = sorted((frame.faces[0].landmarks for frame in film), key=lambda points: -lip_gap(points))
    rest = MouthAtRest()
    for points in faces:
        rest.learn(points)
    assert rest.shape is not None and lip_gap(rest.shape) < 0.02
    apart = without_teeth(faces[0])
    assert lip_gap(apart) > lip_gap(faces[0]) and np.array_equal(apart[61], faces[0][61])
