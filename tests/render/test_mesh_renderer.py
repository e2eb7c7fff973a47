"""The embedded renderer moves what it is told to move, and only that."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import SLIDERS, SMILE, activations, bases
from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.features import EYES
from likeness.pipelines.geometry.pose import rotation_from_landmarks
from likeness.pipelines.motion.channels import ARKIT_NAMES, INDEX
from likeness.pipelines.render import RENDERERS, renderer_named
from likeness.pipelines.render.handles import channel_fields, jaw_weights
from likeness.pipelines.render.mesh_renderer import load_portrait
from likeness.pipelines.render.movement import SHIFT_LIMIT, TURN_LIMITS, soft, with_rest

STILL = np.zeros(3, dtype=np.float32)
NOTHING = np.zeros(52, dtype=np.float32)


def mean_of(change, channels):
    return np.mean([change[INDEX[name]] for name in channels])


def test_a_motion_of_zeros_gives_the_portrait_bit_for_bit(sitters):
    for sitter in sitters.both:
        assert torch.equal(sitter.portrait.frame(NOTHING, STILL, STILL), sitter.picture[0])


@pytest.mark.parametrize("slider", SLIDERS)
def test_the_network_sees_the_expression_that_was_rendered(sitters, slider):
    channels, value, target = SLIDERS[slider]
    for sitter in sitters.both:
        change, distance = sitter.measure(activations(channels, value))
        assert mean_of(change, channels) >= target
        assert distance <= 0.42


def test_a_smile_can_be_put_on_and_taken_off(sitters):
    change, _ = sitters.hopper.measure(activations(SMILE, 1.0))
    assert mean_of(change, SMILE) >= 0.6
    change, _ = sitters.astronaut.measure(activations(SMILE, -1.0))
    assert mean_of(change, SMILE) <= -0.6


def test_every_channel_but_the_tongue_changes_the_picture_smoothly_from_zero(sitters):
    hopper = sitters.hopper
    for name in ARKIT_NAMES:
        little = hopper.portrait.frame(activations((name,), 1e-4), STILL, STILL)
        assert (little - hopper.picture[0]).abs().max() < 0.02, name
        full = hopper.portrait.frame(activations((name,), 1.0), STILL, STILL)
        moved = float((full - hopper.picture[0]).abs().mean())
        assert (moved > 1e-5) == (name != "tongueOut"), name


def mouth_of(sitter, picture):
    """The picture between the lips of the portrait, and where its teeth are."""
    lips = sitter.face.landmarks[[78, 308, 13, 14], :2]
    (x0, y0), (x1, y1) = np.ceil(lips.min(0)).astype(int) + 2, np.floor(lips.max(0)).astype(int) - 1
    return picture[y0:y1, x0 + 4 : x1 - 4]


def test_teeth_stay_where_they_are_when_a_lip_is_raised(sitters):
    astronaut = sitters.astronaut
    raised = astronaut.portrait.frame(activations(("mouthUpperUpLeft", "mouthUpperUpRight"), 0.6), STILL, STILL)
    before, after = mouth_of(astronaut, astronaut.picture[0]), mouth_of(astronaut, raised)
    assert float((after - before).abs().mean()) < 0.04


def eye_region(sitter, picture, side):
    """The middle half of one eye's opening."""
    lids = sitter.face.landmarks[list(EYES[side].lids.loop), :2]
    low, high = lids.min(0), lids.max(0)
    (x0, y0), (x1, y1) = (
        np.round(low + 0.25 * (high - low)).astype(int),
        np.round(high - 0.3 * (high - low)).astype(int),
    )
    return picture[y0:y1, x0:x1]


@pytest.mark.parametrize("side", [0, 1])
def test_a_closed_eye_is_skin_and_not_a_patch_of_another_colour(sitters, side):
    for sitter in sitters.both:
        closed = sitter.portrait.frame(activations(("eyeBlinkLeft", "eyeBlinkRight"), 1.0), STILL, STILL)
        points = sitter.face.landmarks[[50, 101, 280, 330, 205, 425], :2].round().astype(int)
        skin = torch.stack([sitter.picture[0, y, x] for x, y in points]).median(0).values
        lid = eye_region(sitter, closed, side).reshape(-1, 3).median(0).values
        assert float((lid - skin).abs().max()) < 0.25
        assert float(eye_region(sitter, closed, side).mean(2).min()) > float(sitter.picture[0].min()) + 0.15


def test_a_glance_moves_the_whole_iris_and_leaves_the_white(sitters):
    astronaut = sitters.astronaut

    def dark_middle(picture, side):
        dark = (0.45 - eye_region(astronaut, picture, side).mean(2)).clamp(0)
        return float((dark.sum(0) * torch.arange(dark.shape[1])).sum() / dark.sum())

    for side, inwards, outwards in ((0, "eyeLookInRight", "eyeLookOutRight"), (1, "eyeLookOutLeft", "eyeLookInLeft")):
        right = dark_middle(astronaut.portrait.frame(activations((inwards,), 0.5), STILL, STILL), side)
        left = dark_middle(astronaut.portrait.frame(activations((outwards,), 0.5), STILL, STILL), side)
        assert left + 1 < right


def test_lips_meet_over_an_open_jaw(sitters):
    gaps = []
    for closed in (0.0, 1.0):
        picture = sitters.hopper.portrait.frame(
            activations(("jawOpen",), 0.7) + activations(("mouthClose",), closed), STILL, STILL
        )
        mesh = sitters.analysis.detect(picture[None]).frames[0][0].landmarks
        gaps.append(np.linalg.norm(mesh[14] - mesh[13]))
    assert gaps[1] < 0.35 * gaps[0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_head_turns_the_way_the_motion_says(sitters, axis):
    turn = np.zeros(3, dtype=np.float32)
    turn[axis] = 0.15
    for sitter in sitters.both:
        mesh = sitters.analysis.detect(sitter.portrait.frame(NOTHING, turn, STILL)[None]).frames[0][0].landmarks
        measured = rotation_from_landmarks(mesh)[axis] - rotation_from_landmarks(sitter.face.landmarks)[axis]
        assert 0.06 <= measured <= 0.2


def test_the_head_moves_right_up_and_closer(sitters):
    hopper = sitters.hopper

    def box(x, y, z):
        picture = hopper.portrait.frame(NOTHING, STILL, np.array([x, y, z], dtype=np.float32))
        return sitters.analysis.detect(picture[None]).frames[0][0]

    before, moved, near = hopper.face, box(0.2, 0.1, 0), box(0, 0, 0.4)
    assert moved.center[0] > before.center[0] + 8
    assert moved.center[1] < before.center[1] - 4
    assert near.width_px > 1.02 * before.width_px


def test_turns_and_shifts_are_bent_towards_a_limit():
    assert soft(0.05, TURN_LIMITS[1]) == pytest.approx(0.05, rel=0.02)
    assert soft(10.0, SHIFT_LIMIT) == pytest.approx(SHIFT_LIMIT)


def test_a_turned_head_leaves_no_hole_and_touches_nothing_far_away(sitters):
    astronaut = sitters.astronaut
    picture = astronaut.portrait.frame(NOTHING, np.array([0.2, 0.4, 0.3], dtype=np.float32), STILL)
    assert torch.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
    assert torch.equal(picture[400:], astronaut.picture[0, 400:])
    assert torch.equal(picture[:, 400:], astronaut.picture[0, :, 400:])


def test_what_a_face_already_shows_is_added_less():
    rest = np.array([0.0, 1.0], dtype=np.float32)
    np.testing.assert_allclose(with_rest(np.ones(2, dtype=np.float32), rest), [1.0, 0.15], atol=1e-6)
    np.testing.assert_allclose(with_rest(-np.ones(2, dtype=np.float32), rest), [-0.25, -1.5], atol=1e-6)


def test_left_and_right_channels_mirror_each_other():
    fields = channel_fields()
    for base, channels in bases():
        if len(channels) == 2 and channels[0] in fields:
            left, right = (np.abs(fields[name]) for name in channels)
            assert left.sum() == pytest.approx(right.sum(), rel=0.06), base


def test_the_jaw_takes_the_chin_and_leaves_the_brows():
    weights = jaw_weights()
    assert weights[152] > 0.95 and weights[17] > 0.95
    assert weights[[105, 334, 10, 1]].max() < 0.1


def test_a_face_with_five_points_is_refused_with_the_way_out(sitters):
    face = replace(sitters.hopper.face, landmarks=None)
    with pytest.raises(InputError, match="478 landmarks.*has 0.*Detect Faces"):
        load_portrait(sitters.hopper.picture[0], face)


def test_a_face_outside_of_the_picture_is_refused(sitters):
    face = replace(sitters.hopper.face, landmarks=sitters.hopper.face.landmarks + 5000)
    with pytest.raises(InputError, match="outside the portrait of 512 × 600 px"):
        load_portrait(sitters.hopper.picture[0], face)


def test_a_portrait_of_64_px_is_rendered(sitters):
    face = sitters.hopper.face
    small = torch.nn.functional.interpolate(sitters.hopper.picture.permute(0, 3, 1, 2), size=(75, 64), mode="area")
    shrunk = replace(face, landmarks=face.landmarks / 8)
    picture = load_portrait(small[0].permute(1, 2, 0), shrunk).frame(activations(("jawOpen",), 1.0), STILL, STILL)
    assert picture.shape == (75, 64, 3) and torch.isfinite(picture).all()


def test_renderers_are_found_by_name_and_unknown_ones_are_told():
    assert renderer_named("mesh") is RENDERERS[0]
    with pytest.raises(InputError, match="no renderer 'paint'; there are: mesh"):
        renderer_named("paint")
