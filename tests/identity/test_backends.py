"""The choice of a face analysis."""

from __future__ import annotations

import pytest

from likeness.pipelines.errors import InputError, MissingWeightsError
from likeness.pipelines.identity.backends import load_analysis
from likeness.pipelines.registry import Registry


def test_auto_takes_the_embedded_one_without_weights_and_says_why_not_the_others(registry: Registry) -> None:
    analysis, text = load_analysis(registry, "auto")
    lines = text.splitlines()
    assert analysis.recogniser.name == "dlib_resnet_128"
    assert lines[0] == (
        "Face analysis: embedded. Recogniser: dlib_resnet_128, 128 numbers, licence CC0-1.0 (commercial use allowed)."
    )
    assert lines[1].startswith("Not antelopev2: ") and "missing" in lines[1]
    assert lines[2].startswith("Not buffalo_l: ") and "missing" in lines[2]


def test_a_named_backend_without_its_files_is_an_error_and_no_other_one_is_taken(registry: Registry) -> None:
    with pytest.raises(MissingWeightsError, match="fetch"):
        load_analysis(registry, "antelopev2")


def test_an_unknown_backend_is_refused_with_those_there_are(registry: Registry) -> None:
    with pytest.raises(InputError, match="auto, antelopev2, buffalo_l, embedded"):
        load_analysis(registry, "retina")
