"""What every renderer keeps to. A new one is an entry of the tuple, and the same tests run on it."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import activations
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.motion import Motion
from likeness.pipelines.registry import Registry
from likeness.pipelines.render import RENDERERS
from likeness.pipelines.render.animate import animate, animated
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.render.liveportrait_parts import following

NOTHING, STILL = np.zeros(52, dtype=np.float32), np.zeros(3, dtype=np.float32)
OPEN = activations(("jawOpen",), 0.6)
ASIDE = np.array([0.2, 0.1, 0.0], dtype=np.float32)

#: Renderers whose files are no part of the pack, with what stands in for them.
STAND_INS = {"liveportrait": following}


@pytest.fixture(scope="module", params=[entry.name for entry in RENDERERS])
def renderer(request):
    entry = next(entry for entry in RENDERERS if entry.name == request.param)
    make = STAND_INS.get(entry.name)
    return make() if make else entry.load(Registry(TorchRuntime()))


@pytest.fixture(scope="module")
def portrait(renderer, sitters):
    return renderer.prepare(sitters.hopper.picture[0], sitters.hopper.face, sitters.hopper.before)


def motion_of(*rows, places=None):
    count = len(rows)
    places = np.zeros((count, 3), dtype=np.float32) if places is None else np.stack(places)
    return Motion(25.0, np.stack(rows), np.zeros((count, 3), dtype=np.float32), places)


def run(renderer, picture, faces, motion, strength=1.0):
    return animate(Registry(TorchRuntime()), renderer, picture, faces, motion, strength, BLENDSHAPE_NAMES)


def test_an_entry_says_what_it_is():
    names = [entry.name for entry in RENDERERS]
    assert len(set(names)) == len(names)
    for entry in RENDERERS:
        assert entry.title and entry.licence
        assert set(entry.missing(Registry(TorchRuntime()))) <= set(entry.requires)
    assert RENDERERS[0].requires == ()


def test_no_motion_gives_the_portrait_bit_for_bit(portrait, sitters):
    for channels in ({}, {"somebody.else": np.ones(4, dtype=np.float32)}):
        assert torch.equal(portrait.frame(NOTHING, STILL, STILL, channels), sitters.hopper.picture[0])


def test_strength_zero_gives_the_portrait_bit_for_bit(renderer, sitters):
    hopper = sitters.hopper
    frames, _ = run(renderer, hopper.picture[0], [hopper.face], motion_of(OPEN, NOTHING, places=[ASIDE, ASIDE]), 0.0)
    assert all(torch.equal(frame, hopper.picture[0]) for frame in frames)


def test_a_motion_moves_the_face_and_nothing_far_from_it(portrait, sitters):
    picture, face = sitters.hopper.picture[0], sitters.hopper.face
    frame = portrait.frame(OPEN, STILL, ASIDE)
    assert frame.shape == picture.shape and torch.isfinite(frame).all()
    assert frame.min() >= 0 and frame.max() <= 1
    x0, y0, x1, y1 = (int(value) for value in face.bbox_xyxy)
    assert (frame - picture)[y0:y1, x0:x1].abs().mean() > 0.01
    below = int(y1 + 1.2 * (y1 - y0))
    assert below < len(picture) and torch.equal(frame[below:], picture[below:])


def test_a_head_goes_where_it_is_sent(renderer, sitters):
    sitter = sitters.hopper
    landmarks = sitter.face.landmarks
    eyes = float(np.linalg.norm(landmarks[[33, 133], :2].mean(0) - landmarks[[362, 263], :2].mean(0)))
    portrait = renderer.prepare(sitter.picture[0], sitter.face, sitter.before)
    moved = portrait.frame(NOTHING, STILL, ASIDE)[None]
    seen = sitters.analysis.detect(moved).frames[0][0].landmarks
    inner = [33, 133, 362, 263, 168, 6, 4]
    shift = (seen[inner, :2] - landmarks[inner, :2]).mean(0) / eyes
    assert np.allclose(shift, [0.2, -0.1], atol=0.06)


def test_frames_of_a_motion_are_its_members_one_by_one(renderer, sitters):
    hopper = sitters.hopper
    rows, places = [OPEN, 0.5 * OPEN], [ASIDE, STILL]
    together, _ = run(renderer, hopper.picture[0], [hopper.face], motion_of(*rows, places=places))
    for frame, row, place in zip(together, rows, places, strict=True):
        alone, _ = run(renderer, hopper.picture[0], [hopper.face], motion_of(row, places=[place]))
        assert torch.equal(frame, alone[0])


def test_two_faces_of_one_picture_move_as_each_would_alone(renderer, sitters):
    hopper = sitters.hopper
    single, width = hopper.picture[0], hopper.picture.shape[2]
    step = np.array([width, 0], dtype=np.float32)
    second = replace(
        hopper.face,
        landmarks=hopper.face.landmarks + np.array([width, 0, 0], dtype=np.float32),
        landmarks5=hopper.face.landmarks5 + step,
        bbox_xyxy=hopper.face.bbox_xyxy + np.tile(step, 2),
    )
    picture, motion = torch.cat([single, single], 1), motion_of(OPEN, places=[ASIDE])
    both = run(renderer, picture, [hopper.face, second], motion)[0][0]
    for face in (hopper.face, second):
        alone = run(renderer, picture, [face], motion)[0][0]
        x0, y0, x1, y1 = (int(value) for value in face.bbox_xyxy)
        assert torch.equal(both[y0:y1, x0:x1], alone[y0:y1, x0:x1])
        assert not torch.equal(alone[y0:y1, x0:x1], picture[y0:y1, x0:x1])


def test_further_channels_of_a_picture_stay(renderer, sitters):
    hopper = sitters.hopper
    picture = torch.cat([hopper.picture[0], torch.full_like(hopper.picture[0, :, :, :1], 0.25)], -1)
    frame = renderer.prepare(picture, hopper.face).frame(OPEN, STILL, ASIDE)
    assert frame.shape == picture.shape and torch.equal(frame[..., 3], picture[..., 3])
    assert not torch.equal(frame, picture)


def test_frames_are_streamed_and_none_is_kept(renderer, sitters):
    hopper = sitters.hopper
    motion = motion_of(*[OPEN] * 3, places=[ASIDE] * 3)
    frames = animated(
        Registry(TorchRuntime()), renderer, hopper.picture[0], [hopper.face], motion, 1.0, BLENDSHAPE_NAMES
    )
    first = weakref.ref(next(frames))
    next(frames)
    gc.collect()
    assert first() is None
