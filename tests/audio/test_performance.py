"""A speech acted as one motion: head, brows, gaze, blinks and breath follow how it is said."""

from dataclasses import replace

import numpy as np
import pytest

from likeness.pipelines.audio.articulation import frame_count, frame_times, lips_apart
from likeness.pipelines.audio.gestures import TURN_LIMIT_RAD, brow_shapes, effort, head_turns
from likeness.pipelines.audio.heard import Heard
from likeness.pipelines.audio.looking import blinks, gaze_shapes
from likeness.pipelines.audio.performance import DIALS, Acting, speech_to_motion
from likeness.pipelines.audio.prosody import prosody_of
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.errors import InputError
from likeness.pipelines.motion.channels import BROWS, GAZE, INDEX
from likeness.tests.audio.spoken import heard_of, voice

SENTENCE = "HH IY W AH Z N AA:0.2 T AH N IH L D IH S P OW Z D Y AH NG M AE N"
TALK = f"{SENTENCE} SIL:0.6 {SENTENCE} SIL:1.5 {SENTENCE}"


def columns(motion, names):
    return motion.blendshapes[:, [INDEX[name] for name in names]]


def acted(text=TALK, around_s=1.0, pitch_hz=120.0, **dials):
    heard = heard_of(text, around_s=around_s)
    return heard, speech_to_motion(voice(heard, pitch_hz), heard, Acting(**dials))[0]


def test_the_same_seed_acts_the_same_and_another_one_otherwise():
    (_, first), (_, again), (_, other) = (acted(seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.values, again.values)
    assert np.abs(first.rotation - other.rotation).max() > 0.01
    # chance has no say in what is said
    np.testing.assert_array_equal(lips_apart(first.blendshapes), lips_apart(other.blendshapes))


def test_the_beginning_does_not_change_when_the_speech_goes_on():
    _, short = acted(TALK)
    _, long = acted(f"{TALK} SIL:0.8 {SENTENCE} SIL:3 {SENTENCE} {SENTENCE}")
    until = int((short.duration_s - 3.0) * short.fps)
    assert until > 100
    np.testing.assert_allclose(short.values[:until], long.values[:until], atol=2e-3)


@pytest.mark.parametrize("seed", range(4))
def test_the_head_stays_within_its_limit_however_it_is_exaggerated(seed):
    for head in (1.0, 3.0):
        _, motion = acted(head=head, breath=0.0, seed=seed, pitch_hz=lambda s: 110 + 60 * np.sin(7 * s))
        assert np.abs(motion.rotation).max() <= TURN_LIMIT_RAD
    assert np.abs(motion.rotation).max() > np.deg2rad(1)


def test_nothing_trembles():
    _, motion = acted()
    speed = np.rad2deg(np.abs(np.diff(motion.rotation, axis=0)).max()) * motion.fps
    turn_back = np.rad2deg(np.abs(np.diff(motion.rotation, 2, axis=0)).max()) * motion.fps**2
    assert speed < 40 and turn_back < 600  # degrees per second, and per second squared: a nod has 25 and 400


def test_nods_come_with_stressed_syllables():
    heard = heard_of("T AA:0.1 " * 6 + "T AE:0.3 " + "T AA:0.1 " * 6, around_s=0.5)
    long = next(phone for phone in heard.phones if phone.name == "AE")
    sound = voice(heard, lambda s: np.where((s > long.start_s) & (s < long.end_s), 160.0, 110.0))
    prosody = prosody_of(sound, heard)
    times = frame_times(frame_count(heard.duration_s, 100), 100.0)
    near, far = [], []
    for seed in range(30):
        pitch = np.rad2deg(head_turns(prosody, times, 1.0, seed)[:, 0])
        middle = int((long.start_s + long.end_s) / 2 * 100)
        near.append(pitch[middle : middle + 20].max() - pitch[middle - 30])
        far.append(pitch[middle - 70 : middle - 50].max() - pitch[middle - 100])
    assert np.mean(near) > np.mean(far) + 0.4


def test_brows_rise_with_a_high_voice_and_rest_in_silence():
    heard = heard_of("AA:1.2", around_s=1.0)
    level = prosody_of(voice(heard, 120.0), heard)
    high = prosody_of(voice(heard, lambda s: np.where(s > 1.6, 200.0, 120.0)), heard)
    times = frame_times(frame_count(heard.duration_s, 50), 50.0)
    column = INDEX["browInnerUp"]
    raised = [brow_shapes(high, times, 1.0, s)[90:105, column].mean() for s in range(10)]
    plain = [brow_shapes(level, times, 1.0, s)[90:105, column].mean() for s in range(10)]
    assert np.mean(raised) > np.mean(plain) + 0.04


def test_eyes_stay_on_the_viewer_when_the_head_turns():
    heard = heard_of(SENTENCE)
    prosody, times = prosody_of(voice(heard), heard), frame_times(frame_count(heard.duration_s, 25), 25.0)
    turns = np.zeros((len(times), 3), np.float32)
    turns[:, 0], turns[:, 1] = 0.06, 0.05  # down and to the right of the picture

    def gaze(turns, out, back):
        shapes = gaze_shapes(prosody, times, turns, 1.0, 0)
        return shapes[:, INDEX[out]] - shapes[:, INDEX[back]]

    for out, back, turned in (("eyeLookOutLeft", "eyeLookInLeft", -0.05), ("eyeLookUpLeft", "eyeLookDownLeft", 0.06)):
        moved = gaze(turns, out, back) - gaze(0 * turns, out, back)
        np.testing.assert_allclose(moved, turned * 1.6, atol=1e-5)


def test_blinks_are_as_many_as_asked_for_and_like_pauses():
    heard = heard_of(f"{SENTENCE} SIL:0.5 " * 30, around_s=0.3)
    prosody = prosody_of(voice(heard), heard)
    times = np.array(blinks(prosody, 4.0, 0))
    assert 0.7 < len(times) * 4.0 / heard.duration_s < 1.3
    starts = np.array([start for start, _ in prosody.pauses])
    near = np.abs(times[:, None] - starts[None]).min(1) < 0.06
    assert near.mean() > 0.4
    _, motion = acted(blink_every_s=0.0)
    assert not columns(motion, ("eyeBlinkLeft",)).any()


def test_silence_gives_a_closed_face_that_breathes_and_blinks():
    seconds = 20.0
    heard = Heard(seconds, (), np.zeros(int(seconds * 100), np.float32), 0.0, "drawn")
    motion, text = speech_to_motion(Speech(np.zeros(int(seconds * RATE_HZ), np.float32)), heard)
    assert lips_apart(motion.blendshapes).max() < 0.03
    assert 2 <= (np.diff((columns(motion, ("eyeBlinkLeft",))[:, 0] > 0.5).astype(int)) == 1).sum() <= 10
    rises = motion.translation[:, 1]
    assert 0.004 < np.ptp(rises) < 0.02
    breaths = (np.diff((rises > rises.mean()).astype(int)) == 1).sum()
    assert 3 <= breaths <= 8
    assert columns(motion, ("noseSneerLeft",)).max() > 0.02
    assert 0 < np.abs(np.rad2deg(motion.rotation)).max() < 6
    assert "loudness only" in text


def test_breath_is_taken_before_a_phrase():
    heard, motion = acted(head=0.0, around_s=2.0)
    pause = next(p for p in heard.phones if p.name == "SIL" and p.start_s > 3 and p.end_s - p.start_s > 1)
    nostrils = columns(motion, ("noseSneerLeft",))[:, 0]
    inhaling = slice(int((pause.end_s - 0.5) * 25), int((pause.end_s - 0.1) * 25))
    assert nostrils[inhaling].max() > 0.03
    before, after = (motion.translation[int(at * 25), 1] for at in (pause.end_s - 0.6, pause.end_s + 0.05))
    assert after > before + 0.002


def test_a_loud_syllable_opens_the_mouth_wider():
    heard = heard_of("T AA:0.2 T AA:0.2 T AA:0.2")
    samples = voice(heard).samples.copy()
    second = [p for p in heard.phones if p.name == "AA"][1]
    samples[round(second.start_s * RATE_HZ) : round(second.end_s * RATE_HZ)] *= 2.5
    times = frame_times(frame_count(heard.duration_s, 100), 100.0)
    factor = effort(prosody_of(Speech(samples), heard), times)
    at = [int((p.start_s + 0.1) * 100) for p in heard.phones if p.name == "AA"]
    assert factor[at[1]] > factor[at[0]] + 0.1 and factor[at[1]] > factor[at[2]] + 0.1
    assert 0.6 <= factor.min() and factor.max() <= 1.4


@pytest.mark.parametrize(("dial", "names"), [("brows", BROWS), ("gaze", GAZE), ("mouth", ("jawOpen",))])
def test_a_dial_at_nothing_takes_its_part_away_and_twice_of_it_does_more(dial, names):
    extra = {"breath": 0.0} if dial == "mouth" else {}
    none, usual, much = (columns(acted(**{dial: value}, **extra)[1], names) for value in (0.0, 1.0, 2.0))
    assert not none.any() and np.abs(much).sum() > 1.2 * np.abs(usual).sum() > 0


def test_eyes_blink_and_lips_stay_in_range():
    _, motion = acted(mouth=2.0, head=3.0, brows=3.0, gaze=3.0, breath=3.0, emotion="surprise", emotion_strength=1.5)
    assert motion.blendshapes.min() >= -1 and motion.blendshapes.max() <= 1


def test_the_text_says_what_was_acted():
    heard = heard_of(SENTENCE)
    _, text = speech_to_motion(voice(heard), heard)
    for part in ("27 phones by drawn", "lips close 2 times", "syllables", "head within"):
        assert part in text, part


def test_one_sample_and_a_minute_of_nothing_are_ordinary():
    tiny = Heard(1 / RATE_HZ, (), np.zeros(1, np.float32), 0.0, "drawn")
    assert len(speech_to_motion(Speech(np.zeros(1, np.float32)), tiny)[0]) == 1
    whisper = Heard(60.0, (), np.full(6000, 0.001, np.float32), 0.0, "drawn")
    quiet = Speech((1e-4 * np.random.default_rng(0).standard_normal(60 * RATE_HZ)).astype(np.float32))
    assert np.isfinite(speech_to_motion(quiet, whisper)[0].values).all()


def test_a_dial_out_of_range_is_refused_with_its_name():
    for name, (_, high) in DIALS.items():
        with pytest.raises(InputError, match=name):
            replace(Acting(), **{name: high + 1})
    with pytest.raises(InputError, match="frames per second"):
        Acting(fps=0)
    with pytest.raises(InputError, match="none, from the voice, neutral"):
        Acting(emotion="boredom")


def test_what_was_heard_in_another_sound_is_refused():
    heard = heard_of(SENTENCE)
    with pytest.raises(InputError, match="same sound"):
        speech_to_motion(voice(heard_of("AA")), heard)
