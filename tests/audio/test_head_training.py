"""What a head is taught it hears again in speech that it has never heard, and the training says how well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.encoder_features import WAV2VEC2
from likeness.pipelines.audio.head_lessons import Lesson, Plan, split, teach
from likeness.pipelines.audio.head_training import Example, follow_counts, frame_labels, train_head
from likeness.pipelines.audio.heard import ARPABET, Phone
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.errors import InputError
from likeness.tests.audio.encoders import GOOD_LAYER, bands, lessons, taught
from likeness.tests.audio.sounds import clip


def share_right(heard: tuple[Phone, ...], truth: tuple[Phone, ...], duration_s: float) -> float:
    """Of moments every 5 ms."""
    times = np.arange(0.0025, duration_s, 0.005)
    names = [[next(one.name for one in row if time < one.end_s) for time in times] for row in (heard, truth)]
    return float(np.mean([first == second for first, second in zip(*names, strict=True)]))


def test_speech_that_was_held_out_is_heard_far_better_than_by_chance() -> None:
    result = taught()
    (name,) = result.held_out
    unheard = clip(name)
    head = result.head
    right = share_right(head.phones(unheard.speech, bands(unheard.speech.samples)), unheard.phones, result.held_out_s)
    # from three seconds of speech: most phones were heard a few times only, some never
    assert right > 1.8 * result.chance and right > 0.3
    assert right == pytest.approx(head.card.accuracy, abs=0.03)


def test_the_layer_with_the_phones_in_it_is_found() -> None:
    result = taught()
    assert result.head.card.layers == (GOOD_LAYER,)
    assert max(result.layer_shares) == result.layer_shares[GOOD_LAYER]


def test_the_card_says_what_was_learned_from() -> None:
    card = taught().head.card
    assert (card.encoder, card.width, card.depth, card.licence) == ("wav2vec2", 40, 3, "public domain")
    assert card.trained_on_s == pytest.approx(taught().learned_s, abs=0.05) and len(card.trained_on_sha256) == 64


def test_the_same_seed_gives_the_same_head_and_another_one_another(tmp_path: Path) -> None:
    plan = Plan(layer_count=1, steps=25)
    first, second, other = (
        teach(order, bands, tmp_path, replace(plan, seed=seed)).head.network.state_dict()
        for order, seed in ((lessons(), 0), (lessons()[::-1], 0), (lessons(), 1))
    )
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert not np.array_equal(first["out.weight"], other["out.weight"])


def test_a_head_is_sure_of_itself_as_often_as_it_is_right() -> None:
    """Trust is a probability: on speech of the same kind it is near the share of phones that are right."""
    random = np.random.default_rng(0)

    def spoken() -> Example:
        labels = np.repeat(random.integers(0, 40, 40), 5)
        rows = np.eye(40, dtype=np.float32)[labels] + random.normal(0, 0.45, (200, 40)).astype(np.float32)
        return Example(rows, labels, np.ones(200, np.float32), 4.0125)

    learned, held_out, unheard = ([spoken() for _ in range(count)] for count in (12, 4, 4))
    card = replace(taught().head.card, layers=(0,))
    head = train_head(card, learned, held_out)
    with torch.no_grad():
        logits = torch.cat([head.network(torch.from_numpy(one.features)[None])[0] for one in unheard])
    labels = torch.from_numpy(np.concatenate([one.labels for one in unheard]))
    sure, guess = logits.softmax(-1).max(-1)
    assert float((guess == labels).float().mean()) > 0.5
    assert float(sure.mean()) == pytest.approx(float((guess == labels).float().mean()), abs=0.05)


def test_frames_are_labelled_by_the_phone_in_their_middle() -> None:
    phones = (Phone("SIL", 0, 0.1), Phone("AA", 0.1, 0.155, 0.5))
    labels, weights = frame_labels(phones, WAV2VEC2, 9)
    # the middles lie at 12.5, 32.5, 52.5, 72.5, 92.5, 112.5, 132.5, 152.5 and 172.5 ms
    assert [ARPABET[label] if label >= 0 else "" for label in labels] == ["SIL"] * 5 + ["AA"] * 3 + [""]
    assert weights.tolist() == [1.0] * 5 + [0.5] * 3 + [0.0]
    later, _ = frame_labels(phones, WAV2VEC2, 2, start_s=0.1)
    assert [ARPABET[label] for label in later] == ["AA", "AA"]


def test_a_phone_follows_another_as_often_as_it_was_heard_to() -> None:
    labels = np.array([0, 0, 1, 1, 0, 0, 1, -1, 2], np.int64)
    example = Example(np.zeros((9, 1), np.float32), labels, np.ones(9, np.float32), 0.2)
    follows = np.exp(follow_counts([example]))
    assert np.allclose(follows.sum(1), 1, atol=1e-5)
    assert follows[0, 1] == pytest.approx(3 / (38 + 3), rel=1e-3)  # two were heard, one is added to every count
    assert follows[1, 2] == pytest.approx(1 / (38 + 2), rel=1e-3)  # what lies beyond the unknown does not count


def long_lesson(name: str, sha256: str, seconds: float) -> Lesson:
    return Lesson(name, sha256, Speech(np.zeros(round(seconds * RATE_HZ), np.float32)), (Phone("SIL", 0, seconds),))


def test_whole_files_are_held_out_by_their_hash_whatever_their_order() -> None:
    made = [long_lesson(f"{index}.wav", f"{index:064x}", 1) for index in range(10)]
    learned, held_out = split(made, 0.2)
    assert (len(learned), len(held_out)) == (8, 2)
    assert split(made[::-1], 0.2) == (learned, held_out)
    assert [len(part) for part in split(made[:2], 0.05)] == [1, 1]


@pytest.mark.parametrize(
    ("made", "share", "says"),
    [
        ([], 0.2, "There are 0 sounds; at least two"),
        ([("a", "1", 1.0)], 0.2, "There are 1 sounds"),
        ([("a", "1", 1.0), ("b", "1", 1.0)], 0.2, "a and b are the same sound"),
        ([("a", "1", 1.0), ("b", "2", 0.2)], 0.2, "b has 0.20 s; sounds of 0.5 s are needed"),
        ([("a", "1", 1.0), ("b", "2", 1.0)], 0.9, "share held out is 0.9, 0.05 to 0.5"),
    ],
)
def test_too_little_to_learn_from_is_said(made: list, share: float, says: str) -> None:
    with pytest.raises(InputError, match=says):
        split([long_lesson(*one) for one in made], share)


def test_sounds_without_known_speech_teach_nothing(tmp_path: Path) -> None:
    mute = [replace(one, phones=()) for one in lessons()]
    with pytest.raises(InputError, match="no speech"):
        teach(mute, bands, tmp_path)
