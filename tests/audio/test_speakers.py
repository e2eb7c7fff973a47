"""Who speaks when, and one sound per speaker."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.speakers import FADE_S, Turn, sound_of, speakers_of, turns_from_text
from likeness.pipelines.errors import InputError

ANNA_AND_BEN = (Turn("Anna", 0.0, 2.5), Turn("Ben Noe", 2.5, 4.0))

PLAIN = "# who\n0.0-2.5 Anna\n\n2.5 - 4 Ben Noe"
CLOCK = "0:00-0:02.5 Anna\n00:00:02.5-00:00:04 Ben Noe"
AUDACITY = "0.000000\t2.500000\tAnna\n2.500000\t4.000000\tBen Noe"
WORDS = "0 to 2.5: Anna\n2.5 to 4: Ben Noe"
RTTM = (
    "SPKR-INFO talk 1 <NA> <NA> <NA> unknown Anna <NA>\n"
    "SPEAKER talk 1 0.00 2.50 <NA> <NA> Anna <NA> <NA>\n"
    "SPEAKER talk 1 2.50 1.50 <NA> <NA> Ben_Noe <NA> <NA>"
)
SRT = "1\n00:00:00,000 --> 00:00:02,500\nAnna: Good morning.\n\n2\n00:00:02,500 --> 00:00:04,000\n[Ben Noe] Is it?\n"
VTT = (
    "WEBVTT\n\nNOTE of a talk\n\n00:00.000 --> 00:02.500 align:start\n<v Anna>Good morning.\n\n"
    "00:02.500 --> 00:04.000\n<v.loud Ben Noe>Is it?"
)


@pytest.mark.parametrize("text", [PLAIN, CLOCK, AUDACITY, WORDS, SRT, VTT, "\ufeff" + SRT, PLAIN.replace("\n", "\r\n")])
def test_all_usual_forms_of_a_track_say_the_same(text: str) -> None:
    assert turns_from_text(text) == ANNA_AND_BEN


def test_rttm_has_onset_and_duration_and_names_without_blanks() -> None:
    assert turns_from_text(RTTM) == (ANNA_AND_BEN[0], Turn("Ben_Noe", 2.5, 4.0))


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("0-1 Anna\nhello there", 2, "not like '0.0-2.5 Anna'"),
        ("0-1 Anna\n\n3-2 Ben", 3, "begins at 3 s and ends at 2 s"),
        ("0-1", 1, "not like"),
        ("-1-2 Anna", 1, "not like"),
        ("SPEAKER talk 1 zero 2.5 <NA> <NA> Anna", 1, "RTTM has onset and duration"),
        ("SPEAKER talk 1", 1, "RTTM"),
        ("1\n00:00:00,000 --> soon\nAnna: x", 2, "not like '00:00:00.000 --> 00:00:02.500'"),
        ("00:00.000 --> 00:01.000\nno name here", 2, "has to begin with its speaker"),
        ("00:00.000 --> 00:01.000", 2, "has to begin with its speaker"),
    ],
)
def test_a_line_that_is_none_is_named_by_its_number(text: str, line: int, why: str) -> None:
    with pytest.raises(InputError, match=f"Line {line} of the speaker track cannot be used") as failed:
        turns_from_text(text)
    assert why in str(failed.value)


@pytest.mark.parametrize("text", ["", "  \n# nobody\n", "SPKR-INFO talk 1 <NA> <NA> <NA> unknown Anna <NA>", "x" * 0])
def test_a_track_without_a_turn_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match=r"The speaker track is empty. Write lines such as '0.0-2.5 Anna'"):
        turns_from_text(text)


def test_each_speaker_gets_what_they_say_and_silence_with_soft_edges() -> None:
    rate = 8000
    wave = torch.full((2, 4 * rate), 0.5)
    anna, ben = (sound_of(wave, rate, ANNA_AND_BEN, name) for name in ("Anna", "Ben Noe"))
    assert anna.shape == wave.shape
    assert torch.equal(anna[:, : round(2.5 * rate)], wave[:, : round(2.5 * rate)])
    assert torch.equal(ben[:, round(2.5 * rate) :], wave[:, round(2.5 * rate) :])
    fade = round(FADE_S * rate)
    assert anna[:, round(2.5 * rate) + fade :].abs().max() == 0
    assert ben[:, : round(2.5 * rate) - fade].abs().max() == 0
    assert np.abs(np.diff(anna[0].numpy())).max() < 0.5 * 1.6 / fade
    assert sound_of(wave, rate, ANNA_AND_BEN, "nobody").abs().max() == 0
    assert speakers_of(ANNA_AND_BEN[::-1]) == ("Anna", "Ben Noe")


def test_turns_of_one_speaker_that_touch_are_one_and_what_two_say_at_once_both_get() -> None:
    wave = torch.full((1, 3000), 1.0)
    turns = (Turn("A", 0.5, 1.0), Turn("A", 1.0, 1.5), Turn("B", 0.9, 1.2))
    both = [sound_of(wave, 1000, turns, name)[0] for name in "AB"]
    assert torch.equal(both[0][500:1500], wave[0, 500:1500])
    assert torch.equal(both[1][900:1200], wave[0, 900:1200])


def test_a_turn_may_go_beyond_the_end_but_not_begin_there() -> None:
    wave = torch.ones(1, 1000)
    assert sound_of(wave, 1000, (Turn("A", 0.5, 9.0),), "A")[0, 500:].min() == 1
    with pytest.raises(InputError, match=r"A speaks from 1 s to 2 s, but the sound ends at 1.00 s"):
        sound_of(wave, 1000, (Turn("A", 1.0, 2.0),), "A")
