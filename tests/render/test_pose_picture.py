"""Pose pictures: the mesh moves as the channels say, and each kind is drawn as its ControlNet expects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Face, five_points
from likeness.pipelines.geometry.pose import rotation_from_landmarks
from likeness.pipelines.motion.channels import ARKIT_NAMES
from likeness.pipelines.motion.motion import still
from likeness.pipelines.render.movement import move
from likeness.pipelines.render.portrait import prepare
from likeness.pipelines.render.pose_picture import KINDS, pose_picture, pose_pictures, vertex_normals
from likeness.pipelines.render.posed_mesh import canonical_landmarks, posed_landmarks

SIZE = (320, 256)
BASE = canonical_landmarks(SIZE)


def moved(**values: float) -> np.ndarray:
    return posed_landmarks(BASE, still(values), 0)


def test_the_average_face_is_in_the_middle_looks_ahead_and_has_irises() -> None:
    assert BASE.shape == (478, 3)
    assert ((BASE[:, :2].min(0) + BASE[:, :2].max(0)) / 2).tolist() == pytest.approx([127.5, 159.5], abs=0.1)
    assert np.ptp(BASE[:468, 1]) == pytest.approx(0.6 * 256, abs=0.1)
    assert np.abs(rotation_from_landmarks(BASE)).max() < 0.01
    assert BASE[33, 0] < BASE[468, 0] < BASE[133, 0] and BASE[362, 0] < BASE[473, 0] < BASE[263, 0]


def test_nothing_moves_without_motion() -> None:
    assert np.abs(moved() - BASE).max() < 1e-3


@pytest.mark.parametrize("channel", ["headPitch", "headYaw", "headRoll"])
def test_the_head_turns_by_the_angles_of_the_motion(channel: str) -> None:
    angles = rotation_from_landmarks(moved(**{channel: 0.3}))
    index = ("headPitch", "headYaw", "headRoll").index(channel)
    assert angles[index] == pytest.approx(0.3, abs=0.01)


def test_channels_move_the_features_they_are_named_after() -> None:
    gap = BASE[14, 1] - BASE[13, 1]
    opened = moved(jawOpen=0.7)
    assert opened[14, 1] - opened[13, 1] > gap + 10
    shut = moved(jawOpen=0.7, mouthClose=1.0)
    assert abs(shut[14, 1] - shut[13, 1]) < 1
    # the person's left is on the right of the picture
    blinking = moved(eyeBlinkLeft=1.0)
    assert abs(blinking[386, 1] - blinking[374, 1]) < 0.5 < BASE[374, 1] - BASE[386, 1]
    assert np.abs(blinking[[159, 145]] - BASE[[159, 145]]).max() < 1e-3
    looking = moved(eyeLookOutLeft=1.0, eyeLookInRight=1.0)
    assert looking[473, 0] > BASE[473, 0] + 2 and looking[468, 0] > BASE[468, 0] + 2
    assert moved(mouthSmileLeft=1.0)[291, 1] < BASE[291, 1] - 2
    assert moved(headX=0.5)[1, 0] > BASE[1, 0] + 10 and moved(headY=0.5)[1, 1] < BASE[1, 1] - 10
    assert np.ptp(moved(headZ=1.0)[:, 0]) > 1.1 * np.ptp(BASE[:, 0])


@pytest.mark.parametrize("channel", ["jawOpen", "browInnerUp", "mouthSmileLeft", "jawLeft"])
def test_the_pose_picture_moves_the_mesh_as_the_renderer_does(channel: str) -> None:
    face = Face(np.array([0, 0, 255, 319], dtype=np.float32), 1.0, five_points(BASE), BASE)
    portrait = prepare(torch.zeros(*SIZE, 3), face, ARKIT_NAMES)
    motion = still({channel: 0.6})
    drawn = move(portrait, motion.blendshapes[0], motion.rotation[0], motion.translation[0]).vertices[:468]
    drawn = drawn + np.array([*portrait.origin, 0])
    assert np.abs(drawn - moved(**{channel: 0.6})[:468]).max() < 0.05


def test_a_turned_face_opens_its_mouth_along_its_own_axis() -> None:
    turned = posed_landmarks(BASE, still({"headRoll": np.pi / 2}), 0)
    opened = posed_landmarks(turned, still({"jawOpen": 0.8}), 0)
    chin = opened[152] - turned[152]
    assert abs(chin[0]) > 5 * abs(chin[1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_picture_of_the_size_on_black(kind: str) -> None:
    picture = pose_picture(BASE, SIZE, kind)
    assert picture.shape == (*SIZE, 3) and picture.dtype == torch.float32
    assert 0 <= picture.min() and 0.5 < picture.max() <= 1
    assert picture[0, 0].max() == 0 and picture[-1, -1].max() == 0


def test_five_points_have_instantids_colours_at_their_places() -> None:
    picture = pose_picture(canonical_landmarks((512, 512)), (512, 512), "five points")
    points = canonical_landmarks((512, 512))
    for index, colour in ((468, (1, 0, 0)), (473, (0, 1, 0)), (1, (0, 0, 1)), (61, (1, 1, 0)), (291, (1, 0, 1))):
        x, y = (round(float(value)) for value in points[index, :2])
        assert picture[y, x].tolist() == pytest.approx(colour, abs=0.02)


def test_landmarks_have_the_annotators_colours_on_each_side() -> None:
    picture = (pose_picture(BASE, SIZE) * 255).round()
    x, y = (round(float(value)) for value in BASE[468, :2])
    assert picture[y, x].tolist() == [250, 200, 10]
    x, y = (round(float(value)) for value in BASE[473, :2])
    assert picture[y, x].tolist() == [10, 200, 250]


def test_the_nose_is_nearest_and_an_open_mouth_is_dark() -> None:
    landmarks = moved(jawOpen=0.8)
    depth = pose_picture(landmarks, SIZE, "depth")[..., 0]
    nose_x, nose_y = (round(float(value)) for value in landmarks[4, :2])
    assert depth[nose_y, nose_x] > 0.97 * depth.max()
    mouth_x, mouth_y = (round(float(value)) for value in landmarks[[13, 14], :2].mean(0))
    assert depth[mouth_y, mouth_x] == 0


def test_normals_point_where_the_skin_faces() -> None:
    normals = vertex_normals(BASE)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert normals[10, 2] > 0.5 and normals[234, 0] < -0.5 and normals[454, 0] > 0.5 and normals[152, 1] < 0


def test_a_motion_becomes_one_picture_per_frame() -> None:
    motion = still({"jawOpen": 0.4}, 25, 3)
    pictures = pose_pictures(motion, "depth", None, SIZE)
    assert pictures.shape == (3, *SIZE, 3)
    assert torch.equal(pictures[1], pose_picture(posed_landmarks(BASE, motion, 1), SIZE, "depth"))


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="'smoke'"):
        pose_picture(BASE, SIZE, "smoke")
    with pytest.raises(InputError, match="16 to 8192"):
        pose_picture(BASE, (8, 64))
    with pytest.raises(InputError, match="are too much"):
        pose_pictures(still({}, 25, 9000), "depth", None, (512, 512))
    with pytest.raises(InputError, match="478 landmarks with irises"):
        posed_landmarks(BASE[:468], still({}), 0)
