"""A speech acted as one motion."""

from dataclasses import replace

import numpy as np
import pytest

from likeness.pipelines.audio.performance import DIALS, Acting, speech_to_motion
from likeness.pipelines.errors import InputError
from likeness.tests.audio.spoken import heard_of, voice

SENTENCE = "HH IY W AH Z N AA:0.2 T AH N IH L D IH S P OW Z D Y AH NG M AE N"


def test_the_same_seed_acts_the_same_and_another_one_otherwise():
    heard = heard_of(SENTENCE, around_s=3.0)
    sound = voice(heard)
    first, again, other = (speech_to_motion(sound, heard, Acting(seed=seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.values, again.values)
    assert np.abs(first.values - other.values).max() > 0.1


def test_a_dial_out_of_range_is_refused_with_its_name():
    for name, (_, high) in DIALS.items():
        with pytest.raises(InputError, match=name):
            replace(Acting(), **{name: high + 1})
    with pytest.raises(InputError, match="frames per second"):
        Acting(fps=0)


def test_what_was_heard_in_another_sound_is_refused():
    heard = heard_of(SENTENCE)
    with pytest.raises(InputError, match="same sound"):
        speech_to_motion(voice(heard_of("AA")), heard)
