"""A driver's frames to a motion, and what is measured with the user's own motion extractor."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from likeness.pipelines.errors import InputError, UnsafeFileError
from likeness.pipelines.face import Faces
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.channels import INDEX
from likeness.pipelines.render.liveportrait import measuring
from likeness.pipelines.render.liveportrait.directions import Directions
from likeness.pipelines.render.liveportrait.driving import driving_motion
from likeness.pipelines.render.liveportrait.measuring import (
    FILE,
    FOLDER,
    Measurement,
    fit_line,
    measure,
    measured_directions,
    require_plausible,
    save_measurement,
)
from likeness.pipelines.render.liveportrait.motion import KEYPOINTS, ExtractedMotion
from likeness.pipelines.render.liveportrait.moving import EXPRESSION_CHANNEL, OPENINGS_CHANNEL
from likeness.pipelines.render.liveportrait.options import LivePortraitOptions
from likeness.pipelines.render.liveportrait.renderer import LivePortrait
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.render.liveportrait_parts import Enlarge, Follow, NoStitching, Picture, networks_of

NOTHING, STILL = np.zeros(52, dtype=np.float32), np.zeros(3, dtype=np.float32)


class Bright(nn.Module):
    """A motion extractor that reads everything off the brightness of the picture, so that a test knows the answer."""

    def forward(self, pictures):
        level = pictures.mean((1, 2, 3))
        count = len(pictures)
        spots = torch.linspace(-0.4, 0.4, KEYPOINTS)
        points = torch.stack([spots, spots.roll(7), 0.1 * spots], 1).expand(count, -1, -1)
        expression = level[:, None, None].expand(-1, KEYPOINTS, 3) * torch.linspace(0, 1, 63).reshape(KEYPOINTS, 3)
        turn = torch.stack([10 * level, -20 * level, 30 * level], 1)
        place = torch.stack([level, -level, level], 1)
        return ExtractedMotion(points, expression, turn, place, 1 + level[:, None], torch.zeros(count, 3, 66))


def renderer_of(reader):
    return LivePortrait(networks_of(Picture(), reader, Follow(), Enlarge(), NoStitching()), LivePortraitOptions())


@pytest.fixture(scope="module")
def driver(sitters):
    """Four frames of a face that never changes, under a lamp that does."""
    hopper = sitters.hopper
    frames = torch.cat([hopper.picture * light for light in (0.5, 0.5, 0.5, 0.7)])
    return frames, Faces(((hopper.face,),) * 4, frames.shape[1], frames.shape[2])


def levels(driver):
    motion, _ = driving_motion(renderer_of(Bright()).networks, *driver, 25.0, BLENDSHAPE_NAMES, "first frame")
    return motion


def test_a_driver_moves_by_what_changed_since_it_was_at_rest(driver):
    motion = levels(driver)
    assert len(motion) == 4 and not motion.channels[EXPRESSION_CHANNEL][:3].any()
    change = motion.channels[EXPRESSION_CHANNEL][3]
    step = float(change[62])  # by how much brighter the last frame is
    assert step > 0.02 and np.allclose(change, step * np.linspace(0, 1, 63), atol=1e-5)
    # small turns add up: LivePortrait's yaw and roll run against a motion's
    assert np.allclose(np.rad2deg(motion.rotation[3]), [10 * step, 20 * step, -30 * step], atol=0.2)
    assert not motion.rotation[:3].any() and not motion.translation[:3].any()
    assert motion.translation[3, 0] > 0 and motion.translation[3, 1] == pytest.approx(
        motion.translation[3, 0], rel=1e-4
    )
    assert not motion.channels[OPENINGS_CHANNEL].any() and not motion.blendshapes.any()


def test_against_the_calmest_frames_a_still_driver_does_nothing(driver):
    frames, faces = driver[0][:3], Faces(driver[1].frames[:3], driver[1].height, driver[1].width)
    motion, said = driving_motion(renderer_of(Bright()).networks, frames, faces, 25.0, BLENDSHAPE_NAMES, "calm")
    assert not motion.values.any() and not motion.channels[EXPRESSION_CHANNEL].any()
    assert "3 frame(s)" in said and "against: calm" in said


def test_a_frame_without_the_face_is_bridged(driver):
    frames, faces = driver
    gap = Faces((faces.frames[0], (), faces.frames[2], faces.frames[3]), faces.height, faces.width)
    whole, _ = driving_motion(renderer_of(Bright()).networks, frames, faces, 25.0, BLENDSHAPE_NAMES, "first frame")
    bridged, said = driving_motion(renderer_of(Bright()).networks, frames, gap, 25.0, BLENDSHAPE_NAMES, "first frame")
    assert np.allclose(bridged.channels[EXPRESSION_CHANNEL], whole.channels[EXPRESSION_CHANNEL], atol=1e-5)
    assert "1 frame(s) without the face were filled: 1" in said


def test_absolute_motion_ends_at_the_drivers_expression(driver, sitters):
    frames, faces = driver
    renderer = renderer_of(Bright())
    portrait = renderer.prepare(0.3 * sitters.hopper.picture[0], sitters.hopper.face)
    motion, _ = driving_motion(renderer.networks, frames, faces, 25.0, BLENDSHAPE_NAMES, "portrait", 0, portrait)
    own = portrait.subject.motion.expression[0]
    reached = own.flatten().numpy() + motion.channels[EXPRESSION_CHANNEL][3]
    seen = own.flatten().numpy() + levels(driver).channels[EXPRESSION_CHANNEL][3]
    carried = np.zeros((KEYPOINTS, 3), dtype=bool)
    carried[[1, 2, 6, *range(11, 21)]] = True
    assert np.array_equal(motion.channels[EXPRESSION_CHANNEL][3].reshape(KEYPOINTS, 3)[0], np.zeros(3))
    assert (reached[carried.ravel()] >= seen[carried.ravel()] - 1e-6).all()
    with pytest.raises(InputError, match="no portrait is connected"):
        driving_motion(renderer.networks, frames, faces, 25.0, BLENDSHAPE_NAMES, "portrait")


def test_faces_without_blendshapes_get_those_that_the_keypoints_tell(driver):
    frames, faces = driver
    mute = faces.with_frames(tuple(tuple(replace(face, blendshapes=None) for face in frame) for frame in faces.frames))
    table = np.zeros((52, 63), dtype=np.float32)
    table[INDEX["jawOpen"]] = np.linspace(0, 1, 63) * 0.1  # what this extractor says of light, called an open jaw
    measured = Directions(table, "a test")
    networks = renderer_of(Bright()).networks
    motion, said = driving_motion(networks, frames, mute, 25.0, BLENDSHAPE_NAMES, "first frame", measured=measured)
    step = float(levels(driver).channels[EXPRESSION_CHANNEL][3, 62])
    assert motion.blendshapes[3, INDEX["jawOpen"]] == pytest.approx(min(step / 0.1, 1), abs=0.01)
    assert not np.delete(motion.blendshapes, INDEX["jawOpen"], 1).any()
    assert "estimated from the keypoints by a test" in said


def test_what_was_driven_can_be_rendered_and_zero_strength_is_the_portrait(driver, sitters):
    motion = levels(driver)
    portrait = renderer_of(Bright()).prepare(sitters.hopper.picture[0], sitters.hopper.face)
    rows = {name: values[3] for name, values in motion.channels.items()}
    moved = portrait.frame(motion.blendshapes[3], motion.rotation[3], motion.translation[3], rows)
    assert (moved - sitters.hopper.picture[0]).abs().max() > 0.1
    still = {name: 0 * values for name, values in rows.items()}
    assert torch.equal(portrait.frame(NOTHING, STILL, STILL, still), sitters.hopper.picture[0])


def test_the_line_through_zero_and_how_well_it_fits():
    slope, explained = fit_line(np.array([0.5, 1.0]), np.array([[1.0, 0.0], [2.0, 0.0]]))
    assert slope.tolist() == [2.0, 0.0] and explained == pytest.approx(1)
    _, explained = fit_line(np.array([1.0, 1.0]), np.array([[1.0], [-1.0]]))
    assert explained == pytest.approx(0)


def test_directions_are_measured_by_showing_every_channel_to_the_extractor(sitters, monkeypatch):
    channels = ("jawOpen", "eyeBlinkLeft")
    monkeypatch.setattr(measuring, "ARKIT_NAMES", channels)  # two of 52, for time: rows keep the full width
    monkeypatch.setattr(measuring, "_NOTHING", NOTHING)
    measurement = measure(renderer_of(Bright()).networks, [(sitters.hopper.picture[0], sitters.hopper.face)])
    assert measurement.table.shape == (2, 63)
    # a picture that changes brightness moves all of the expression alike, as this extractor has it
    for row in measurement.table:
        assert np.allclose(row, row[62] * np.linspace(0, 1, 63), atol=1e-6)
    assert np.all(measurement.explained > 0.5)


def test_measured_directions_are_used_with_the_files_they_belong_to(tmp_path):
    runtime = TorchRuntime(model_folders={"": tmp_path})
    table = np.random.default_rng(1).normal(size=(52, 63)).astype(np.float32)
    explained = np.ones(52, dtype=np.float32)
    explained[INDEX["tongueOut"]] = 0.1
    assert measured_directions(runtime, "abc") == (None, "")
    path = save_measurement(Measurement(table, explained, np.ones(3, np.float32)), tmp_path / FOLDER, "abc")
    directions, note = measured_directions(runtime, "abc")
    assert note == "" and directions.unknown == ("tongueOut",) and directions.source.endswith(FILE)
    assert np.array_equal(directions.table[0], table[0])
    directions, note = measured_directions(runtime, "another")
    assert directions is None and "another motion extractor" in note and str(path) in note


def test_an_extractor_that_sees_no_turns_is_not_believed():
    good = Measurement(np.zeros((52, 63), np.float32), np.ones(52, np.float32), np.array([0.9, 1.1, 1.0], np.float32))
    require_plausible(good)
    with pytest.raises(InputError, match="'yaw': -0.9.*Nothing was written"):
        require_plausible(replace(good, turns=np.array([0.9, -0.9, 1.0], np.float32)))


def test_a_file_of_directions_that_is_something_else_is_refused(tmp_path):
    runtime = TorchRuntime(model_folders={"": tmp_path})
    path = tmp_path / FOLDER / FILE
    path.parent.mkdir()
    path.write_bytes(b"something")
    with pytest.raises(UnsafeFileError, match="no safetensors"):
        measured_directions(runtime, "abc")
