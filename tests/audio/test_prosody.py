"""How a speech is said: its pitch, its loudness, its syllables and pauses, on voices whose pitch is known."""

from dataclasses import replace

import numpy as np
import pytest

from likeness.pipelines.audio.envelope import steps_of
from likeness.pipelines.audio.heard import STEPS_HZ, Heard
from likeness.pipelines.audio.pitch import QUIETEST_DB, pitch_hz, power_db
from likeness.pipelines.audio.prosody import PAUSE_S, prosody_of, smoothed
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.tests.audio.spoken import heard_of, voice

SENTENCE = "HH AH L OW:0.2 W ER:0.2 L D"


@pytest.mark.parametrize("hz", [65, 90, 120, 200, 333, 480])
def test_the_pitch_of_a_voice_is_found(hz):
    pitch, sure = pitch_hz(voice(heard_of("AA:1", around_s=0.2), hz))
    inside = slice(30, 110)
    assert (pitch[inside] > 0).all() and sure[inside].min() > 0.7
    assert np.median(pitch[inside]) == pytest.approx(hz, rel=0.01)


def test_a_gliding_pitch_is_followed():
    glide = lambda s: 100 + 80 * s  # noqa: E731
    pitch, _ = pitch_hz(voice(heard_of("AA:2", around_s=0), glide))
    times = (np.arange(len(pitch)) + 0.5) / STEPS_HZ
    np.testing.assert_allclose(pitch[20:-20], glide(times[20:-20]), rtol=0.03)


def test_noise_and_silence_have_no_pitch():
    noise = Speech((0.1 * np.random.default_rng(0).standard_normal(RATE_HZ * 2)).astype(np.float32))
    assert (pitch_hz(noise)[0] > 0).mean() < 0.03
    assert not pitch_hz(Speech(np.zeros(RATE_HZ, np.float32)))[0].any()


def test_loudness_is_in_decibels_of_the_power_around_each_step():
    full = Speech(np.ones(RATE_HZ, np.float32))
    np.testing.assert_allclose(power_db(full)[5:-5], 0, atol=1e-4)
    half = power_db(Speech(np.full(RATE_HZ, 0.5, np.float32)))
    np.testing.assert_allclose(half[5:-5], -6.02, atol=0.01)
    assert (power_db(Speech(np.zeros(RATE_HZ, np.float32))) == QUIETEST_DB).all()


@pytest.mark.parametrize("samples", [1, 100, 159, 160, 16_000, 320_123, 16_000 * 41])
def test_every_length_has_its_steps_and_blocks_leave_no_seam(samples):
    sound = Speech(np.sin(2 * np.pi * 150 * np.arange(samples) / RATE_HZ).astype(np.float32) * 0.3)
    loud, (pitch, sure) = power_db(sound), pitch_hz(sound)
    assert len(loud) == len(pitch) == len(sure) == steps_of(sound)
    assert np.isfinite(pitch).all() and np.isfinite(loud).all()
    if samples > 16_000:
        assert np.ptp(loud[5:-5]) < 0.6
        assert np.ptp(pitch[10:-10]) < 3


def test_the_measure_of_a_part_is_the_part_of_the_measure():
    rng = np.random.default_rng(1)
    samples = (0.1 * rng.standard_normal(RATE_HZ * 50)).astype(np.float32)
    whole, part = Speech(samples), Speech(samples[RATE_HZ * 18 : RATE_HZ * 24])
    np.testing.assert_allclose(power_db(whole)[1810:2390], power_db(part)[10:590], atol=1e-3)
    np.testing.assert_allclose(pitch_hz(whole)[1][1810:2390], pitch_hz(part)[1][10:590], atol=1e-3)


def test_higher_louder_and_longer_syllables_are_stressed():
    heard = heard_of("T AA:0.1 T AA:0.1 T AA:0.1 T AA:0.1 T AA:0.1")
    plain = voice(heard)
    third = heard.phones[6]
    high = voice(heard, lambda s: np.where((s > third.start_s) & (s < third.end_s), 150.0, 110.0))
    samples = plain.samples.copy()
    samples[round(third.start_s * RATE_HZ) : round(third.end_s * RATE_HZ)] *= 2.5
    long = heard_of("T AA:0.1 T AA:0.1 T AA:0.25 T AA:0.1 T AA:0.1")
    for sound, said in ((high, heard), (Speech(samples), heard), (voice(long), long)):
        stress = [syllable.stress for syllable in prosody_of(sound, said).syllables]
        assert len(stress) == 5 and np.argmax(stress) == 2
        assert stress[2] > np.mean(stress[:2] + stress[3:]) + 0.1
    assert np.ptp([s.stress for s in prosody_of(plain, heard).syllables]) < 0.12


def test_pauses_are_the_silences_that_are_long_enough():
    heard = heard_of(f"AA:0.4 SIL:0.4 AA:0.4 SIL:{PAUSE_S / 2} AA:0.4", around_s=0.5)
    prosody = prosody_of(voice(heard), heard)
    np.testing.assert_allclose(prosody.pauses, [(0, 0.5), (0.9, 1.3), (2.18, 2.68)], atol=1e-6)
    assert prosody.rate_hz == pytest.approx(3 / (heard.duration_s - 1.4), rel=0.01)


def test_without_phones_syllables_and_pauses_are_found_by_loudness():
    heard = heard_of("AA:0.16 T:0.1 AA:0.16 T:0.1 AA:0.16 SIL:0.5 AA:0.16 T:0.1 AA:0.16", around_s=0.4)
    sound = voice(heard)
    samples = sound.samples.copy()
    for phone in heard.phones:
        if phone.name == "T":
            samples[round(phone.start_s * RATE_HZ) : round(phone.end_s * RATE_HZ)] *= 0.1
    prosody = prosody_of(Speech(samples), replace(heard, trust=0.0))
    vowels = [phone for phone in heard.phones if phone.name == "AA"]
    assert len(prosody.syllables) == len(vowels)
    for syllable, vowel in zip(prosody.syllables, vowels, strict=True):
        assert vowel.start_s - 0.03 <= syllable.at_s <= vowel.end_s + 0.03
    np.testing.assert_allclose(prosody.pauses, [(0, 0.4), (1.08, 1.58), (2.0, 2.4)], atol=0.05)


def test_what_is_usual_follows_the_speaker_and_not_the_future():
    first, second = heard_of("AA:5", around_s=0.2), heard_of("AA:12", around_s=0.2)
    low = prosody_of(voice(first, 100.0), first)
    rising = prosody_of(voice(second, lambda s: np.where(s < 5.2, 100.0, 200.0)), second)
    np.testing.assert_allclose(low.level_hz[50:300], rising.level_hz[50:300], rtol=0.01)
    assert rising.semitones[600] > 4
    assert rising.level_hz[-30] > 150


def test_silence_has_a_prosody_of_one_pause():
    heard = Heard(2.0, (), np.zeros(200, np.float32), 0.0, "drawn")
    prosody = prosody_of(Speech(np.zeros(2 * RATE_HZ, np.float32)), heard)
    assert prosody.pauses == ((0.0, 2.0),) and prosody.syllables == () and prosody.rate_hz == 0
    assert not prosody.semitones.any()


def test_a_bell_keeps_a_constant_and_the_place_of_a_hill():
    np.testing.assert_allclose(smoothed(np.ones(50, np.float32), 0.1), 1, rtol=1e-6)
    hill = np.zeros(101, np.float32)
    hill[50] = 1
    assert smoothed(hill, 0.05).argmax() == 50
