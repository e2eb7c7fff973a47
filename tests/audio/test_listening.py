"""What is heard in real speech is what was said; what cannot be heard is told."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from likeness.pipelines.audio.backends import LISTENERS, listen, listener_named
from likeness.pipelines.audio.encoder import EncodedSpeech
from likeness.pipelines.audio.heard import SILENCE, Heard
from likeness.pipelines.audio.progress import unwatched
from likeness.pipelines.audio.request import Request
from likeness.pipelines.audio.speech import RATE_HZ, Speech, speech_of
from likeness.pipelines.audio.visemes import VISEME_OF_PHONE, VISEMES, opening_curve, step_phones
from likeness.pipelines.errors import CancelledError, InputError, MissingPackageError
from likeness.tests.audio.encoders import bands, head
from likeness.tests.audio.sounds import CLIPS, agreement, clip, frames, music, tone


@pytest.fixture
def needs_phones() -> None:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)


each_clip = pytest.mark.parametrize("name", CLIPS)


def classes(heard: Heard) -> np.ndarray:
    """The viseme class of each step."""
    index = step_phones(heard.phones, len(heard.opening))
    return np.array([VISEME_OF_PHONE[phone.name] for phone in heard.phones])[index]


@each_clip
def test_phones_are_those_of_the_speaker(name: str, needs_phones: None) -> None:
    sound = clip(name)
    heard = listen(sound.speech, "phonemes")
    assert agreement(heard, sound.truth) > 0.88
    assert (classes(heard) == classes(sound.truth)).mean() > 0.75
    starts = np.array([phone.start_s for phone in heard.phones[1:]])
    errors = [np.abs(starts - phone.start_s).min() for phone in sound.phones[1:]]
    assert np.median(errors) <= 0.0121
    assert heard.trust > 0.9
    assert "English by a natural voice" in heard.said[-1]


@each_clip
def test_lips_are_heard_to_close(name: str, needs_phones: None) -> None:
    sound = clip(name)
    lips = list(VISEMES).index("pp")
    heard, truth = classes(listen(sound.speech, "phonemes")) == lips, classes(sound.truth) == lips
    assert (heard & truth).sum() > 0.6 * truth.sum()
    assert (heard & truth).sum() > 0.6 * heard.sum()


@each_clip
def test_loudness_alone_says_roughly_how_the_mouth_moves(name: str) -> None:
    sound = clip(name)
    heard = listen(sound.speech, "envelope")
    assert agreement(heard, sound.truth) > 0.6
    assert heard.phones == () and heard.trust == 0


@each_clip
@pytest.mark.parametrize("backend", ["phonemes", "envelope"])
@pytest.mark.parametrize("gain", [0.005, 4.0])
def test_whispered_into_the_microphone_or_clipped_it_is_the_same_speech(
    name: str, backend: str, gain: float, needs_phones: None
) -> None:
    sound = clip(name)
    changed = speech_of(np.clip(sound.speech.samples * gain, -1, 1)[None], RATE_HZ)
    assert agreement(listen(changed, backend), listen(sound.speech, backend)) > 0.9


@each_clip
def test_speech_of_a_telephone_is_still_understood(name: str, needs_phones: None) -> None:
    sound = clip(name)
    spectrum = np.fft.rfft(sound.speech.samples)
    half = np.fft.irfft(spectrum[: len(spectrum) // 2 + 1])[None].astype(np.float32) / 2
    telephone = speech_of(half, 8000)
    assert abs(telephone.duration_s - sound.speech.duration_s) < 0.01
    assert agreement(listen(telephone, "phonemes"), sound.truth) > 0.83


@pytest.mark.parametrize("entry", LISTENERS, ids=lambda entry: entry.name)
@pytest.mark.parametrize("seconds", [1 / RATE_HZ, 0.011, 3.0, 40.0])
def test_silence_keeps_the_mouth_closed(entry, seconds: float, needs_phones: None) -> None:
    speech = Speech(np.zeros(max(round(seconds * RATE_HZ), 1), np.float32))
    heard = entry.listen(speech, Request(features=EncodedSpeech(replace(head(), encode=bands))), unwatched)
    assert opening_curve(heard).max() == 0
    assert {phone.name for phone in heard.phones} <= {SILENCE}


@pytest.mark.parametrize("entry", LISTENERS, ids=lambda entry: entry.name)
@pytest.mark.parametrize("samples", [1, 80, 161, 400, 900])
def test_a_click_is_heard_without_complaint(entry, samples: int, needs_phones: None) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, samples).astype(np.float32)
    heard = entry.listen(Speech(sound), Request(features=EncodedSpeech(replace(head(), encode=bands))), unwatched)
    assert heard.duration_s == samples / RATE_HZ


def moving(heard: Heard) -> float:
    """How fast the mouth opens and closes, mean change per second at 25 frames."""
    return float(np.abs(np.diff(frames(opening_curve(heard)))).mean() * 25)


@pytest.mark.parametrize("backend", ["phonemes", "envelope"])
def test_a_band_moves_the_mouth_half_as_much_as_a_speaker_at_most(backend: str, needs_phones: None) -> None:
    speaking = moving(listen(clip(CLIPS[0]).speech, backend))
    playing = listen(Speech(music()), backend)
    assert moving(playing) < 0.5 * speaking
    assert playing.trust < 0.6


@pytest.mark.parametrize("backend", ["phonemes", "envelope"])
def test_noise_and_a_held_chord_keep_the_mouth_closed(backend: str, needs_phones: None) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, 5 * RATE_HZ).astype(np.float32)
    chord = sum(tone(RATE_HZ, 5, pitch_hz, 0.15) for pitch_hz in (220, 277, 330))
    for sound in (noise, chord):
        heard = listen(Speech(sound), backend)
        assert opening_curve(heard).max() < 0.05
    if backend == "phonemes":
        assert heard.said[-1] == "Nobody is heard to speak."


def test_two_voices_at_once_are_heard_but_not_trusted(needs_phones: None) -> None:
    first, second = (clip(name).speech.samples for name in CLIPS)
    both = 0.5 * (first + np.resize(second, len(first)))
    heard = listen(Speech(both), "phonemes")
    assert 0.4 < heard.trust < 0.7
    assert "other than clear English by one natural voice" in heard.said[-1] or "not quite" in heard.said[-1]


def test_a_language_that_is_told_is_not_doubted(needs_phones: None) -> None:
    speech = clip(CLIPS[0]).speech
    assert listen(speech, "phonemes", language="other").trust < 0.5
    assert listen(speech, "phonemes", language="en").trust >= listen(speech, "phonemes").trust
    with pytest.raises(InputError, match="no language 'klingon'; there are auto, en, other"):
        listen(speech, language="klingon")


def test_auto_takes_phones_and_says_so(needs_phones: None) -> None:
    heard = listen(clip(CLIPS[0]).speech)
    assert heard.backend == "phonemes"
    assert heard.said[0].startswith("Listened by phonemes")


def test_without_pocketsphinx_auto_says_what_is_missing_and_listens_to_loudness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    speech = clip(CLIPS[0]).speech
    heard = listen(speech)
    assert heard.backend == "envelope"
    assert any("Not phonemes" in line and "pip install pocketsphinx" in line for line in heard.said)
    with pytest.raises(MissingPackageError, match="phonemes cannot be used.*pip install pocketsphinx"):
        listen(speech, "phonemes")


def test_a_listener_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"no listener 'ears'; there are auto, .*phonemes, envelope"):
        listener_named("ears")


class Bar:
    """Counts, and is cancelled at the second step."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0

    def update(self, steps: int = 1) -> None:
        self.done += steps
        if self.done == 2:
            raise CancelledError("The work was cancelled.")


def test_a_long_sound_is_cut_at_pauses_and_can_be_cancelled(needs_phones: None) -> None:
    clips = [clip(name).speech.samples for name in CLIPS]
    speech = Speech(np.concatenate(clips * 8))
    bars = list[Bar]()

    def watch(total: int) -> Bar:
        bars.append(Bar(total))
        return bars[-1]

    with pytest.raises(CancelledError):
        listen(speech, "phonemes", watch=watch)
    assert bars[0].done == 2 and bars[0].total >= 3


def test_a_long_sound_is_heard_as_its_parts_are(needs_phones: None) -> None:
    clips = [clip(name) for name in CLIPS]
    speech = Speech(np.concatenate([one.speech.samples for one in clips] * 4))
    heard = opening_curve(listen(speech, "phonemes"))
    truth = np.concatenate([opening_curve(one.truth) for one in clips] * 4)[: len(heard)]
    assert np.corrcoef(frames(heard), frames(truth))[0, 1] > 0.88
