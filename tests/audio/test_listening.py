"""What is heard in real speech is what was said; what cannot be heard is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from likeness.pipelines.audio.backends import LISTENERS, listen, listener_named
from likeness.pipelines.audio.encoder import EncodedSpeech
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.errors import InputError
from likeness.tests.audio.encoders import bands, head
from likeness.tests.audio.sounds import CLIPS, agreement, clip


@pytest.mark.parametrize("name", CLIPS)
def test_the_mouth_opens_as_the_speaker_opened_it(name: str) -> None:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    sound = clip(name)
    assert agreement(listen(sound.speech, "phonemes"), sound.truth) > 0.85


@pytest.mark.parametrize("name", CLIPS)
def test_loudness_alone_says_roughly_how_the_mouth_moves(name: str) -> None:
    sound = clip(name)
    heard = listen(sound.speech, "envelope")
    assert agreement(heard, sound.truth) > 0.6
    assert heard.phones == () and heard.trust == 0


@pytest.mark.parametrize("entry", LISTENERS, ids=lambda entry: entry.name)
def test_silence_keeps_the_mouth_closed(entry) -> None:
    if entry.name == "phonemes":
        pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    features = EncodedSpeech(replace(head(), encode=bands)) if entry.name == "encoder" else None
    heard = listen(Speech(np.zeros(3 * RATE_HZ, np.float32)), entry.name, features=features)
    assert heard.opening.max() == 0
    assert {phone.name for phone in heard.phones} <= {"SIL"}


def test_a_listener_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InputError, match="no listener 'ears'; there are auto, encoder, phonemes, envelope"):
        listener_named("ears")
