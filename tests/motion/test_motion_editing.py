"""Motions in time, mixed, mirrored, smoothed and limited, against slow twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from likeness.pipelines.errors import InputError
from likeness.pipelines.geometry.pose import angles_from_rotation, rotation_from_angles
from likeness.pipelines.motion.adjusting import adjust, retime
from likeness.pipelines.motion.blending import mirror, mix, offset, parse_values, scale, weights_from_text
from likeness.pipelines.motion.blinks import insert_blinks
from likeness.pipelines.motion.channels import GROUPS, VALUE_INDEX, VALUE_NAMES
from likeness.pipelines.motion.keyframes import EASINGS, keyframes, times_from_text
from likeness.pipelines.motion.motion import Motion, motion_from_values, still
from likeness.pipelines.motion.retargeting import angles, changed_from, retarget, rotations
from likeness.pipelines.motion.smoothing import limit, smooth
from likeness.pipelines.motion.timing import concatenate, loop, resample, reverse, trim

JAW = VALUE_INDEX["jawOpen"]


def ramp(count: int, fps: float = 25.0) -> Motion:
    values = np.zeros((count, 58), np.float32)
    values[:, JAW] = np.arange(count)
    return motion_from_values(fps, values, {"extra": np.arange(count, dtype=np.float32)[:, None] * 2})


def jaw(motion: Motion) -> list[float]:
    return [round(float(value), 4) for value in motion.channel("jawOpen")]


def test_a_higher_frame_rate_interpolates_linearly_and_keeps_the_length() -> None:
    faster = resample(ramp(4), 50)
    assert jaw(faster) == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert faster.duration_s == ramp(4).duration_s
    assert np.array_equal(faster.channels["extra"][:, 0], 2 * faster.channel("jawOpen"))


def test_a_lower_frame_rate_averages_so_that_a_blink_is_not_lost() -> None:
    values = np.zeros((100, 58), np.float32)
    values[11, JAW] = 1.0
    slow = resample(motion_from_values(100, values), 10)
    assert slow.channel("jawOpen").max() == pytest.approx(0.1, abs=1e-3)
    assert slow.channel("jawOpen").sum() == pytest.approx(0.1, abs=1e-3)


def test_averaging_equals_the_integral_of_the_linear_curve(random_motion: Motion) -> None:
    slow = resample(random_motion, 7)
    width = 25 / 7
    for index in (0, 3, 7):
        low, high = max(index * width - width / 2, 0), min(index * width + width / 2, 39)
        fine = np.linspace(low, high, 20001)
        twin = np.interp(fine, np.arange(40), random_motion.values[:, JAW]).mean()
        assert slow.values[index, JAW] == pytest.approx(twin, abs=1e-4)


def test_speed_shortens_and_the_same_rate_changes_nothing(random_motion: Motion) -> None:
    assert len(resample(random_motion, 25, 2)) == 20
    assert np.array_equal(resample(random_motion, 25).values, random_motion.values)
    with pytest.raises(InputError, match="0.01 to 100"):
        resample(random_motion, 25, 0)


def test_trim_takes_seconds_also_from_the_end() -> None:
    assert jaw(trim(ramp(25), 0.2, 0.4)) == [5, 6, 7, 8, 9]
    assert jaw(trim(ramp(25), -0.12)) == [22, 23, 24]
    assert jaw(trim(ramp(25), 0, -0.92)) == [0, 1]
    with pytest.raises(InputError, match=r"Nothing is left .* 1 s \(25 frames"):
        trim(ramp(25), 2)


def test_reverse_and_loops() -> None:
    assert jaw(reverse(ramp(3))) == [2, 1, 0]
    assert jaw(loop(ramp(3), 2)) == [0, 1, 2, 0, 1, 2]
    assert jaw(loop(ramp(3), 3, back_and_forth=True)) == [0, 1, 2, 1, 0, 1, 2]
    assert jaw(loop(ramp(1), 3, back_and_forth=True)) == [0]
    with pytest.raises(InputError, match="cannot be played 0 times"):
        loop(ramp(3), 0)


def test_joining_overlaps_along_a_smooth_step_and_brings_all_to_the_first_rate() -> None:
    first, second = still({"jawOpen": 0}, 25, 10), still({"jawOpen": 1}, 50, 20)
    assert jaw(concatenate([first, second])) == [0] * 10 + [1] * 10
    joined = concatenate([first, second], 3 / 25)
    share = [0.25, 0.5, 0.75]
    assert jaw(joined) == [0] * 7 + [round(3 * s**2 - 2 * s**3, 4) for s in share] + [1] * 7


def test_extra_channels_are_joined_too_and_must_have_one_width() -> None:
    plain = still({}, 25, 2)
    joined = concatenate([ramp(2), plain])
    assert joined.channels["extra"][:, 0].tolist() == [0, 2, 0, 0]
    with pytest.raises(InputError, match="'extra' has 1 and 3 columns"):
        concatenate([ramp(2), replace(plain, channels={"extra": np.zeros((2, 3))})])


def test_mixing_follows_the_weights_of_each_channel(random_motion: Motion) -> None:
    other = reverse(random_motion)
    weights = weights_from_text("3, 1\nmouth: 0, 1; headYaw: 1 0", 2)
    mixed = mix([random_motion, other], weights)
    for name in ("browInnerUp", "jawOpen", "headYaw"):
        first = {"browInnerUp": 0.75, "jawOpen": 0.0, "headYaw": 1.0}[name]
        twin = first * random_motion.channel(name) + (1 - first) * other.channel(name)
        assert np.allclose(mixed.channel(name), twin, atol=1e-6)


def test_adding_uses_the_weights_as_they_are_and_lengths_are_settled() -> None:
    short, long = still({"jawOpen": 0.25}, 25, 2), still({"jawOpen": 0.5}, 25, 4)
    both = weights_from_text("", 2, add=True)
    assert jaw(mix([short, long], both)) == [0.75] * 4
    assert jaw(mix([short, long], both, "shortest")) == [0.75] * 2
    assert jaw(mix([short, long], weights_from_text("1, -1", 2, add=True), "first")) == [-0.25] * 2


@pytest.mark.parametrize("text", ["1", "1, 2, 3", "mouth: a, b", "0, 0", "mouf: 1, 2", "nan, 1"])
def test_weights_that_fit_nothing_are_named(text: str) -> None:
    with pytest.raises(InputError):
        weights_from_text(text, 2)


def test_scale_and_offset_change_only_what_is_named(random_motion: Motion) -> None:
    half = scale(random_motion, 0.5, GROUPS["brows"])
    changed = {name for name in VALUE_NAMES if not np.array_equal(half.channel(name), random_motion.channel(name))}
    assert changed == set(GROUPS["brows"])
    moved = offset(random_motion, parse_values("jawOpen=0.2, mouthSmile* = -0.1"))
    assert np.allclose(moved.channel("jawOpen") - random_motion.channel("jawOpen"), 0.2)
    assert np.allclose(moved.channel("mouthSmileRight") - random_motion.channel("mouthSmileRight"), -0.1)
    with pytest.raises(InputError, match="no channel with a number"):
        parse_values("jawOpen")


def test_a_mirror_shows_the_reflected_head_and_mirroring_twice_is_nothing(random_motion: Motion) -> None:
    twice = mirror(mirror(random_motion))
    assert np.array_equal(twice.values, random_motion.values)
    flip = np.diag([-1.0, 1, 1])
    expected = flip @ rotation_from_angles(*map(float, random_motion.rotation[3])) @ flip
    assert np.allclose(angles_from_rotation(expected), mirror(random_motion).rotation[3], atol=1e-6)
    with pytest.raises(InputError, match="extra cannot be mirrored|extra channel"):
        mirror(ramp(2))


def test_smoothing_equals_the_weighted_mean_around_each_frame(random_motion: Motion) -> None:
    smoothed = smooth(random_motion, 0.08, ("jawOpen",))
    values = random_motion.channel("jawOpen").astype(np.float64)
    for frame in (0, 1, 20, 39):
        weights = np.exp(-0.5 * ((np.arange(40) - frame) / 2.0) ** 2)
        weights[np.abs(np.arange(40) - frame) > 8] = 0
        assert smoothed.values[frame, JAW] == pytest.approx((weights * values).sum() / weights.sum(), abs=1e-6)
    assert np.array_equal(smoothed.channel("browInnerUp"), random_motion.channel("browInnerUp"))


def test_smoothing_has_no_lag_and_keeps_a_constant() -> None:
    values = np.zeros((101, 58), np.float32)
    values[:, JAW] = np.exp(-(((np.arange(101) - 50) / 6.0) ** 2))
    values[:, 0] = 0.4
    smoothed = smooth(motion_from_values(25, values), 0.2)
    assert int(smoothed.channel("jawOpen").argmax()) == 50
    assert np.allclose(smoothed.values[:, 0], 0.4, atol=1e-6)
    assert np.allclose(smoothed.channel("jawOpen"), smoothed.channel("jawOpen")[::-1], atol=1e-6)


def test_limits_clamp_and_count() -> None:
    motion, limited = limit(offset(still({"jawOpen": 1.3, "headYaw": 3.0}, 25, 4), {"browInnerUp": -1.5}))
    assert jaw(motion) == [1.0] * 4
    assert limited.counts == {"jawOpen": 4, "browInnerUp": 4, "headYaw": 4}
    assert limited.text.startswith("12 value(s) were out of range and were clamped")
    assert limit(still({}))[1].text == ""


def test_blinks_close_the_lids_and_leave_closed_ones_alone() -> None:
    motion, count = insert_blinks(still({}, 25, 250), 2.0, 1.0, seed=3)
    lids = motion.channel("eyeBlinkLeft")
    peaks = int(((lids[1:-1] == 1) & (lids[:-2] < 1)).sum())
    assert count == peaks and 3 <= count <= 8
    assert np.array_equal(lids, motion.channel("eyeBlinkRight")) and lids.min() == 0 and lids.max() == 1
    assert motion.values.sum() == pytest.approx(2 * lids.sum())
    asleep = still({"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.9}, 25, 250)
    unchanged, none = insert_blinks(asleep, 2.0)
    assert none == 0 and np.array_equal(unchanged.values, asleep.values)


def test_blinks_depend_on_the_seed_and_survive_a_low_frame_rate() -> None:
    calm = still({}, 5, 100)
    first, second = (insert_blinks(calm, 3, 0.8, seed)[0].channel("eyeBlinkLeft") for seed in (1, 2))
    assert not np.array_equal(first, second)
    assert first.max() == pytest.approx(0.8)


@pytest.mark.parametrize("name", EASINGS)
def test_poses_are_reached_at_their_moments_whatever_the_easing(name: str) -> None:
    poses = [still({"jawOpen": value}) for value in (0.1, 0.9, 0.3)]
    motion = keyframes(poses, [0.2, 0.6, 1.0], 25, EASINGS[name])
    assert len(motion) == 26
    for frame, value in ((0, 0.1), (5, 0.1), (15, 0.9), (25, 0.3)):
        assert motion.values[frame, JAW] == pytest.approx(value, abs=1e-6)


def test_a_linear_easing_is_a_straight_line_and_one_pose_is_held() -> None:
    motion = keyframes([still({}), still({"jawOpen": 1})], [0, 0.2], 25, EASINGS["linear"])
    assert jaw(motion) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert jaw(keyframes([still({"jawOpen": 1})], [0.04], 25)) == [1, 1]


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.0], [1.0, 0.5], [-1.0, 0.5], [0.0, float("nan")]])
def test_times_that_fit_no_poses_are_refused(times: list[float]) -> None:
    with pytest.raises(InputError):
        keyframes([still({}), still({})], times, 25)


def test_times_are_read_from_text() -> None:
    assert times_from_text("0, 0.4 1.2", 3) == [0, 0.4, 1.2]
    assert times_from_text("", 3) == [0, 0.5, 1.0]
    with pytest.raises(InputError, match="not numbers"):
        times_from_text("0; soon", 2)


def test_rotations_equal_the_ones_of_single_heads(random_motion: Motion) -> None:
    turns = random_motion.rotation * 4 - 0.5
    for row, matrix in zip(turns, rotations(turns), strict=True):
        assert np.allclose(matrix, rotation_from_angles(*map(float, row)))
    assert np.allclose(angles(rotations(turns)), turns, atol=1e-6)


def test_absolute_retargeting_turns_the_portrait_into_the_drivers_pose() -> None:
    driver = still({"headYaw": 0.4, "headPitch": -0.2, "jawOpen": 0.7}, 25, 2)
    portrait = still({"headYaw": -0.1, "headRoll": 0.3, "jawOpen": 0.2})
    change = retarget(driver, "absolute", portrait=portrait)
    turned = rotation_from_angles(*map(float, change.rotation[0])) @ rotations(portrait.rotation)[0]
    assert np.allclose(angles_from_rotation(turned), driver.rotation[0], atol=1e-6)
    assert change.channel("jawOpen")[0] == pytest.approx(0.5 / 0.8)
    with pytest.raises(InputError, match="connect Expression From Photo"):
        retarget(driver, "absolute")


def test_relative_retargeting_leaves_a_face_at_rest_at_rest() -> None:
    values = np.zeros((30, 58), np.float32)
    values[:, VALUE_INDEX["mouthSmileLeft"]] = 0.25
    values[10:15, JAW] = 0.8
    change = retarget(motion_from_values(25, values), "relative")
    assert np.abs(change.values[0]).max() == 0
    assert change.channel("jawOpen")[12] == pytest.approx(0.8)
    full = changed_from(still({"mouthSmileLeft": 1.0}), values[0])
    assert full.channel("mouthSmileLeft")[0] == pytest.approx(1.0)
    less = changed_from(still({"mouthSmileLeft": 0.1}), values[0])
    assert less.channel("mouthSmileLeft")[0] == pytest.approx(-0.15)


def test_the_steps_of_the_editing_nodes_are_done_in_their_order() -> None:
    assert jaw(retime(ramp(10), 0.08, 0.2, backwards=True, times=2)) == [4, 3, 2, 4, 3, 2]
    motion, said = adjust(still({"mouthSmileLeft": 0.8}), "mouth", 2.0, "jawOpen=0.5", mirrored=True)
    assert motion.channel("mouthSmileRight")[0] == 1.0 and motion.channel("jawOpen")[0] == 0.5
    assert said.startswith("1 value(s) were out of range")
    assert adjust(still({"jawOpen": 0.8}), "", 2.0, limited=False)[0].channel("jawOpen")[0] == pytest.approx(1.6)
