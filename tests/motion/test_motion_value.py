"""The value: what it accepts, what it refuses, and how its channels are named."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.errors import InputError
from likeness.pipelines.identity.net_blendshapes import BLENDSHAPE_NAMES
from likeness.pipelines.motion.channels import ARKIT_NAMES, GROUPS, MIRRORED, VALUE_NAMES, channel_called, channels_in
from likeness.pipelines.motion.motion import MAX_FRAMES, Motion, still


def parts(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((count, 52)), np.zeros((count, 3)), np.zeros((count, 3))


def test_the_names_are_arkits_52_and_all_that_the_blendshape_network_has() -> None:
    assert len(set(ARKIT_NAMES)) == 52
    assert set(BLENDSHAPE_NAMES) - {"_neutral"} == set(ARKIT_NAMES) - {"tongueOut"}
    assert len(VALUE_NAMES) == 58


def test_mirrored_channels_exchange_sides_and_come_back() -> None:
    names = [ARKIT_NAMES[index] for index in MIRRORED]
    assert names[ARKIT_NAMES.index("eyeBlinkLeft")] == "eyeBlinkRight"
    assert names[ARKIT_NAMES.index("jawRight")] == "jawLeft"
    assert names[ARKIT_NAMES.index("jawOpen")] == "jawOpen"
    assert [MIRRORED[index] for index in MIRRORED] == list(range(52))


def test_a_motion_cannot_be_changed_in_place_and_does_not_follow_its_source() -> None:
    shapes, rotation, translation = parts(2)
    motion = Motion(25, shapes, rotation, translation)
    shapes[:] = 1
    assert motion.blendshapes.max() == 0 and motion.blendshapes.dtype == np.float32
    with pytest.raises(ValueError):
        motion.blendshapes[0, 0] = 1


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 5000])
def test_a_frame_rate_that_nobody_plays_is_refused(fps: float) -> None:
    with pytest.raises(InputError, match="frames per second"):
        Motion(fps, *parts(1))


def test_no_frame_other_shapes_and_numbers_that_are_none_are_named() -> None:
    with pytest.raises(InputError, match=f"1 to {MAX_FRAMES} frames"):
        Motion(25, *parts(0))
    shapes, rotation, translation = parts(3)
    with pytest.raises(InputError, match=r"'rotation'.*\(2, 3\)"):
        Motion(25, shapes, rotation[:2], translation)
    shapes[1, 4] = np.nan
    with pytest.raises(InputError, match="1 values that are NaN or infinite, the first in frame 1, column 4"):
        Motion(25, shapes, rotation, translation)
    with pytest.raises(InputError, match="'lips'"):
        Motion(25, *parts(3), channels={"lips": np.zeros((2, 5))})


@pytest.mark.parametrize(
    ("word", "channel"),
    [
        ("JawOpen", "jawOpen"),
        ("mouth_smile_L", "mouthSmileLeft"),
        ("browDown_R", "browDownRight"),
        ("eye blink left", "eyeBlinkLeft"),
        ("HeadYaw", "headYaw"),
        ("Mouth_Smile.l", "mouthSmileLeft"),
        ("jaw", None),
        ("", None),
    ],
)
def test_spellings_of_other_programs_are_understood(word: str, channel: str | None) -> None:
    assert channel_called(word) == channel


def test_groups_stars_and_exceptions_choose_channels() -> None:
    assert channels_in("") == VALUE_NAMES
    assert channels_in("brows") == GROUPS["brows"]
    assert channels_in("mouthSmile*, jawOpen") == ("jawOpen", "mouthSmileLeft", "mouthSmileRight")
    assert set(VALUE_NAMES) - set(channels_in("all, -blink")) == {"eyeBlinkLeft", "eyeBlinkRight"}
    assert set(VALUE_NAMES) - set(channels_in("-pose")) == set(GROUPS["pose"])


def test_an_unknown_channel_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(InputError, match="Did you mean .*mouthSmileLeft"):
        channels_in("mouthSmileLeff")


def test_a_still_holds_one_pose() -> None:
    motion = still({"jawOpen": 0.5, "headYaw": 0.2}, 30, 4)
    assert len(motion) == 4 and motion.duration_s == pytest.approx(4 / 30)
    assert (motion.channel("jawOpen") == 0.5).all() and motion.rotation[3, 1] == np.float32(0.2)
    assert motion.values.sum() == pytest.approx(4 * 0.7)
