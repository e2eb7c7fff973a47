"""A transcript is followed where it fits, and where it does not the sound is heard without it and that is said."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.pipelines.audio.backends import listen
from likeness.pipelines.audio.english_model import english_model
from likeness.pipelines.audio.heard import ARPABET, Heard
from likeness.pipelines.audio.letter_sounds import RULES, sounds_of
from likeness.pipelines.audio.matching import COSTS, LEFT_OUT, PASSED_OVER, match_words
from likeness.pipelines.audio.pronunciation import NUMBER, Word, pronounced
from likeness.pipelines.audio.speech import Speech
from likeness.pipelines.audio.spelling import words_of
from likeness.pipelines.audio.visemes import VISEME_OF_PHONE, opening_curve, step_phones
from likeness.pipelines.audio.word_graph import best_states, word_graph
from likeness.tests.audio.sounds import CLIPS, agreement, clip, frames

each_clip = pytest.mark.parametrize("name", CLIPS)


@pytest.fixture(autouse=True)
def needs_phones() -> None:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)


def right(heard: Heard, truth: Heard) -> float:
    """Share of steps with the right viseme class."""
    classes = [
        np.array([VISEME_OF_PHONE[phone.name] for phone in one.phones])[step_phones(one.phones, len(one.opening))]
        for one in (heard, truth)
    ]
    return float((classes[0] == classes[1]).mean())


@each_clip
def test_phones_of_a_transcript_are_where_they_are_said(name: str) -> None:
    sound = clip(name)
    heard = listen(sound.speech, transcript=sound.words)
    assert agreement(heard, sound.truth) > 0.95
    assert right(heard, sound.truth) > 0.93
    count = len(sound.words.split())
    assert heard.said[-1].startswith(f"Followed the transcript ({count} of {count} words)")


@each_clip
@pytest.mark.parametrize("backend", ["phonemes", "auto"])
def test_a_transcript_of_something_else_is_told_and_changes_nothing(name: str, backend: str) -> None:
    sound = clip(name)
    heard = listen(sound.speech, backend, "Pickled onions seldom quarrel with umbrellas, whatever neighbours claim.")
    assert heard.said[-1].startswith("The transcript does not fit the sound ('pickled onions seldom")
    assert heard.phones == listen(sound.speech, backend).phones


def test_a_transcript_that_goes_on_and_on_is_followed_as_far_as_the_sound_goes() -> None:
    sound = clip(CLIPS[0])
    heard = listen(sound.speech, transcript=sound.words + " " + "and then some people talk of other matters " * 30)
    assert right(heard, sound.truth) > 0.9


def test_speech_beyond_the_transcript_is_heard_freely() -> None:
    first, second = (clip(name) for name in CLIPS)
    both = Speech(np.concatenate([first.speech.samples, second.speech.samples]))
    heard = listen(both, transcript=second.words)
    truth = np.concatenate([opening_curve(one.truth) for one in (first, second)])
    assert np.corrcoef(frames(opening_curve(heard)), frames(truth))[0, 1] > 0.85


def test_a_long_transcript_is_followed_through_a_long_sound_with_a_hole_in_either() -> None:
    clips = [clip(name) for name in CLIPS] * 5
    speech = Speech(np.concatenate([one.speech.samples for one in clips]))
    truth = np.concatenate([opening_curve(one.truth) for one in clips])
    text = [one.words for one in clips]
    for words in (text, [*text[:4], "nobody ever says these words here " * 6, *text[4:]], [*text[:4], *text[6:]]):
        heard = listen(speech, transcript=". ".join(words))
        assert np.corrcoef(frames(opening_curve(heard)), frames(truth[: len(heard.opening)]))[0, 1] > 0.92


@pytest.mark.parametrize(
    ("transcript", "language", "message"),
    [
        ("Привет, как дела?", "auto", "no words that can be said"),
        ("...?!", "en", "no words that can be said"),
        ("he was not", "other", "only English can be followed"),
    ],
)
def test_a_transcript_that_cannot_be_followed_says_why(transcript: str, language: str, message: str) -> None:
    assert message in " ".join(listen(clip(CLIPS[0]).speech, "phonemes", transcript, language).said)


def test_the_envelope_says_that_it_reads_no_transcript() -> None:
    heard = listen(clip(CLIPS[0]).speech, "envelope", "he was not")
    assert "it was not read" in heard.said[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 10:30 on May 21st, 1984!", "it's ten thirty on may twenty first nineteen eighty four"),
        ("$5.20, £1 and 3.14%", "five dollars and twenty cents one pound and three point one four percent"),
        ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"),
        ("2005 or 1900 or 1907", "two thousand five or nineteen hundred or nineteen oh seven"),
        ("007 in the 1990s", "zero zero seven in the nineteen nineties"),
        ("Mr. Smith’s well-known CAFÉ, naïve BBC", "mister smith's well known CAFE naive BBC"),
        ("R2D2 & co", "r two d two and co"),
        ("12th 13th 100th 20th", "twelfth thirteenth one hundredth twentieth"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_text_is_spelled_as_it_is_said(text: str, words: str) -> None:
    assert " ".join(words_of(text)) == words


def test_very_large_numbers_are_read_digit_by_digit() -> None:
    assert words_of("9" * 20) == ["nine"] * 20


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("snoops", "S N UW P S"), ("chopped", "CH AA P T"), ("blorption", "B L AO R P SH AH N"),
        ("xkz", "EH K S K EY Z IY"), ("zake", "Z EY K"), ("phlight", "F L AY T"),
        ("BBC", "B IY B IY S IY"), ("wugs", "W AH G Z"), ("привет", ""),
    ],
)  # fmt: skip
def test_a_word_in_no_dictionary_is_said_by_the_rules(word: str, sounds: str) -> None:
    assert " ".join(sounds_of(word)) == sounds


def test_rules_end_in_phones_that_exist() -> None:
    assert {phone for *_, sounds in RULES for phone in sounds.split()} <= set(ARPABET)


def test_a_word_has_the_ways_of_the_dictionary_and_others_are_reported() -> None:
    words, unsayable = pronounced(["and", "zake", "слово"], english_model().dictionary)
    names = [[" ".join(ARPABET[sound] for sound in way) for way in word.ways] for word in words]
    assert names == [["AH N D", "AE N D"], ["Z EY K"]]
    assert unsayable == ("слово",)


def test_the_match_is_the_cheapest_of_all_runs_of_words() -> None:
    random = np.random.default_rng(6)
    words = [Word(str(i), (tuple(random.integers(0, 39, random.integers(1, 4)).tolist()),)) for i in range(8)]
    text = [phone for word in words for phone in word.ways[0]]
    heard = [*text[4:10]]
    heard[2] = NUMBER["P"]

    def cost(begin: int, end: int) -> float:
        row = [LEFT_OUT * i for i in range(end - begin + 1)]
        for phone in heard:
            new = [row[0] + LEFT_OUT]
            for i, other in enumerate(text[begin:end]):
                new.append(min(row[i + 1] + LEFT_OUT, new[-1] + LEFT_OUT, row[i] + COSTS[phone, other]))
            row = new
        return row[-1] + PASSED_OVER * begin

    everything = [(cost(a, b), a, b) for a in range(len(text)) for b in range(a + 1, len(text) + 1)]
    best, begin, _ = min(everything)
    found = match_words(heard, words)
    assert found.cost == pytest.approx((best - PASSED_OVER * begin) / len(heard), abs=1e-3)
    assert found.stop > found.start


def test_the_path_through_words_is_the_best_of_all() -> None:
    model = english_model()
    words = [Word("a", ((NUMBER["AH"],),)), Word("b", ((NUMBER["B"],),))]
    graph = word_graph(model, words, loose_start=False, loose_end=False)
    random = np.random.default_rng(8)
    scores = random.normal(0, 3, (11, len(graph.phone))).astype(np.float32)
    found = best_states(graph, scores, model.stay)
    assert found is not None
    stays = np.log(model.stay[np.arange(len(graph.phone)) % 3, graph.phone])
    leaves = np.log1p(-model.stay[np.arange(len(graph.phone)) % 3, graph.phone])

    def best(step: int, state: int) -> float:
        if step == 0:
            return float(scores[0, state]) if state in graph.starts else -np.inf
        entered = [best(step - 1, b) + leaves[b] for b in graph.before[state] if b < len(graph.phone)]
        return max([best(step - 1, state) + stays[state], *entered]) + float(scores[step, state])

    def worth(path: np.ndarray) -> float:
        total = float(scores[0, path[0]])
        for step in range(1, len(path)):
            same = path[step] == path[step - 1]
            total += (stays if same else leaves)[path[step - 1]] + float(scores[step, path[step]])
        return total

    assert worth(found) == pytest.approx(max(best(len(scores) - 1, int(end)) for end in graph.ends), abs=1e-3)
    assert best_states(graph, scores[:5], model.stay) is None
