"""A motion on the people of a video."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import SMILE, activations
from likeness.pipelines.errors import InputError
from likeness.pipelines.face import TrackedFrame
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.channels import INDEX, VALUE_INDEX
from likeness.pipelines.motion.motion import motion_from_values
from likeness.pipelines.registry import Registry
from likeness.pipelines.render.acting import TrackedActing
from likeness.pipelines.render.animate import load_renderer
from likeness.pipelines.runtime import TorchRuntime

STILL = np.zeros(3, dtype=np.float32)


def acting(fps=50.0, frames=10, **options):
    """The jaw opens by 0.05 per frame."""
    values = np.zeros((frames, 58), np.float32)
    values[:, INDEX["jawOpen"]] = 0.05 * np.arange(frames)
    renderer, _ = load_renderer(Registry(TorchRuntime()), "mesh")
    return TrackedActing(renderer, motion_from_values(fps, values), BLENDSHAPE_NAMES, **options)


def shot(sitter, time_s, who=0, cut=False, face=None):
    return TrackedFrame(sitter.picture[0], (replace(face or sitter.face, track=3),), (who,), 0, time_s, cut)


def jaw_frame(sitter, amount):
    return sitter.portrait.frame(activations(("jawOpen",), amount), STILL, STILL)


def test_the_motion_is_taken_at_the_time_of_the_frame_whatever_the_rates(sitters):
    work = acting()
    first, second = work.change([shot(sitters.hopper, 0.1), shot(sitters.hopper, 1 / 24)])
    assert torch.allclose(first, jaw_frame(sitters.hopper, 0.25), atol=1e-5)
    assert torch.allclose(second, jaw_frame(sitters.hopper, 0.05 * 50 / 24), atol=1e-5)
    assert "(0.20 s at 50 per second) was taken at each frame's own time; 2 face(s) moved" in work.text


def test_a_motion_that_is_over_stops_holds_or_begins_again(sitters):
    over = shot(sitters.hopper, 0.3)
    assert acting().change([over])[0] is over.picture
    assert torch.allclose(acting(after_end="hold").change([over])[0], jaw_frame(sitters.hopper, 0.45), atol=1e-5)
    assert torch.allclose(acting(after_end="loop").change([over])[0], jaw_frame(sitters.hopper, 0.25), atol=1e-5)


def test_replace_ends_with_the_expression_of_the_motion_whatever_the_person_does(sitters):
    astronaut = sitters.astronaut
    values = np.zeros((1, 58), np.float32)  # measured on a calm face
    renderer, _ = load_renderer(Registry(TorchRuntime()), "mesh")
    motion = motion_from_values(25.0, values)
    work = TrackedActing(renderer, motion, BLENDSHAPE_NAMES, "replace", "mouth", after_end="hold")
    (calm,) = work.change([shot(astronaut, 0.0)])
    faces = sitters.analysis.detect(calm[None]).frames[0]
    named = dict(zip(BLENDSHAPE_NAMES, faces[0].blendshapes, strict=True))
    smile = np.mean([named[name] for name in SMILE])
    assert smile < np.mean([astronaut.before[INDEX[name]] for name in SMILE]) - 0.4
    eyes = int(astronaut.face.landmarks[6, 1])
    assert float((calm[:eyes] - astronaut.picture[0, :eyes]).abs().mean()) < 0.002  # as filmed


def test_strength_zero_other_parts_and_profiles_leave_the_picture_as_it_is(sitters):
    now = shot(sitters.hopper, 0.1)
    assert acting(strength=0.0).change([now])[0] is now.picture
    assert acting(part="eyes").change([now])[0] is now.picture
    flip = np.diag([1.0, -1.0, -1.0])
    yaw = 1.15
    turn = flip @ np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]) @ flip
    face = sitters.hopper.face
    middle = face.landmarks.mean(0)
    profile = replace(face, landmarks=((face.landmarks - middle) @ turn.T + middle).astype(np.float32))
    work, turned = acting(), shot(sitters.hopper, 0.1, face=profile)
    assert work.change([turned])[0] is turned.picture
    assert "1 of them moved less or not" in work.text


def test_interrupted_work_goes_on_as_if_it_had_not_been(sitters):
    frames = [shot(sitters.hopper, 0.04 * step) for step in range(3)]
    smiling = replace(sitters.hopper.face, track=3, blendshapes=sitters.astronaut.face.blendshapes)
    frames[1] = replace(frames[1], faces=(smiling,))
    whole, first, second = (acting(how="replace", part="mouth") for _ in range(3))
    expected = whole.change(frames)
    first.change(frames[:2])
    second.restore(first.state())
    assert torch.equal(second.change(frames[2:])[0], expected[2])
    assert second.text == whole.text


def test_a_pose_alone_turns_the_head_and_leaves_the_mouth(sitters):
    work = acting(part="pose")
    values = work.motion.values
    values[:, VALUE_INDEX["headYaw"]] = 0.1
    work = TrackedActing(work.renderer, motion_from_values(50.0, values), BLENDSHAPE_NAMES, part="pose")
    (picture,) = work.change([shot(sitters.hopper, 0.1)])
    expected = sitters.hopper.portrait.frame(activations(("jawOpen",), 0.0), np.array([0, 0.1, 0], np.float32), STILL)
    assert torch.allclose(picture, expected, atol=1e-5)


def test_unknown_words_are_refused_with_those_there_are():
    with pytest.raises(InputError, match="how is 'over', it must be one of add, replace"):
        acting(how="over")
    with pytest.raises(InputError, match="after_end is 'stop'.*as filmed, hold, loop"):
        acting(after_end="stop")
    with pytest.raises(InputError, match="part is 'ears'"):
        acting(part="ears")
