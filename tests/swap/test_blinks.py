"""Eyes that are closed in the picture are closed in the swapped one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import activations
from likeness.pipelines.face import as_float_array
from likeness.pipelines.geometry.features import BROWS, EYES, LIPS
from likeness.pipelines.render.mesh_renderer import load_portrait
from likeness.pipelines.stitch import stitch_faces
from likeness.pipelines.swap import swap_faces
from likeness.pipelines.swap.blinks import blinks_of, held_open, with_lids
from likeness.pipelines.swap.drawing import draw, drawn_triangles

STILL = np.zeros(3)
BLINKS = slice(9, 11)


def with_opening(points, shares):
    """The points with upper lids that are `share` as far from the lower ones."""
    out = points.copy()
    for eye, share in zip(EYES, shares, strict=True):
        upper, lower = list(eye.lids.upper), list(eye.lids.lower)
        out[upper] = points[lower] + share * (points[upper] - points[lower])
    return out


def opening(points, side):
    lids = EYES[side].lids
    apart = np.linalg.norm(points[list(lids.lower), :2] - points[list(lids.upper), :2], axis=1).max()
    return apart / np.linalg.norm(points[lids.corners[1], :2] - points[lids.corners[0], :2])


@pytest.fixture(scope="module")
def pair(demo):
    identity = demo.astronaut_identity
    return SimpleNamespace(source=identity.landmarks[0], target=demo.hopper_face.landmarks, identity=identity)


def test_open_eyes_are_left_as_they_are_bit_for_bit(pair):
    assert blinks_of(pair.source, pair.target) == (0.0, 0.0)
    assert np.array_equal(held_open(pair.target, pair.source, (0.0, 0.0)), pair.target)
    photo = torch.rand(3, 512, 512)
    assert with_lids(photo, pair.source, (0.0, 0.0)) is photo


def test_lids_close_the_further_the_nearer_they_are_to_each_other_and_a_wink_is_one_eyes(pair):
    steps = [blinks_of(pair.source, with_opening(pair.target, (share, share)))[0] for share in (1, 0.6, 0.5, 0.4, 0.1)]
    assert steps[0] == 0 and steps[-1] == 1 and steps == sorted(steps)
    assert 0 < steps[2] < 1
    left, right = blinks_of(pair.source, with_opening(pair.target, (0.05, 1.0)))
    assert left == 1 and right == 0
    almost = blinks_of(pair.source, with_opening(pair.target, (0.45, 0.5)))
    assert almost[0] == pytest.approx(almost[1], abs=1e-6)


def test_a_source_with_closed_eyes_needs_no_lids(pair):
    assert blinks_of(with_opening(pair.source, (0.2, 0.2)), with_opening(pair.target, (0.1, 0.1))) == (0.0, 0.0)


@pytest.mark.parametrize("degrees", [0, 35, 180])
@pytest.mark.parametrize("share", [-0.1, 0.0, 0.1])
def test_shut_lids_are_held_a_little_open_without_turning_the_mesh_over(pair, degrees, share):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = as_float_array(with_opening(pair.target, (share, share)) @ turn.T)
    held = held_open(moved, pair.source, (1.0, 1.0))
    for side in (0, 1):
        assert 0.04 < opening(held, side) < 0.1
    still = [*LIPS, *BROWS[0], *BROWS[1], 152, 10]
    assert np.abs(held[still] - moved[still]).max() < 0.02 * np.ptp(moved[:, 0])

    def turned(points):
        corners = draw(pair.source, moved, points, 500).new[drawn_triangles()]
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
        return int((area * np.sign(np.median(area)) < -0.05).sum())

    assert turned(held) <= turned(moved)


@pytest.mark.parametrize("closed", [("Left", "Right"), ("Right",)])
def test_who_blinks_in_the_picture_blinks_with_the_new_face(demo, closed):
    names = tuple(f"eyeBlink{side}" for side in closed)
    blinking = load_portrait(demo.hopper[0], demo.hopper_face).frame(activations(names, 1.0), STILL, STILL)[None]
    face = demo.analysis.detect(blinking).frames[0][0]
    crops = swap_faces(demo.swapper, blinking, [(0, face, demo.astronaut_identity)])
    swapped = demo.analysis.detect(stitch_faces(blinking, crops)[0]).frames[0][0]
    wanted, got = face.blendshapes[BLINKS], swapped.blendshapes[BLINKS]
    assert float(wanted.max()) > 0.25
    assert float(np.abs(got - wanted).max()) < 0.2
