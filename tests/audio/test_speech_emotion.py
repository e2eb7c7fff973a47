"""Emotion over time, and speech that stays speech under it."""

import numpy as np
import pytest

from likeness.pipelines.audio.articulation import frame_count, lips_apart, mouth_shapes
from likeness.pipelines.audio.expressing import lips_closed, with_emotion
from likeness.pipelines.audio.heard import STEPS_HZ
from likeness.pipelines.audio.performance import Acting, speech_to_motion
from likeness.pipelines.audio.prosody import prosody_of
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.audio.voice_emotion import FROM_VOICE, mood_of, speech_emotion
from likeness.pipelines.errors import InputError
from likeness.pipelines.motion.adjusting import retime
from likeness.pipelines.motion.blending import mirror
from likeness.pipelines.motion.emotions import EMOTIONS, emotion_motion, emotion_values
from likeness.pipelines.motion.motion import Motion, still
from likeness.tests.audio.spoken import heard_of, middle_of, voice

SENTENCE = "M AA:0.2 M IY:0.2 P UW:0.2 B AE:0.2 M"
FELT = tuple(name for name in EMOTIONS if name != "neutral")


def speaking(text=SENTENCE, fps=25.0):
    heard = heard_of(text)
    shapes = mouth_shapes(heard, fps, np.ones(frame_count(heard.duration_s, fps), np.float32))
    still_head = np.zeros((len(shapes), 3), np.float32)
    return heard, Motion(fps, shapes, still_head, still_head)


@pytest.mark.parametrize("fps", [10, 24, 25, 30000 / 1001, 60])
@pytest.mark.parametrize("emotion", FELT)
def test_closed_lips_stay_closed_under_every_emotion(emotion, fps):
    _, speech = speaking(fps=fps)
    both = with_emotion(speech, emotion_motion(emotion, 1.5, fps=fps))
    closed = lips_closed(speech) == 1
    assert closed.sum() >= 5
    before, after = lips_apart(speech.blendshapes), lips_apart(both.blendshapes)
    assert (after[closed] <= before[closed] + 1e-6).all()
    assert after[speech.channel("mouthClose") == 1].max() == 0
    for name in ("jawOpen", "mouthUpperUpLeft", "mouthLowerDownRight", "mouthFunnel"):
        assert (both.channel(name)[closed] <= speech.channel(name)[closed] + 1e-6).all(), name


@pytest.mark.parametrize("emotion", FELT)
def test_open_vowels_stay_open_under_every_emotion(emotion):
    heard, speech = speaking()
    both = with_emotion(speech, emotion_motion(emotion, 1.0))
    frame = int(middle_of(heard, "AA") * 25)
    before, after = (lips_apart(motion.blendshapes)[frame] for motion in (speech, both))
    assert after >= 0.95 * before
    assert both.channel("mouthPressLeft")[frame] <= 0.15
    # and the emotion is seen
    seen = [
        name for name, value in emotion_values(emotion).items() if value > 0.3 and name.startswith(("brow", "mouthS"))
    ]
    assert all(both.channel(name)[frame] > 0.1 for name in seen)


def test_a_smile_widens_vowels_and_leaves_rounded_ones_round():
    heard, speech = speaking()
    both = with_emotion(speech, emotion_motion("happiness", 1.0))
    wide, rounded = (both.channel("mouthSmileLeft")[int(middle_of(heard, name) * 25)] for name in ("AA", "UW"))
    assert wide > 0.8 and rounded < 0.75 * wide


def test_closure_survives_editing():
    heard, speech = speaking(fps=50)
    middles = [(p.start_s + p.end_s) / 2 for p in heard.phones if p.name == "M"]
    for edited in (retime(speech, fps=25), mirror(speech), speech.with_values(speech.values)):
        closed = lips_closed(edited)
        assert min(closed[int(at * edited.fps)] for at in middles) > 0.8
    slower = retime(speech, speed=0.5)
    assert min(lips_closed(slower)[int(2 * at * slower.fps)] for at in middles) == 1
    assert not lips_closed(still({"mouthClose": 0.6})).any()


def test_an_emotion_of_another_rate_and_length_is_held_at_its_end():
    _, speech = speaking(fps=30)
    both = with_emotion(speech, emotion_motion("sadness", 1.0, fps=10))
    assert len(both) == len(speech) and both.fps == 30
    np.testing.assert_allclose(both.channel("browInnerUp"), 0.8, atol=1e-6)


def test_without_an_emotion_nothing_changes():
    _, speech = speaking()
    np.testing.assert_array_equal(with_emotion(speech, still({})).values, speech.values)


def test_a_chosen_emotion_comes_and_is_as_strong_as_it_is_told():
    heard = heard_of(SENTENCE, around_s=1.0)
    sound = voice(heard)
    weak, strong = (speech_emotion(sound, heard, "anger", strength)[0] for strength in (0.4, 0.8))
    np.testing.assert_allclose(2 * weak.blendshapes, strong.blendshapes, atol=1e-5)
    brow = strong.channel("browDownLeft")
    assert brow[0] < 0.02 and brow[30:].min() > 0.8 * 0.9 * 0.35
    assert not strong.rotation.any()
    assert not speech_emotion(sound, heard, "neutral")[0].blendshapes.any()


def excited(seconds=12.0):
    """The first half plain, the second higher, louder and with a wide melody."""
    heard = heard_of("T AA:0.15 " * int(seconds / 0.25))
    half = seconds / 2
    sound = voice(heard, lambda s: np.where(s < half, 110 + 4 * np.sin(5 * s), 165 + 60 * np.sin(5 * s)), 0.15)
    samples = sound.samples.copy()
    samples[round(half * RATE_HZ) :] *= 1.6
    return Speech(samples), heard


def test_an_excited_voice_is_heard_as_such_and_a_plain_one_is_calm():
    sound, heard = excited()
    mood = mood_of(prosody_of(sound, heard))
    plain, aroused = mood.arousal[200:500], mood.arousal[700:1000]
    assert aroused.mean() > plain.mean() + 0.5 and np.abs(plain).mean() < 0.45
    assert mood.valence[700:1000].mean() > mood.valence[200:500].mean()
    motion, text = speech_emotion(sound, heard, FROM_VOICE)
    felt = motion.blendshapes.sum(1)
    assert felt[180:260].mean() > felt[50:125].mean() + 0.3
    assert "arousal" in text and "Heard: " in text
    assert len(motion) == frame_count(heard.duration_s, 25)


def test_silence_has_no_emotion():
    heard = heard_of("", around_s=3.0)
    motion, text = speech_emotion(Speech(np.zeros(round(heard.duration_s * RATE_HZ), np.float32)), heard)
    assert not motion.blendshapes.any()
    assert "nothing that stands out" in text
    assert len(mood_of(prosody_of(voice(heard), heard)).arousal) == round(heard.duration_s * STEPS_HZ)


def test_acting_with_an_emotion_closes_the_lips_as_without():
    heard = heard_of(SENTENCE)
    sound = voice(heard)
    plain, glad = (speech_to_motion(sound, heard, Acting(emotion=e))[0] for e in ("none", "happiness"))
    closed = lips_closed(plain) == 1
    assert closed.any() and lips_apart(glad.blendshapes)[closed].max() == 0
    assert glad.channel("mouthSmileLeft").max() > plain.channel("mouthSmileLeft").max() + 0.3


def test_unknown_emotions_and_strengths_are_refused():
    heard = heard_of(SENTENCE)
    with pytest.raises(InputError, match="boredom.*from the voice, neutral, happiness"):
        speech_emotion(voice(heard), heard, "boredom")
    with pytest.raises(InputError, match="intensity 2"):
        speech_emotion(voice(heard), heard, "anger", 2.0)
