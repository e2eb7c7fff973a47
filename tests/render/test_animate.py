"""A motion on the faces of a picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import activations
from likeness.pipelines.errors import CancelledError, InputError
from likeness.pipelines.face import Faces
from likeness.pipelines.geometry.pose import rotation_from_angles, rotation_from_landmarks
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.motion import Motion
from likeness.pipelines.registry import Registry
from likeness.pipelines.render.animate import animate, faces_to_animate, load_renderer, nearest_face, shown_already
from likeness.pipelines.render.visibility import facing
from likeness.pipelines.runtime import TorchRuntime


def motion_of(*rows, yaw=0.0):
    count = len(rows)
    turn = np.zeros((count, 3), dtype=np.float32)
    turn[:, 1] = yaw
    return Motion(25.0, np.stack(rows), turn, np.zeros((count, 3), dtype=np.float32))


def run(sitter, motion, strength=1.0, faces=None, registry=None):
    registry = registry or Registry(TorchRuntime())
    renderer, _ = load_renderer(registry)
    return animate(registry, renderer, sitter.picture[0], faces or [sitter.face], motion, strength, BLENDSHAPE_NAMES)


NOTHING, OPEN = activations(("jawOpen",), 0.0), activations(("jawOpen",), 0.6)


def test_each_frame_of_the_motion_gives_a_picture_and_a_still_one_is_the_portrait(sitters):
    frames, report = run(sitters.hopper, motion_of(NOTHING, OPEN, NOTHING))
    assert frames.shape == (3, 600, 512, 3)
    assert torch.equal(frames[0], sitters.hopper.picture[0]) and torch.equal(frames[2], frames[0])
    assert (frames[1] - frames[0]).abs().max() > 0.2
    assert report == "3 frame(s) at 25 frames per second."


def test_strength_zero_repeats_the_picture_bit_for_bit(sitters):
    frames, _ = run(sitters.astronaut, motion_of(OPEN, OPEN, yaw=0.2), strength=0.0)
    assert all(torch.equal(frame, sitters.astronaut.picture[0]) for frame in frames)


def test_strength_scales_the_expression(sitters):
    half, _ = run(sitters.hopper, motion_of(OPEN), strength=0.5)
    less, _ = run(sitters.hopper, motion_of(activations(("jawOpen",), 0.3)))
    assert torch.allclose(half, less, atol=1e-6)


def test_two_faces_in_one_picture_both_move(sitters):
    astronaut = sitters.astronaut
    width = astronaut.picture.shape[2]
    picture = torch.cat([astronaut.picture, astronaut.picture], 2)
    shifted = replace(
        astronaut.face,
        landmarks=astronaut.face.landmarks + np.array([width, 0, 0], dtype=np.float32),
        bbox_xyxy=astronaut.face.bbox_xyxy + np.array([width, 0, width, 0], dtype=np.float32),
    )
    registry = Registry(TorchRuntime())
    renderer, _ = load_renderer(registry)
    frames, _ = animate(
        registry, renderer, picture[0], [astronaut.face, shifted], motion_of(OPEN), 1.0, BLENDSHAPE_NAMES
    )
    left, right = frames[0, :, :width], frames[0, :, width:]
    assert (left - astronaut.picture[0]).abs().max() > 0.2
    assert (left - right).abs().max() < 0.02


def test_turns_beyond_the_limit_are_said_in_the_report(sitters):
    _, report = run(sitters.astronaut, motion_of(NOTHING, yaw=0.7))
    assert "yaw of up to 40° is bent towards 17°" in report and "pitch" not in report


def turned(face, yaw):
    flip = np.diag([1.0, -1.0, -1.0])
    turn = flip @ rotation_from_angles(0.0, yaw - rotation_from_landmarks(face.landmarks)[1], 0.0) @ flip
    middle = face.landmarks.mean(0)
    return replace(face, landmarks=((face.landmarks - middle) @ turn.T + middle).astype(np.float32))


def test_a_profile_alone_is_refused_with_its_angle_and_the_limit(sitters):
    with pytest.raises(InputError, match=r"turned by 6\d°: from 32° .* beyond 52° .*\nNo face is left"):
        run(sitters.hopper, motion_of(OPEN), faces=[turned(sitters.hopper.face, 1.1)])


def test_what_a_face_does_fades_the_further_it_is_turned_away(sitters):
    face = sitters.hopper.face
    shares = [facing(turned(face, yaw)) for yaw in (-1.2, -0.7, 0.0, 0.5, 0.6, 0.75, 0.85, 1.0)]
    assert shares[2] == shares[3] == 1.0 and shares[0] == shares[-1] == 0.0
    assert 1 > shares[4] > shares[5] > shares[6] > 0 and 0 < shares[1] < 1


def test_a_face_half_turned_moves_less_and_the_report_says_how_much(sitters):
    half = turned(sitters.hopper.face, 0.72)
    frames, report = run(sitters.hopper, motion_of(OPEN, NOTHING), faces=[half])
    renderer, _ = load_renderer(Registry(TorchRuntime()))
    portrait = renderer.prepare(sitters.hopper.picture[0], half, shown_already(half, BLENDSHAPE_NAMES))
    faded = portrait.frame(np.float32(facing(half)) * OPEN, np.zeros(3), np.zeros(3))
    assert "is turned by 4" in report and "% of the motion is shown" in report
    assert torch.equal(frames[1], sitters.hopper.picture[0])
    assert 0.2 < facing(half) < 0.8 and torch.allclose(frames[0], faded, atol=1e-5)


def test_a_profile_beside_another_face_is_left_as_it_is(sitters):
    astronaut = sitters.astronaut
    frames, report = run(astronaut, motion_of(OPEN), faces=[astronaut.face, turned(sitters.hopper.face, 1.1)])
    alone, _ = run(astronaut, motion_of(OPEN))
    assert torch.equal(frames, alone) and "it is left as it is" in report


def test_brows_that_bend_glasses_are_said(sitters):
    raised = motion_of(activations(("browInnerUp",), 0.9))
    assert "wears glasses: brows beyond 0.5" in run(sitters.hopper, raised)[1]
    assert "glasses" not in run(sitters.astronaut, raised)[1]
    assert "glasses" not in run(sitters.hopper, raised, strength=0.5)[1]


def test_the_user_can_stop_a_long_motion(sitters):
    registry = Registry(TorchRuntime(is_cancelled=lambda: True))
    with pytest.raises(CancelledError):
        run(sitters.astronaut, motion_of(OPEN, OPEN), registry=registry)


def test_the_first_picture_with_faces_is_the_portrait(sitters):
    faces = Faces(((), (sitters.hopper.face,)), 600, 512)
    index, found = faces_to_animate(faces)
    assert index == 1 and found == (sitters.hopper.face,)


def test_auto_names_the_renderer_and_its_licence():
    _, report = load_renderer(Registry(TorchRuntime()))
    assert report == (
        "Renderer: mesh, Embedded mesh (nothing to download). Licence Apache-2.0.\n"
        "Not liveportrait: 5 of its 5 files missing."
    )


def test_where_two_faces_reach_a_pixel_it_belongs_to_the_nearer_in_sizes(sitters):
    face = sitters.hopper.face
    small = replace(face, bbox_xyxy=np.array([0, 0, 10, 10], dtype=np.float32))
    large = replace(face, bbox_xyxy=np.array([20, 0, 60, 40], dtype=np.float32))
    owner = nearest_face([small, large], (40, 60))
    assert owner[5, 5] == 0 and owner[20, 40] == 1
    assert owner[5, 16] == 1  # nearer to the small face in px, but that is further away in its own size


def test_what_a_face_shows_is_sorted_by_name(sitters):
    rest = shown_already(sitters.astronaut.face, BLENDSHAPE_NAMES)
    np.testing.assert_array_equal(rest, sitters.astronaut.before)
    assert shown_already(replace(sitters.astronaut.face, blendshapes=None), BLENDSHAPE_NAMES) is None
