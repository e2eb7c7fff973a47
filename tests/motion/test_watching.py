"""A face followed through a video, of which only its numbers are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, TrackedFrame
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.watching import FaceWatch, take_video
from likeness.tests.motion.test_motion_sources import face

PICTURE = torch.zeros(400, 400, 3)


def frame(index: int, *people: tuple[Face, int], cut: bool = False, time_s: float | None = None) -> TrackedFrame:
    faces, who = tuple(face for face, _ in people), tuple(person for _, person in people)
    return TrackedFrame(PICTURE, faces, who, index, index / 25 if time_s is None else time_s, cut)


def person(track: int, opened: float, x: float = 200, scale: float = 8) -> Face:
    return replace(face(x, jawOpen=opened, scale=scale), track=track)


def jaw(frames: list[TrackedFrame], number: int = 0, fps: float = 25.0) -> list[float]:
    return take_video(frames, fps, BLENDSHAPE_NAMES, "nothing", 0.0, number)[0].channel("jawOpen").tolist()


def test_a_track_is_followed_and_its_gaps_are_filled() -> None:
    other = person(2, 0.9, 320, 6)
    frames = [
        frame(0, (person(1, 0.2), 0), (other, 0)),
        frame(1, (other, 0)),
        frame(2, (other, 0), (person(1, 0.4, scale=4), 0)),
    ]
    assert jaw(frames) == pytest.approx([0.2, 0.3, 0.4])
    assert jaw(frames, 1) == pytest.approx([0.9] * 3)
    motion, said = take_video(frames, 25, BLENDSHAPE_NAMES, "nothing", 0.0)
    assert "1 frame(s) without the face were filled: 1" in said and len(motion) == 3


def test_after_a_cut_the_largest_face_is_followed_and_nothing_is_filled_across() -> None:
    frames = [
        frame(0, (person(1, 0.2), 0)),
        frame(1),
        frame(2, cut=True),
        frame(3, (person(5, 0.8), 0)),
    ]
    assert jaw(frames) == pytest.approx([0.2, 0.2, 0.8, 0.8])
    assert "1 scene cut(s), at frame 2" in take_video(frames, 25, BLENDSHAPE_NAMES)[1]


def test_only_the_person_asked_for_is_followed() -> None:
    frames = [frame(i, (person(1, 0.9), -1), (person(2, 0.3, 320, 5), 0)) for i in range(3)]
    assert jaw(frames) == pytest.approx([0.3] * 3)


def test_a_variable_rate_is_laid_on_even_frames() -> None:
    times = (0.0, 0.04, 0.16, 0.20)  # two frames are missing in the middle
    frames = [frame(i, (person(1, 0.1 + t), 0), time_s=1 + t) for i, t in enumerate(times)]
    assert jaw(frames) == pytest.approx([0.1, 0.14, 0.18, 0.22, 0.26, 0.30])


def test_a_face_that_is_never_seen_is_an_error_with_numbers() -> None:
    with pytest.raises(FaceNotFoundError, match="Face 1 is in none of the 2 frames of the video, .* at most 1 face"):
        jaw([frame(0, (person(1, 0.5), 0)), frame(1, (person(2, 0.5), -1))], 1)
    with pytest.raises(InputError, match="no neutral faces"):
        take_video([], 25, BLENDSHAPE_NAMES, "neutral")


def test_pictures_are_not_kept() -> None:
    watch = FaceWatch(BLENDSHAPE_NAMES)
    shown = [torch.zeros(40, 40, 3) for _ in range(5)]
    for index, picture in enumerate(shown):
        watch.see(replace(frame(index, (person(1, 0.1), 0)), picture=picture))
    held = [value for value in vars(watch).values() if isinstance(value, list)]
    assert all(row is None or isinstance(row, (np.ndarray, float, int)) for rows in held for row in rows)
