"""Phones become a mouth: lips that close in time, neighbours that colour each other, loudness where no phone is."""

from dataclasses import replace

import numpy as np
import pytest

from likeness.pipelines.audio.articulation import frame_count, frame_times, lips_apart, mouth_shapes
from likeness.pipelines.audio.heard import ARPABET, Heard
from likeness.pipelines.audio.phone_shapes import CHANNELS, CLOSED_SHARE, SHAPES, arkit_columns
from likeness.pipelines.errors import InputError
from likeness.pipelines.motion.channels import INDEX
from likeness.tests.audio.spoken import heard_of, middle_of

RATES = (10, 24, 25, 30000 / 1001, 60)


def mouth(heard, fps=100.0, **dials):
    return mouth_shapes(heard, fps, np.ones(frame_count(heard.duration_s, fps), np.float32), **dials)


def at(shapes, name, moment_s, fps=100.0):
    return float(shapes[int(moment_s * fps), INDEX.get(name, INDEX.get(f"{name}Left"))])


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("length", [0.02, 0.04, 0.09, 0.2])
@pytest.mark.parametrize("name", CLOSED_SHARE)
def test_lips_close_in_the_frame_that_shows_the_middle_of_p_b_and_m(fps, length, name):
    for shift in np.linspace(0, 1 / fps, 7, endpoint=False):
        heard = heard_of(f"AA:{0.2 + shift} {name}:{length} AA:0.2")
        shapes = mouth(heard, fps)
        phone = next(phone for phone in heard.phones if phone.name == name)
        middle = phone.start_s + CLOSED_SHARE[name] * length / 2
        assert shapes[int(middle * fps), INDEX["mouthClose"]] == 1
        assert lips_apart(shapes)[int(middle * fps)] == 0
        # and in every frame the middle of which lies in the closure
        times = frame_times(len(shapes), fps)
        inside = (times >= phone.start_s) & (times <= phone.start_s + CLOSED_SHARE[name] * length)
        assert (lips_apart(shapes)[inside] == 0).all()


@pytest.mark.parametrize("fps", RATES)
def test_a_closure_is_centred_in_time_whatever_the_frame_rate(fps):
    offsets = []
    for shift in np.linspace(0, 1 / fps, 16, endpoint=False):
        heard = heard_of(f"AA:{0.3 + shift} M:0.08 AA:0.3")
        closed = mouth(heard, fps)[:, INDEX["mouthClose"]].astype(float)
        closed[frame_times(len(closed), fps) < 0.45] = 0
        closed[frame_times(len(closed), fps) > heard.duration_s - 0.45] = 0
        closed = closed >= 1  # lips take longer to meet than to part, so only full closure is centred
        phone = next(phone for phone in heard.phones if phone.name == "M")
        middle = phone.start_s + CLOSED_SHARE["M"] * (phone.end_s - phone.start_s) / 2
        offsets.append((closed * frame_times(len(closed), fps)).sum() / closed.sum() - middle)
    assert abs(np.mean(offsets)) < 0.006
    assert np.abs(offsets).max() <= 0.5 / fps + 1e-6


def test_the_mouth_is_open_between_two_closed_sounds():
    apart = lips_apart(mouth(heard_of("M:0.08 AA:0.12 M:0.08"), 25.0))
    assert apart.max() > 0.15


def test_lips_round_before_a_rounded_vowel_and_spread_lips_do_not():
    rounded, spread = heard_of("S T UW:0.15"), heard_of("S T IY:0.15")
    before = middle_of(rounded, "S")
    assert at(mouth(rounded), "mouthPucker", before) > 0.08 > 0.01 > at(mouth(spread), "mouthPucker", before)
    # the further back in time, the less
    assert at(mouth(rounded), "mouthPucker", middle_of(rounded, "T")) > at(mouth(rounded), "mouthPucker", before)


def test_a_vowel_is_less_open_between_consonants_than_alone_and_a_long_one_reaches_its_target():
    target = SHAPES["AA"][0][1]["jawOpen"]
    long = heard_of("AA:0.6")
    short = heard_of("S:0.1 AA:0.06 S:0.1")
    assert at(mouth(long), "jawOpen", middle_of(long, "AA")) == pytest.approx(target, rel=0.03)
    assert 0.3 * target < at(mouth(short), "jawOpen", middle_of(short, "AA")) < 0.85 * target


def test_low_vowels_open_wider_than_high_ones():
    def opening(name):
        heard = heard_of(f"T {name}:0.2 T")
        return lips_apart(mouth(heard))[int(middle_of(heard, name) * 100)]

    assert opening("AA") > opening("EH") > opening("IY")
    assert opening("AA") > 2 * opening("UW")


SOUNDS = {
    "bilabial": "M",
    "teeth on lip": "F",
    "between the teeth": "TH",
    "sibilant": "S",
    "hushing": "SH",
    "rounded": "W",
}


def test_each_kind_of_sound_has_a_mouth_of_its_own():
    shown = {}
    for kind, name in SOUNDS.items():
        heard = heard_of(f"AH:0.15 {name}:0.14 AH:0.15")
        shown[kind] = mouth(heard)[int(middle_of(heard, name) * 100)]
    kinds = list(shown)
    for i, first in enumerate(kinds):
        for second in kinds[i + 1 :]:
            assert np.abs(shown[first] - shown[second]).max() > 0.15, (first, second)


def test_tongue_and_teeth_sounds_are_distinct():
    def middle(name):
        heard = heard_of(f"AH:0.15 {name}:0.14 AH:0.15")
        return mouth(heard)[int(middle_of(heard, name) * 100)]

    assert (
        middle("TH")[INDEX["tongueOut"]]
        > 0.35
        > middle("L")[INDEX["tongueOut"]]
        > 0.15
        > middle("S")[INDEX["tongueOut"]]
    )
    assert middle("F")[INDEX["mouthRollLower"]] > 0.35 > 0.1 > middle("TH")[INDEX["mouthRollLower"]]
    assert middle("SH")[INDEX["mouthFunnel"]] > 0.3 > 0.1 > middle("S")[INDEX["mouthFunnel"]]


@pytest.mark.parametrize("fps", RATES)
def test_frames_of_any_rate_show_the_same_mouth_at_the_same_time(fps):
    heard = heard_of("K AA:0.2 T IY S OW:0.3 N AE L")
    fine, coarse = mouth(heard, 1000.0), mouth(heard, fps)
    times = frame_times(len(coarse), fps)
    inside = times < heard.duration_s
    column = INDEX["jawOpen"]
    expected = np.interp(times[inside], frame_times(len(fine), 1000.0), fine[:, column])
    np.testing.assert_allclose(coarse[inside, column], expected, atol=2e-3)


def test_without_trust_the_mouth_follows_the_loudness_and_with_some_both():
    loudness, phones, half = (
        mouth(heard_of("M AA:0.2 S UW:0.2", trust=trust, opening=0.8)) for trust in (0.0, 1.0, 0.5)
    )
    jaw = INDEX["jawOpen"]
    assert loudness[:, jaw].std() < 1e-3 and loudness[50, jaw] > 0.1
    np.testing.assert_allclose(half[:, INDEX["mouthPucker"]], phones[:, INDEX["mouthPucker"]] / 2, atol=1e-6)
    assert loudness[:, INDEX["mouthPucker"]].max() == 0


def test_a_phone_that_was_not_understood_leaves_the_mouth_to_loudness():
    heard = heard_of("UW:0.4 UW:0.4 UW:0.4", opening=0.9)
    phones = list(heard.phones)
    phones[2] = replace(phones[2], trust=0.0)
    shapes = mouth(replace(heard, phones=tuple(phones)))
    first, second = (int((phone.start_s + phone.end_s) / 2 * 100) for phone in phones[1:3])
    assert shapes[first, INDEX["mouthPucker"]] > 0.5 > 0.02 > shapes[second, INDEX["mouthPucker"]]
    assert shapes[second, INDEX["jawOpen"]] > 0.15
    doubted = [replace(phone, trust=0.5) for phone in phones]
    np.testing.assert_allclose(mouth(replace(heard, phones=tuple(doubted))), mouth(heard), atol=1e-5)


def test_silence_does_not_open_the_mouth():
    for trust in (0.0, 1.0):
        shapes = mouth(heard_of("", around_s=2.0, trust=trust))
        assert not lips_apart(shapes).any()
        assert not shapes[:, [INDEX["jawOpen"], INDEX["mouthPucker"]]].any()


def test_a_pause_keeps_the_lips_drawn_and_a_long_silence_gives_the_portrait_its_mouth_back():
    heard = heard_of("AA:0.3 SIL:4 AA:0.3")
    close = mouth(heard)[:, INDEX["mouthClose"]]
    assert close[80] > 0.5
    assert close[250] == 0
    assert close[int(100 * (heard.duration_s - 0.9)) :].max() > 0.3


def test_a_mouth_that_shows_its_teeth_at_rest_is_drawn_together_where_little_parts_it():
    heard = heard_of("AA:0.4 S:0.2 AA:0.4")
    shapes = mouth(heard)
    assert at(shapes, "mouthClose", middle_of(heard, "AA")) == 0
    assert at(shapes, "mouthClose", middle_of(heard, "S")) > 0.2


def test_strength_scales_the_mouth_and_not_the_closure():
    heard = heard_of("M:0.1 AA:0.3 M:0.1")
    usual = lips_apart(mouth(heard))[int(middle_of(heard, "AA") * 100)]
    for strength in (0.0, 0.5, 1.5):
        shapes = mouth(heard, strength=strength)
        assert at(shapes, "mouthClose", middle_of(heard, "M")) == 1
        apart = lips_apart(shapes)[int(middle_of(heard, "AA") * 100)]
        assert apart == pytest.approx(strength * usual, rel=1e-3)


def test_clear_speech_moves_more_than_slurred_speech():
    heard = heard_of("T AA:0.08 S IY:0.08 K UW:0.08 T AE:0.08 N", each_s=0.06)
    travel = [np.abs(np.diff(mouth(heard, clarity=c)[:, INDEX["jawOpen"]])).sum() for c in (0.5, 1.0, 2.0)]
    assert travel[0] < travel[1] < travel[2]


def test_the_beginning_does_not_change_when_the_sound_goes_on():
    short, long = heard_of("K AA:0.2 T IY S"), heard_of("K AA:0.2 T IY S SIL:0.3 M OW:0.3 N")
    until = int((short.duration_s - 0.6) * 100)
    assert until > 20
    np.testing.assert_allclose(mouth(short)[:until], mouth(long)[:until], atol=1e-6)


def test_an_hour_of_phones_and_a_single_sample_are_ordinary():
    hour = heard_of("M AA T SIL:0.2 " * 7200, around_s=0.1)
    assert hour.duration_s > 3500
    shapes = mouth(hour, 25.0)
    assert np.isfinite(shapes).all() and len(shapes) == frame_count(hour.duration_s, 25.0)
    tiny = Heard(1 / 16000, (), np.zeros(1, np.float32), 0.0, "drawn")
    assert mouth(tiny, 25.0).shape == (1, 52)


def test_every_phone_has_a_shape_of_channels_that_exist():
    assert set(SHAPES) == set(ARPABET)
    for parts in SHAPES.values():
        for _, shape in parts:
            assert set(shape) <= set(CHANNELS)
            assert all(0 < value <= 1 for value in shape.values())
    assert all(arkit_columns(name) for name in CHANNELS)


def test_wrong_efforts_and_dials_are_refused():
    heard = heard_of("AA")
    with pytest.raises(InputError, match=r"\(1,\).*\(70,\) is needed"):
        mouth_shapes(heard, 100.0, np.ones(1, np.float32))
    with pytest.raises(InputError, match="strength 3"):
        mouth(heard, strength=3.0)
    with pytest.raises(InputError, match="at most 600000"):
        frame_count(1e6, 60)
