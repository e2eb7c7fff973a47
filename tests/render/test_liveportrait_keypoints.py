"""From a motion to LivePortrait's keypoints and back: crop, turns, shifts, directions, retargeting."""

import numpy as np
import pytest
import torch

from likeness.benchmarks.expression import activations
from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.pose import rotation_from_angles
from likeness.pipelines.geometry.transforms import rotation_scale, transform_points
from likeness.pipelines.motion.channels import ARKIT_NAMES, INDEX
from likeness.pipelines.render.liveportrait.crop import driving_crop, openings, portrait_crop
from likeness.pipelines.render.liveportrait.directions import Directions, published
from likeness.pipelines.render.liveportrait.motion import rotation_matrix
from likeness.pipelines.render.liveportrait.moving import (
    EXPRESSION_CHANNEL,
    OPENINGS_CHANNEL,
    Step,
    Subject,
    driving_keypoints,
)
from likeness.pipelines.render.liveportrait.options import LivePortraitOptions
from likeness.pipelines.render.liveportrait.retargeting import Retargeting
from likeness.pipelines.render.liveportrait.space import CropSpace
from likeness.tests.render.liveportrait_parts import NoStitching, Reader, networks_of

NOTHING, STILL = np.zeros(52, dtype=np.float32), np.zeros(3, dtype=np.float32)
SPACE = CropSpace(0.3)
EMPTY = torch.nn.Identity


def subject_of(networks, space=SPACE, rest=NOTHING):
    motion = networks.extract(torch.zeros(1, 3, 256, 256))
    opened = np.array([0.3, 0.28, 0.1], dtype=np.float32)
    return Subject(motion, motion.placed(), opened, space, published(True), rest, True)


def networks_with(retargeting=None):
    return networks_of(EMPTY(), Reader(), EMPTY(), EMPTY(), retargeting or NoStitching())


def keypoints_of(blendshapes=NOTHING, rotation=STILL, translation=STILL, channels=None, retargeting=None, **options):
    networks = networks_with(retargeting)
    options = LivePortraitOptions(**({"stitching": False} | options))
    subject = subject_of(networks)
    step = Step(blendshapes, rotation, translation, channels or {})
    return driving_keypoints(subject, step, networks, options)[0], subject.source[0]


def test_the_crop_follows_the_published_rule(sitters):
    for sitter in sitters.both:
        landmarks = sitter.face.landmarks
        matrix = portrait_crop(landmarks, 512)
        eyes = landmarks[[33, 133, 159, 145, 362, 263, 386, 374], :2].mean(0)
        mouth = landmarks[[61, 291], :2].mean(0)
        inside = transform_points(matrix, np.stack([eyes, mouth]))
        assert inside[0, 0] == pytest.approx(inside[1, 0], abs=1e-3) and inside[1, 1] > inside[0, 1]
        # the face is 1 / 2.3 of the crop, its middle an eighth of the side below the crop's
        jaw_and_brows = transform_points(matrix, landmarks[[234, 454, 152, 70, 63, 105, 336, 296, 334, 300], :2])
        low, high = jaw_and_brows.min(0), jaw_and_brows.max(0)
        assert (high - low).max() == pytest.approx(512 / 2.3, rel=0.02)
        assert (low + high)[1] / 2 - 255.5 == pytest.approx(512 / 8, abs=2)


def test_a_driver_keeps_one_level_crop(sitters):
    landmarks = sitters.hopper.face.landmarks
    turned = landmarks.copy()
    turned[:, 0] += 20
    matrix = driving_crop([landmarks, turned])
    assert rotation_scale(matrix)[0] == 0
    middle = driving_crop([landmarks + np.array([10, 0, 0], dtype=np.float32)])
    assert np.allclose(matrix, middle, atol=1e-4)


def test_openings_are_height_by_width(sitters):
    landmarks = sitters.hopper.face.landmarks.copy()
    left, right, lips = openings(landmarks)
    assert 0.1 < left < 0.5 and 0.1 < right < 0.5 and 0 <= lips < 0.2
    landmarks[159] = landmarks[145]
    assert openings(landmarks)[0] == 0 and openings(landmarks)[1] == right


@pytest.mark.parametrize("roll", [0.0, 0.3, -1.0])
def test_turns_and_shifts_come_back_exactly(roll):
    space = CropSpace(0.37, roll)
    for turn in ([0.2, -0.3, 0.1], [-0.4, 0.5, -0.6]):
        turn = np.array(turn, dtype=np.float32)
        assert np.allclose(space.angles(space.rotation(turn)), turn, atol=1e-6)
        move, factor = space.shift(turn)
        assert np.allclose(space.translation(move, factor), turn, atol=1e-6)


def test_a_head_turned_right_in_the_picture_has_negative_yaw_for_liveportrait():
    for angles, degrees in (((0.2, 0, 0), (0.2, 0, 0)), ((0, 0.2, 0), (0, -0.2, 0)), ((0, 0, 0.2), (0, 0, -0.2))):
        turn = SPACE.rotation(np.array(angles, dtype=np.float32))
        published_turn = rotation_matrix(torch.rad2deg(torch.tensor([degrees], dtype=torch.float32)))[0].T
        assert np.allclose(turn, published_turn.numpy(), atol=1e-6)


def test_a_crop_that_is_turned_turns_the_axes_with_it():
    # a nod in a picture whose face lies on its side is a shake in the upright crop
    space = CropSpace(0.3, np.pi / 2)
    assert np.allclose(
        space.rotation(np.array([0.2, 0, 0], dtype=np.float32)),
        SPACE.rotation(np.array([0, 0.2, 0], dtype=np.float32)),
        atol=1e-6,
    )
    assert np.allclose(space.orientation(np.eye(3)), [0, 0, -np.pi / 2], atol=1e-6)


def test_the_keypoints_turn_about_the_pictures_axes_and_shift_in_eye_distances():
    placed, source = keypoints_of(rotation=np.array([0.1, 0.2, -0.3], dtype=np.float32))
    flip = np.diag([1.0, -1.0, -1.0])
    turn = flip @ rotation_from_angles(0.1, 0.2, -0.3) @ flip
    assert np.allclose(placed, source.numpy() @ turn.T, atol=1e-6)
    placed, source = keypoints_of(translation=np.array([0.5, 0.25, 0.6], dtype=np.float32))
    assert np.allclose(placed, 1.1 * source.numpy() + np.array([0.15, -0.075, 0]), atol=1e-6)


def test_blendshapes_move_the_published_keypoints():
    placed, source = keypoints_of(activations(("jawOpen",), 0.5))
    change = (placed - source).numpy()
    assert change[19] == pytest.approx([0, 0.06, 0.006], abs=1e-6) and change[17, 1] == pytest.approx(-0.006, abs=1e-6)
    assert np.count_nonzero(np.abs(change).max(1) > 1e-6) == 2
    wink, _ = keypoints_of(activations(("eyeBlinkLeft",), 1.0))
    # the person's left eye is on the right of the picture, where this face has keypoints 11, 13 and 3
    assert np.flatnonzero(np.abs((wink - source).numpy()).max(1) > 1e-6).tolist() == [11, 13]
    assert (wink - source)[11, 1] == pytest.approx(0.02, abs=1e-6)


def test_sides_change_places_when_the_keypoints_do():
    one, other = published(True).table, published(False).table
    assert np.array_equal(one[INDEX["eyeBlinkLeft"]], other[INDEX["eyeBlinkRight"]])
    assert not np.array_equal(one[INDEX["eyeBlinkLeft"]], other[INDEX["eyeBlinkLeft"]])
    assert np.array_equal(one[INDEX["jawOpen"]], other[INDEX["jawOpen"]])


def test_a_full_smile_is_the_end_of_the_published_dial():
    smile = published(True).expression(activations(("mouthSmileLeft", "mouthSmileRight"), 1.0)).reshape(21, 3)
    expected = {(20, 1): -0.01, (14, 1): -0.02, (17, 1): 0.0065, (17, 2): 0.003, (13, 1): -0.00275, (16, 1): -0.00275,
                (3, 1): -0.0035, (7, 1): -0.0035}  # fmt: skip
    wanted = np.zeros((21, 3))
    for place, value in expected.items():
        wanted[place] = 1.3 * value
    assert np.allclose(smile, wanted, atol=1e-7)


def test_gaze_goes_the_same_way_in_both_eyes():
    right = published(True).expression(activations(("eyeLookOutLeft", "eyeLookInRight"), 1.0)).reshape(21, 3)
    left = published(True).expression(activations(("eyeLookInLeft", "eyeLookOutRight"), 1.0)).reshape(21, 3)
    assert right[11, 0] == pytest.approx(0.0105) and right[15, 0] == pytest.approx(0.015)
    assert left[11, 0] == pytest.approx(-0.015) and left[15, 0] == pytest.approx(-0.0105)


def test_channels_without_a_dial_are_named():
    unknown = published(True).unknown
    assert "cheekPuff" in unknown and "tongueOut" in unknown and "mouthSmileLeft" not in unknown
    assert len(unknown) == 23


def test_keypoints_give_the_blendshapes_back_that_moved_them():
    directions = published(True)
    rows = np.zeros((3, 52), dtype=np.float32)
    rows[0, [INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]] = 0.8
    rows[1, [INDEX["eyeBlinkLeft"], INDEX["jawOpen"]]] = 0.5, 0.7
    change = directions.expression(rows)
    back = directions.blendshapes(change)
    assert back.min() >= 0 and back.max() <= 1
    assert np.abs(directions.expression(back) - change).max() < 0.02 * np.abs(change).max()
    for row, name in ((0, "mouthSmileLeft"), (0, "mouthSmileRight"), (1, "eyeBlinkLeft"), (1, "jawOpen")):
        assert back[row, INDEX[name]] == pytest.approx(rows[row, INDEX[name]], abs=0.15), name
    assert not back[2].any()


def test_a_table_that_knows_all_channels_is_undone():
    table = np.random.default_rng(3).normal(size=(52, 63)).astype(np.float32)
    directions = Directions(table, "a test")
    rows = np.random.default_rng(4).random((4, 52), dtype=np.float32)
    assert directions.unknown == ()
    assert np.abs(directions.blendshapes(directions.expression(rows)) - rows).max() < 0.15


def test_channels_that_were_not_measured_keep_their_dial():
    table = np.zeros((52, 63), dtype=np.float32)
    table[INDEX["cheekPuff"], 0] = 1.0
    table[INDEX["jawOpen"], 1] = 2.0
    both = Directions(table, "a test").filled(published(True))
    assert both.table[INDEX["cheekPuff"], 0] == 1 and both.table[INDEX["jawOpen"], 1] == 2
    assert np.array_equal(both.table[INDEX["eyeBlinkLeft"]], published(True).table[INDEX["eyeBlinkLeft"]])
    assert both.source == "a test, 28 channels by the dials of the public editors" and len(both.unknown) == 22


def test_what_a_portrait_already_shows_is_not_put_on_again():
    networks = networks_with()
    smile, rest = activations(("mouthSmileLeft", "mouthSmileRight"), 1.0), NOTHING.copy()
    rest[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]] = 1.0
    step = Step(smile, STILL, STILL, {})
    options = LivePortraitOptions(stitching=False)
    neutral = driving_keypoints(subject_of(networks), step, networks, options)
    smiling = driving_keypoints(subject_of(networks, rest=rest), step, networks, options)
    source = subject_of(networks).source
    assert (smiling - source)[0, 14, 1] == pytest.approx(0.15 * float((neutral - source)[0, 14, 1]), rel=1e-3)


@pytest.mark.parametrize(
    ("region", "moved"), [("eyes", [11, 13]), ("lips", [17, 19]), ("expression", [11, 13, 17, 19]), ("pose", [])]
)
def test_a_region_moves_only_its_keypoints(region, moved):
    row = activations(("jawOpen", "eyeBlinkLeft"), 1.0)
    turn = np.array([0.0, 0.2, 0.0], dtype=np.float32)
    placed, source = keypoints_of(row, turn, region=region)
    if region == "pose":
        assert torch.equal(placed, keypoints_of(rotation=turn)[0])
    else:
        assert np.flatnonzero(np.abs((placed - source).numpy()).max(1) > 1e-6).tolist() == moved


def test_a_drivers_own_expression_is_taken_as_it_is():
    change = np.linspace(-0.02, 0.02, 63, dtype=np.float32)
    placed, source = keypoints_of(activations(("jawOpen",), 1.0), channels={EXPRESSION_CHANNEL: change})
    assert np.allclose((placed - source).numpy().ravel(), change, atol=1e-6)
    with pytest.raises(InputError, match="has 5 columns, 63 are needed"):
        keypoints_of(channels={EXPRESSION_CHANNEL: np.zeros(5, dtype=np.float32)})


class Told(Retargeting):
    """Says what it was asked: the wanted opening, as the move of every keypoint."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def eyes(self, source, openings):
        self.asked.append(openings.tolist()[0])
        return torch.full_like(source, float(openings[0, 2]))

    def lips(self, source, openings):
        self.asked.append(openings.tolist()[0])
        return torch.full_like(source, float(openings[0, 1]))


def test_each_eye_is_closed_by_its_own_wish():
    told = Told()
    placed, source = keypoints_of(activations(("eyeBlinkRight",), 1.0), retargeting=told, eye_retargeting=True)
    # the person's right eye is on the left of the picture: its opening is the first, and is to become nothing
    assert told.asked == [pytest.approx([0.3, 0.28, 0.0]), pytest.approx([0.3, 0.28, 0.28])]
    change = (placed - source).numpy()
    assert np.allclose(change[[15, 16]], 0.0, atol=1e-6) and np.allclose(change[[11, 13]], 0.0, atol=1e-6)


def test_an_opening_jaw_asks_for_open_lips_instead_of_moving_keypoints():
    told = Told()
    placed, source = keypoints_of(activations(("jawOpen",), 0.5), retargeting=told, lip_retargeting=True)
    assert told.asked == [pytest.approx([0.1, 0.5])]
    assert np.allclose((placed - source).numpy(), 0.5, atol=1e-6)


def test_a_drivers_openings_are_asked_for_in_shares_of_the_portraits():
    told = Told()
    driven = {
        EXPRESSION_CHANNEL: np.full(63, 0.01, dtype=np.float32),
        OPENINGS_CHANNEL: np.array([-0.5, -0.5, 0.3], dtype=np.float32),
    }
    placed, source = keypoints_of(channels=driven, retargeting=told, eye_retargeting=True, lip_retargeting=True)
    assert told.asked == [
        pytest.approx([0.3, 0.28, 0.15]), pytest.approx([0.3, 0.28, 0.14]), pytest.approx([0.1, 0.4]),
    ]  # fmt: skip
    change = (placed - source).numpy()
    assert change[11, 1] == pytest.approx(0.14 + 0.4, abs=1e-5)  # the driver's own lid height is left out


def test_the_stitching_network_has_the_last_word():
    class Anchored(NoStitching):
        def stitched(self, source, driving):
            return source

    placed, source = keypoints_of(activations(("jawOpen",), 1.0), retargeting=Anchored(), stitching=True)
    assert torch.equal(placed, source)


def test_an_unknown_region_is_refused():
    with pytest.raises(InputError, match="'nose', it must be one of all, expression"):
        LivePortraitOptions(region="nose")


def test_all_arkit_channels_have_a_row():
    assert published(True).table.shape == (len(ARKIT_NAMES), 63)


def test_closing_takes_the_share_of_the_gap_and_nothing_from_lips_that_touch():
    def lips(jaw, close):
        moved, source = keypoints_of(activations(("jawOpen",), jaw) + activations(("mouthClose",), close))
        return float(moved[19, 1] - source[19, 1])

    opened, rest = lips(0.4, 0.0), 0.1 / 0.8  # the subject's own lips in units of the jaw
    per_jaw = opened / 0.4
    for jaw, close in ((0.0, 1.0), (0.4, 0.5), (0.4, 1.0)):
        assert lips(jaw, close) == pytest.approx(per_jaw * (jaw - close * (jaw + rest)), abs=1e-6)
