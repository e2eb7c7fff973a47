"""The source's shape in the target's pose and expression."""

import numpy as np
import pytest

from likeness.pipelines.geometry.features import EYES, OVAL
from likeness.pipelines.geometry.layout import KEYS, rings_from_oval, spread_matrix
from likeness.pipelines.geometry.pose import rotation_from_landmarks
from likeness.pipelines.identity.embedded_network import EmbeddedNetwork
from likeness.pipelines.identity.net_blendshapes import BlendshapeNetwork
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap.drawing import REACH, draw, drawn_triangles, window
from likeness.pipelines.swap.expression import ExpressionKeeper, handles
from likeness.pipelines.swap.eyes import steer_irises
from likeness.pipelines.swap.shape import align, transfer_shape


@pytest.fixture(scope="module")
def keeper():
    network = EmbeddedNetwork(Registry(TorchRuntime()), "face_blendshapes_52", BlendshapeNetwork)
    return ExpressionKeeper(lambda landmarks: network(landmarks)[0])


@pytest.fixture
def pair(demo):
    return demo.astronaut_identity.landmarks[0], demo.hopper_face.landmarks


def test_shape_zero_keeps_every_point(pair):
    assert np.array_equal(transfer_shape(*pair, 0.0), pair[1])


def test_a_face_gets_its_own_shape_back(pair):
    moved = transfer_shape(pair[1], pair[1], 1.0)
    assert np.abs(moved - pair[1]).max() < 1e-2


def test_alignment_undoes_any_turn_scale_and_shift_of_the_head(pair):
    target = pair[1]
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = (target @ turn.T * 1.7 + np.array([40, -300, 0])).astype(np.float32)
    assert np.abs(align(moved, target) - target).max() < 0.1


def test_the_aligned_source_has_the_targets_pose(pair):
    aligned = align(*pair)
    difference = np.subtract(rotation_from_landmarks(aligned), rotation_from_landmarks(pair[1]))
    assert np.rad2deg(np.abs(difference)).max() < 0.05


def test_the_outline_moves_most_of_the_way_to_the_source(pair):
    aligned, moved = align(*pair), transfer_shape(*pair, 1.0)
    sides = [index for index in OVAL if pair[1][index, 1] < pair[1][0, 1]]  # above the lips, where no jaw opens
    before = np.linalg.norm((aligned - pair[1])[sides, :2], axis=1).mean()
    after = np.linalg.norm((aligned - moved)[sides, :2], axis=1).mean()
    assert after < 0.2 * before


def test_the_mouth_stays_as_open_as_the_targets(pair):
    moved = transfer_shape(*pair, 1.0)
    gap = np.linalg.norm((moved[14] - moved[13])[:2])
    target_gap = np.linalg.norm((pair[1][14] - pair[1][13])[:2])
    source_gap = np.linalg.norm((align(*pair)[14] - align(*pair)[13])[:2])
    assert abs(gap - target_gap) < 0.1 * abs(source_gap - target_gap)


def test_pulling_back_the_expression_more_than_halves_its_error(pair, keeper):
    moved = transfer_shape(*pair, 1.0)
    kept = keeper.keep(moved, pair[1])
    wanted, before, after = keeper._activations(np.stack([pair[1], moved, kept]))
    assert np.abs(after - wanted).mean() < 0.5 * np.abs(before - wanted).mean()
    assert np.linalg.norm((kept - moved)[:, :2], axis=1).max() < 0.05 * np.ptp(pair[1][:, 0])


def test_an_expression_that_is_kept_already_is_not_touched(pair, keeper):
    assert np.abs(keeper.keep(pair[1], pair[1]) - pair[1]).max() < 1e-3


def test_handles_move_by_a_few_hundredths_of_the_face_at_most():
    fields = handles()
    sizes = np.abs(fields).reshape(len(fields), -1).max(1)
    assert (sizes > 0.003).all() and (sizes < 0.03).all()


def test_the_spread_of_equal_moves_is_that_move_everywhere():
    matrix = spread_matrix()
    assert matrix.shape == (468, len(KEYS))
    assert np.abs(matrix.sum(1) - 1).max() < 1e-3


def test_every_point_is_at_most_a_few_rings_inside_the_oval():
    rings = rings_from_oval()
    assert (rings[list(OVAL)] == 0).all() and rings.min() == 0 and 5 < rings.max() < 20


def test_the_collars_outer_edge_is_where_the_target_has_it_so_that_nothing_moves_there(pair):
    source, target = pair
    x0, y0, x1, y1 = window(target, 600, 512)
    local = target - np.array([x0, y0, 0], dtype=np.float32)
    drawing = draw(source, local, transfer_shape(source, local, 1.0), y1 - y0)
    outer = slice(len(drawing.new) - len(OVAL), None)
    assert np.abs(drawing.new[outer] - drawing.target[outer]).max() < 1e-4
    middle = local[:468, :2].mean(0)
    assert np.allclose(drawing.new[outer] - middle, REACH * (local[list(OVAL), :2] - middle), atol=1e-3)
    assert drawn_triangles().max() == len(drawing.new) - 1


def test_no_triangle_of_the_drawing_of_the_demo_pair_is_turned_over(pair):
    source, target = pair
    drawing = draw(source, target, transfer_shape(source, target, 1.0), 600)

    def areas(points):
        a, b, c = (points[drawn_triangles()[:, corner]] for corner in range(3))
        return (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]

    before, after = areas(drawing.target), areas(drawing.new)
    large = np.abs(before) > 2
    assert (np.sign(before[large]) != np.sign(after[large])).mean() < 0.02


def test_the_sources_iris_is_looked_up_where_the_targets_iris_lies(pair):
    source, target = pair
    y, x = np.mgrid[:600, :512].astype(np.float32)
    eye = EYES[0]
    shift = source[eye.iris, :2] - target[eye.iris, :2] + np.array([1.0, 0.0], dtype=np.float32)
    places = np.stack([x, y]) + shift[:, None, None]
    steered = steer_irises(places.copy(), source, target)
    column, row = np.round(target[eye.iris, :2]).astype(int)
    assert steered[0, row, column] - places[0, row, column] == pytest.approx(-1.5, abs=0.05)
    assert np.array_equal(steered[:, :150], places[:, :150])
