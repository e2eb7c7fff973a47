"""What the LivePortrait renderer remembers, how its picture comes in, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError, WrongWeightsError
from likeness.pipelines.render.liveportrait.moving import EXPRESSION_CHANNEL
from likeness.pipelines.render.liveportrait.options import LivePortraitOptions
from likeness.pipelines.render.liveportrait.renderer import LivePortrait
from likeness.tests.render.liveportrait_parts import (
    Enlarge,
    Follow,
    NoStitching,
    Picture,
    Reader,
    following,
    networks_of,
)

NOTHING, STILL = np.zeros(52, dtype=np.float32), np.zeros(3, dtype=np.float32)
ASIDE = np.array([0.2, 0.0, 0.0], dtype=np.float32)


class Counted(Picture):
    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, pictures):
        self.count += 1
        return super().forward(pictures)


def test_a_portrait_is_read_once_however_often_it_is_used(sitters):
    counted, hopper = Counted(), sitters.hopper
    renderer = LivePortrait(networks_of(counted, Reader(), Follow(), Enlarge(), NoStitching()), LivePortraitOptions())
    for _ in range(2):
        portrait = renderer.prepare(hopper.picture[0], hopper.face)
        for _ in range(2):
            portrait.frame(NOTHING, STILL, ASIDE)
    assert counted.count == 1
    renderer.prepare(0.5 * hopper.picture[0], hopper.face)
    assert counted.count == 2


def test_only_the_last_portraits_are_remembered(sitters):
    counted, hopper = Counted(), sitters.hopper
    renderer = LivePortrait(networks_of(counted, Reader(), Follow(), Enlarge(), NoStitching()), LivePortraitOptions())
    for light in np.linspace(0.2, 1.0, 9):
        renderer.prepare(float(light) * hopper.picture[0], hopper.face)
    renderer.prepare(hopper.picture[0], hopper.face)
    assert counted.count == 9
    renderer.prepare(0.2 * hopper.picture[0], hopper.face)
    assert counted.count == 10


def test_what_is_drawn_comes_in_softly(sitters):
    portrait = following().prepare(sitters.hopper.picture[0], sitters.hopper.face)
    changes = [
        float((portrait.frame(NOTHING, STILL, share * ASIDE) - sitters.hopper.picture[0]).abs().max())
        for share in (0.001, 0.02, 0.1)
    ]
    assert changes[0] < 1 / 255 and changes[0] < changes[1] < changes[2] and changes[2] > 0.1


def test_outside_the_crop_every_pixel_stays(sitters):
    sitter = sitters.astronaut
    portrait = following().prepare(sitter.picture[0], sitter.face)
    moved = portrait.frame(NOTHING, STILL, 2 * ASIDE)
    changed = (moved != sitter.picture[0]).any(-1)
    size = float(np.ptp(sitter.face.landmarks[:, 0])) * 2.3
    rows, columns = torch.where(changed)
    assert rows.max() - rows.min() < 1.2 * size and columns.max() - columns.min() < 1.2 * size
    assert changed.any() and not changed[300:].any()


def test_nothing_black_comes_in_from_beyond_the_picture(sitters):
    hopper = sitters.hopper
    cut = int(hopper.face.bbox_xyxy[0]) - 10  # the face at the left border
    face = replace(hopper.face, landmarks=hopper.face.landmarks - np.array([cut, 0, 0], dtype=np.float32))
    picture = torch.clamp(hopper.picture[0, :, cut:], 0.2, 1.0)
    moved = following().prepare(picture, face).frame(NOTHING, STILL, 2 * ASIDE)
    assert moved.min() > 0.19


def test_an_edited_motion_can_be_followed_instead_of_what_was_seen(sitters):
    hopper = sitters.hopper
    channels = {EXPRESSION_CHANNEL: np.full(63, 0.05, dtype=np.float32)}
    picture = hopper.picture[0]
    edited = following(follows="blendshapes").prepare(picture, hopper.face)
    assert torch.equal(edited.frame(NOTHING, STILL, STILL, channels), picture)
    seen = following(follows="keypoints").prepare(picture, hopper.face)
    assert not torch.equal(seen.frame(NOTHING, STILL, STILL, channels), picture)


def test_a_face_with_five_points_is_refused_with_the_way_out(sitters):
    with pytest.raises(InputError, match="needs 478 landmarks.*has 0: find it with Detect Faces"):
        following().prepare(sitters.hopper.picture[0], replace(sitters.hopper.face, landmarks=None))


class Broken(Enlarge):
    def forward(self, pictures):
        return super().forward(pictures) / 0


def test_a_picture_that_is_not_finite_is_never_handed_on(sitters):
    networks = networks_of(Picture(), Reader(), Follow(), Broken(), NoStitching())
    portrait = LivePortrait(networks, LivePortraitOptions()).prepare(sitters.hopper.picture[0], sitters.hopper.face)
    with pytest.raises(WrongWeightsError, match="not finite. Fetch its files again"):
        portrait.frame(NOTHING, STILL, ASIDE)
