"""The acoustic model is read as its package brings it, and its sums are those of all paths."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.audio.cepstra import cepstra_of, with_changes
from likeness.pipelines.audio.english_model import STATES, EnglishModel, english_model
from likeness.pipelines.audio.heard import ARPABET
from likeness.pipelines.audio.phone_loop import phone_posteriors
from likeness.pipelines.audio.phone_scores import phone_scores, senone_likelihoods
from likeness.pipelines.audio.sphinx_files import read_definition, read_densities, read_mixture_weights
from likeness.pipelines.errors import MissingPackageError, WrongWeightsError
from likeness.tests.audio.sounds import clip


@pytest.fixture(scope="module")
def model() -> EnglishModel:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    return english_model()


def test_a_model_that_is_held_is_shared(model: EnglishModel) -> None:
    assert english_model() is model


def test_every_phone_has_senones_whose_shares_sum_to_one(model: EnglishModel) -> None:
    assert len(model.phones) == len(ARPABET)
    for phone in model.phones:
        for pool in phone.pools:
            assert pool.sum(0) == pytest.approx(np.ones(len(ARPABET)), abs=1e-5)
    assert model.follows.sum(2) == pytest.approx(1, abs=1e-5)
    assert ((model.stay > 0.01) & (model.stay < 1)).all()


def test_english_follows_its_rules(model: EnglishModel) -> None:
    number = ARPABET.index
    assert model.follows[number("S"), number("T"), number("R")] > 0.05
    assert model.follows[number("R"), number("T"), number("NG")] < 1e-3


def test_vowels_are_most_like_themselves(model: EnglishModel) -> None:
    sound = clip("sense_0930")
    cepstra = cepstra_of(sound.speech.samples)
    likelihoods, _ = senone_likelihoods(model, with_changes(cepstra, cepstra.mean(0)))
    best = np.stack([found.max(1) for found in likelihoods], 1)
    for phone in sound.phones:
        if phone.name in ("EY", "AY", "IY") and phone.end_s - phone.start_s > 0.09:
            middle = best[round(50 * (phone.start_s + phone.end_s))]
            assert (middle > middle[ARPABET.index(phone.name)]).sum() <= 5, phone


def test_the_level_of_a_sound_does_not_change_its_cepstra() -> None:
    samples = clip("sense_0930").speech.samples
    assert cepstra_of(samples * 0.01) == pytest.approx(cepstra_of(samples), abs=1e-3)


def test_likelihoods_are_those_of_the_mixtures_written_out(model: EnglishModel) -> None:
    features = np.random.default_rng(2).standard_normal((3, 39)).astype(np.float32) * 4
    found, levels = senone_likelihoods(model, features)
    phone = 7
    expected, level = np.ones(found[phone].shape[1]), 0.0
    for stream in range(3):
        x = features[1, 13 * stream : 13 * stream + 13]
        logs = [np.r_[x, x**2] @ p.factors[stream] + p.offsets[stream] for p in model.phones]
        best = max(log.max() for log in logs)
        level += best
        expected *= np.exp(logs[phone] - best) @ model.phones[phone].weights[stream] + 1e-12
    assert found[phone][1] == pytest.approx(expected, rel=1e-3)
    assert levels[1] == pytest.approx(level, rel=1e-5)


def test_probabilities_of_phones_are_sums_over_all_paths() -> None:
    random = np.random.default_rng(4)
    steps, count, silence = 6, 3, 0
    scores = random.uniform(0.2, 1, (steps, STATES, count, count)).astype(np.float32)
    follows = random.uniform(0.1, 1, (count, count, count)).astype(np.float32)
    stay = random.uniform(0.2, 0.8, (STATES, count)).astype(np.float32)
    total, expected = 0.0, np.zeros((steps, count))
    # a path is a state (kind, first phone, second phone) per step
    everything = list(product(range(STATES), range(count), range(count)))

    def went(before: tuple[int, int, int], after: tuple[int, int, int]) -> float:
        kind, a, b = before
        phone = a if kind == 2 else b
        if before == after:
            return stay[kind, phone]
        if (kind, after[0]) == (0, 1) and (a, b) == after[1:]:
            return 1 - stay[0, phone]
        if (kind, after[0]) == (1, 2) and b == after[1]:
            return (1 - stay[1, phone]) * follows[a, b, after[2]]
        if (kind, after[0]) == (2, 0) and (a, b) == after[1:]:
            return 1 - stay[2, phone]
        return 0.0

    paths = {(0, silence, b): [((0, silence, b),), float(scores[0, 0, silence, b])] for b in range(count)}
    found = [(tuple(path), weight) for path, weight in paths.values()]
    for step in range(1, steps):
        found = [
            ((*path, after), weight * went(path[-1], after) * scores[(step, *after)])
            for path, weight in found
            for after in everything
            if went(path[-1], after) > 0
        ]
    for path, weight in found:
        total += weight
        for step, (kind, a, b) in enumerate(path):
            expected[step, a if kind == 2 else b] += weight
    posteriors, log_sum = phone_posteriors(scores, follows, stay, silence)
    assert log_sum == pytest.approx(np.log(total), rel=1e-4)
    assert posteriors == pytest.approx(expected / total, abs=1e-4)


def test_scores_of_a_step_have_one_best(model: EnglishModel) -> None:
    features = np.random.default_rng(2).standard_normal((300, 39)).astype(np.float32) * 4
    likelihoods, _ = senone_likelihoods(model, features)
    scores = phone_scores(model, likelihoods, 0.15)
    assert scores.max((1, 2, 3)) == pytest.approx(1)
    assert scores.min() > 0


@pytest.mark.parametrize("read", [read_densities, read_definition, lambda path: read_mixture_weights(path, 10)])
def test_a_file_that_is_no_model_says_which_it_is(read, tmp_path: Path) -> None:
    path = tmp_path / "means"
    path.write_bytes(bytes(range(1, 200)) * 20)
    with pytest.raises(WrongWeightsError, match="means"):
        read(path)


def test_a_model_that_was_cut_short_or_is_gone_says_what_to_do(
    model: EnglishModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pocketsphinx

    shutil.copytree(
        model.dictionary.parent, tmp_path / "en-us", ignore=shutil.ignore_patterns("*.dict", "en-us.lm.bin")
    )
    monkeypatch.setattr(pocketsphinx, "get_model_path", lambda: str(tmp_path))
    definition = tmp_path / "en-us" / "en-us" / "mdef"
    definition.write_bytes(definition.read_bytes()[:5000])
    with pytest.raises(WrongWeightsError, match=r"en-us cannot be read \(.+\): install pocketsphinx again"):
        english_model()
    definition.unlink()
    with pytest.raises(WrongWeightsError, match=r"mdef.*: install pocketsphinx again"):
        english_model()


def test_without_the_package_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(MissingPackageError, match="pip install pocketsphinx"):
        english_model()
