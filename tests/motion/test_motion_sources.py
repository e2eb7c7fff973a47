"""Motion of faces, sliders and emotions, on faces whose movement is known."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face, Faces, five_points
from likeness.pipelines.geometry.mesh import canonical_mesh
from likeness.pipelines.geometry.pose import rotation_from_angles
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.capture import capture, capture_photo
from likeness.pipelines.motion.channels import ARKIT_NAMES, VALUE_NAMES
from likeness.pipelines.motion.emotions import ACTION_UNITS, EMOTIONS, emotion_motion, emotion_values
from likeness.pipelines.motion.expression import PARTS, expression_from_photo
from likeness.pipelines.motion.motion import still
from likeness.pipelines.motion.plot import plot_motion
from likeness.pipelines.motion.report import describe_motion, strongest
from likeness.pipelines.motion.sliders import HEAD_TURNS, SLIDERS, expression_from_sliders
from likeness.pipelines.motion.takes import take_motion

SIZE = 400


def face(x: float = 200, y: float = 200, scale: float = 10, yaw: float = 0.0, track: int = -1, **shapes: float) -> Face:
    """The canonical head, turned, `scale` px per cm, its middle at (x, y), with these blendshapes."""
    points = canonical_mesh().points.astype(np.float64) @ rotation_from_angles(0, yaw, 0).T
    landmarks = (points * (1, -1, -1) * scale + (x, y, 0)).astype(np.float32)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    values = np.array([shapes.get(name, 0.0) for name in BLENDSHAPE_NAMES], np.float32)
    return Face(np.concatenate([low, high]), 0.9, five_points(landmarks), landmarks, values, track)


def series(*frames: tuple[Face, ...]) -> Faces:
    return Faces(frames, SIZE, SIZE)


def test_a_face_gives_its_channels_turn_and_place() -> None:
    frames = [(face(200 + 10 * i, jawOpen=0.1 * i, yaw=0.1 * i),) for i in range(5)]
    motion = capture(series(*frames), 10, BLENDSHAPE_NAMES).motion
    assert motion.channel("jawOpen").tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert np.all(np.diff(motion.rotation[:, 1]) > 0.07)  # without perspective, which is taken out
    assert np.all(np.diff(motion.translation[:, 0]) > 0)
    assert motion.translation[2].tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_face_that_comes_nearer_moves_towards_the_camera() -> None:
    motion = capture(series(*[(face(scale=scale),) for scale in (8, 10, 12)]), 10, BLENDSHAPE_NAMES).motion
    assert np.all(np.diff(motion.translation[:, 2]) > 0.5)


def test_missing_frames_are_filled_and_listed() -> None:
    frames = [(face(jawOpen=0.2),), (), (), (face(jawOpen=0.8),), ()]
    captured = capture(series(*frames), 25, BLENDSHAPE_NAMES)
    assert captured.motion.channel("jawOpen").tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert captured.missing == (1, 2, 4) and captured.cuts == ()
    assert "3 frame(s) without the face were filled: 1-2, 4" in captured.text


def test_a_jump_is_a_scene_cut_over_which_nothing_is_filled_or_smoothed() -> None:
    near, far = face(120, 120, 5, jawOpen=0.2), face(320, 320, 5, jawOpen=0.8)
    captured = capture(series((near,), (near,), (), (far,), (far,)), 25, BLENDSHAPE_NAMES)
    assert captured.cuts == (3,)
    assert captured.motion.channel("jawOpen").tolist() == pytest.approx([0.2, 0.2, 0.2, 0.8, 0.8])
    smooth, said = take_motion(series((near,), (near,), (far,), (far,)), 25, BLENDSHAPE_NAMES, "nothing", 0.5)
    assert smooth.channel("jawOpen").tolist() == pytest.approx([0.2, 0.2, 0.8, 0.8])
    assert "1 scene cut(s), at frame 2" in said


def test_the_same_person_is_followed_when_the_order_of_faces_changes() -> None:
    left, right = face(100, jawOpen=0.3, scale=6), face(300, jawOpen=0.9, scale=6)
    frames = series((left, right), (right, left), (left, right))
    assert capture(frames, 25, BLENDSHAPE_NAMES, 0).motion.channel("jawOpen").tolist() == pytest.approx([0.3] * 3)
    assert capture(frames, 25, BLENDSHAPE_NAMES, 1).motion.channel("jawOpen").tolist() == pytest.approx([0.9] * 3)
    first, second = replace(left, track=7), replace(right, track=8)
    moved = replace(face(320, jawOpen=0.3, scale=6), track=7)
    tracked = capture(series((first, second), (second,), (second, moved)), 25, BLENDSHAPE_NAMES, 0)
    assert tracked.motion.channel("jawOpen").tolist() == pytest.approx([0.3] * 3)
    assert tracked.missing == (1,) and tracked.cuts == ()


def test_a_face_that_is_never_seen_is_an_error_with_numbers() -> None:
    with pytest.raises(FaceNotFoundError, match="none of the 2 picture"):
        capture(series((), ()), 25, BLENDSHAPE_NAMES)
    with pytest.raises(FaceNotFoundError, match=r"Face 3 is in none of the 1 pictures, which have at most 1 face"):
        capture(series((face(),)), 25, BLENDSHAPE_NAMES, 3)
    five = replace(face(), landmarks=None)
    with pytest.raises(InputError, match="no dense landmarks"):
        capture(series((five,)), 25, BLENDSHAPE_NAMES)


def test_a_photo_counts_against_the_persons_own_neutral() -> None:
    photo, neutral = (
        series((face(mouthSmileLeft=0.6, browDownLeft=0.3),)),
        series((face(mouthSmileLeft=0.2, browDownLeft=0.3),)),
    )
    alone = expression_from_photo(photo, BLENDSHAPE_NAMES)
    against = expression_from_photo(photo, BLENDSHAPE_NAMES, neutral)
    assert alone.channel("browDownLeft")[0] == pytest.approx(0.3)
    assert against.channel("browDownLeft")[0] == 0
    assert against.channel("mouthSmileLeft")[0] == pytest.approx(0.4 / 0.8)
    assert len(against) == 1 and against.translation.max() == 0


@pytest.mark.parametrize("part", PARTS)
def test_only_the_part_asked_for_is_taken(part: str) -> None:
    shapes = dict.fromkeys(ARKIT_NAMES, 0.5)
    motion = expression_from_photo(series((face(yaw=0.2, **shapes),)), BLENDSHAPE_NAMES, part=part, strength=2.0)
    moved = {name for name in VALUE_NAMES if abs(motion.channel(name)[0]) > 0.02}
    assert moved <= set(PARTS[part]) and moved
    if part != "pose":
        assert motion.channel(next(iter(moved & set(ARKIT_NAMES))))[0] == pytest.approx(1.0)


def test_an_unknown_part_and_a_missing_face_are_named() -> None:
    with pytest.raises(InputError, match="'ears'"):
        expression_from_photo(series((face(),)), BLENDSHAPE_NAMES, part="ears")
    with pytest.raises(FaceNotFoundError, match="no face 2: at most 1"):
        capture_photo(series((face(),)), BLENDSHAPE_NAMES, 2)
    with pytest.raises(FaceNotFoundError, match="The neutral photo"):
        expression_from_photo(series((face(),)), BLENDSHAPE_NAMES, series(()))


@pytest.mark.parametrize(
    ("against", "first", "last"),
    [("nothing", 0.2, 0.8), ("first frame", 0.0, 0.75), ("calm", 0.0, 0.75), ("neutral", 0.2, 0.8)],
)
def test_a_take_is_measured_against_what_was_asked(against: str, first: float, last: float) -> None:
    frames = [(face(jawOpen=0.2),)] * 6 + [(face(jawOpen=0.8),)] * 2
    motion, said = take_motion(series(*frames), 25, BLENDSHAPE_NAMES, against, 0.0, neutral=series((face(),)))
    assert motion.channel("jawOpen")[0] == pytest.approx(first, abs=1e-6)
    assert motion.channel("jawOpen")[-1] == pytest.approx(last, abs=1e-6)
    assert f"measured against: {against}" in said
    with pytest.raises(InputError, match="no neutral faces"):
        take_motion(series(*frames), 25, BLENDSHAPE_NAMES, "neutral")


def test_sliders_at_rest_are_a_zero_motion_and_each_moves_something_on_both_sides() -> None:
    assert np.abs(expression_from_sliders({slider.name: 0.0 for slider in SLIDERS}).values).max() == 0
    for slider in SLIDERS:
        up, down = (expression_from_sliders({slider.name: value}).blendshapes[0] for value in (1.0, -1.0))
        assert np.abs(up).max() == 1.0 and not np.array_equal(up, down)
        half = expression_from_sliders({slider.name: 0.5}).blendshapes[0]
        assert np.allclose(half, up / 2)


def test_sliders_add_up_within_limits_and_heads_turn_in_degrees() -> None:
    motion = expression_from_sliders(
        {"mouth_smile": 0.8, "mouth_smirk": 0.8, "head_yaw": 20, "head_up": 0.5}, {"jawOpen": 0.2}
    )
    assert motion.channel("mouthSmileLeft")[0] == 1.0 and motion.channel("mouthSmileRight")[0] == pytest.approx(0.8)
    assert motion.rotation[0, 1] == pytest.approx(np.deg2rad(20)) and motion.translation[0, 1] == 0.5
    assert motion.channel("jawOpen")[0] == pytest.approx(0.2)
    assert len({slider.name for slider in SLIDERS} | {name for name, _, _ in HEAD_TURNS}) == len(SLIDERS) + 3
    with pytest.raises(InputError, match="no slider 'ears'"):
        expression_from_sliders({"ears": 1.0})


def test_emotions_are_eight_combinations_of_known_units_and_channels() -> None:
    assert len(EMOTIONS) == 8 and EMOTIONS["neutral"] == {}
    assert {unit for units in EMOTIONS.values() for unit in units} <= set(ACTION_UNITS)
    assert {name for unit in ACTION_UNITS.values() for name in unit} <= set(ARKIT_NAMES)
    patterns = {tuple(sorted(emotion_values(name).items())) for name in EMOTIONS}
    assert len(patterns) == 8
    assert all(0 < value <= 1 for name in EMOTIONS for value in emotion_values(name, 1.5).values())
    assert emotion_values("happiness", 0.5)["mouthSmileLeft"] == pytest.approx(0.45)


def test_an_emotion_comes_stays_and_goes() -> None:
    curve = emotion_motion("surprise", 1.0, 2.0, 25, 0.4, 0.6).channel("browInnerUp")
    assert len(curve) == 50 and curve[0] == 0 and curve[-1] == 0
    assert curve[10:35].tolist() == pytest.approx([0.8] * 25)
    assert np.all(np.diff(curve[:11]) > 0) and np.all(np.diff(curve[34:]) < 0)
    assert len(emotion_motion("fear", 1.0)) == 1
    short = emotion_motion("anger", 1.0, 0.4, 25, 2.0, 2.0).channel("browDownLeft")
    assert short[0] == 0 and short[-1] == pytest.approx(0, abs=1e-6) and short.max() > 0.5
    with pytest.raises(InputError, match="'joy' is none"):
        emotion_motion("joy", 1.0)
    with pytest.raises(InputError, match="intensity 2"):
        emotion_values("fear", 2)


def test_the_report_lists_the_strongest_channels_with_their_ranges() -> None:
    motion = emotion_motion("happiness", 1.0, 1.0)
    names = [part.name for part in strongest(motion, 4)]
    assert names[:2] == ["mouthSmileLeft", "mouthSmileRight"]
    text = describe_motion(motion)
    assert text.startswith("25 frame(s) at 25 per second, 1.00 s\nmouthSmileLeft 0.00 to 0.9")
    assert re.search(r"headYaw 11\.5°", describe_motion(still({"headYaw": 0.2})))
    assert "At rest" in describe_motion(still({}))


def test_a_plot_shows_each_curve_in_its_row_where_it_is() -> None:
    motion = emotion_motion("happiness", 1.0, 4.0, 25, 1.0, 1.0)
    plot = plot_motion(motion, ("mouthSmileLeft", "jawOpen"), 800, 60)
    assert plot.shape == (34 + 2 * 60 + 30, 800, 3) and plot.dtype == torch.float32
    assert 0 <= plot.min() and plot.max() <= 1
    pink = (plot - torch.tensor([0xF0, 0x8A, 0xC0]) / 255).abs().sum(2) < 0.1
    rows, columns = torch.nonzero(pink, as_tuple=True)
    assert rows.min() >= 34 and rows.max() < 34 + 60
    middle = rows[(columns > 440) & (columns < 470)].float().mean()
    ends = rows[(columns > 192) & (columns < 200)].float().mean()
    assert ends - middle > 30
    again = plot_motion(motion, ("mouthSmileLeft", "jawOpen"), 800, 60)
    assert torch.equal(plot, again)


@pytest.mark.parametrize("frames", [1, 2, 20_000])
def test_any_length_can_be_plotted(frames: int) -> None:
    values = np.sin(np.arange(frames) / 50).astype(np.float32)
    motion = still({"jawOpen": 1.0}, 25, frames)
    turned = motion.with_values(motion.values * values[:, None])
    assert plot_motion(turned).shape[1] == 1024


def test_a_plot_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InputError, match="58 channels are too many"):
        plot_motion(still({}), VALUE_NAMES)
    with pytest.raises(InputError, match="100 px"):
        plot_motion(still({}), width=100)
