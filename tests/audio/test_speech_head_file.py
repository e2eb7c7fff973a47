"""A speech head comes back from its file as it was; a file that is none is refused before memory is taken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from likeness.pipelines.audio.encoder_features import WAV2VEC2
from likeness.pipelines.audio.speech_head import HeadCard, HeadNetwork, SpeechHead
from likeness.pipelines.audio.speech_head_file import load_speech_head, save_speech_head
from likeness.pipelines.errors import InputError, UnsafeFileError
from likeness.tests.audio.encoders import bands, head
from likeness.tests.audio.sounds import clip


def metadata_of(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])["__metadata__"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_speech_head(head(), tmp_path, "mine")


def rewritten(path: Path, meta: dict | None = None, tensors: dict | None = None, **card: object) -> Path:
    """The file with parts of it exchanged."""
    metadata = metadata_of(path) | (meta or {})
    if card:
        metadata["head"] = json.dumps(json.loads(metadata["head"]) | card)
    save_file(load_file(path) | (tensors or {}), path, metadata)
    return path


def test_a_head_comes_back_as_it_was(saved: Path) -> None:
    before, after = head(), load_speech_head(saved)
    assert after.card == before.card and after.card.grid is WAV2VEC2 and after.encode is None
    speech = clip("sense_0930").speech
    features = bands(speech.samples)
    assert after.phones(speech, features) == before.phones(speech, features)
    assert "public domain" in after.card.describe() and "40" in after.card.describe()


def test_a_second_head_of_a_name_gets_a_number(saved: Path) -> None:
    assert save_speech_head(head(), saved.parent, "mine").name == "mine_2.safetensors"
    with pytest.raises(UnsafeFileError, match="exists"):
        save_speech_head(head(), saved.parent, "mine", "error")
    with pytest.raises(UnsafeFileError, match="cannot be used for a file"):
        save_speech_head(head(), saved.parent, "../mine")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"meta": {"format": "likeness.motion"}}, "its format is 'likeness.motion'"),
        ({"meta": {"format_version": "9"}}, "version is '9'"),
        ({"meta": {"head": "[" * 5000}}, "no JSON"),
        ({"meta": {"head": "[]"}}, "no JSON object"),
        ({"meta": {"classes": '["A"]'}}, "classes are not the 40 phones"),
        ({"encoder": "hubert"}, "'hubert'.*the encoders are wav2vec2, whisper"),
        ({"encoder": 5}, "'encoder' is no text"),
        ({"licence": "x" * 5000}, "'licence' is no text of at most 4000"),
        ({"width": 41}, r"'mean' is F32 \\(40,\\), F32 \\(41,\\) is needed"),
        ({"width": 10**9}, "'width' is no whole number from 1 to 8192"),
        ({"width": True}, "'width' is no whole number"),
        ({"depth": 0}, "'depth' is no whole number"),
        ({"layers": [7]}, "cannot be"),
        ({"layers": [1, 1]}, "not ascending"),
        ({"layers": [-1]}, "cannot be"),
        ({"layers": ["1"]}, "no list of whole numbers"),
        ({"layers": []}, "cannot be"),
        ({"accuracy": 1.5}, "'accuracy' is no number from 0 to 1"),
        ({"trained_on_s": float("nan")}, "'trained_on_s' is no number"),
        ({"surprise": 1}, "'surprise'"),
        ({"tensors": {"extra": np.zeros(2, np.float32)}}, "1 tensor\\\\(s\\\\) that no head has"),
        ({"tensors": {"out.bias": np.zeros(41, np.float32)}}, "'out.bias' is F32"),
        ({"tensors": {"out.bias": np.full(40, np.inf, np.float32)}}, "NaN or infinite"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_head_is_refused_with_what_is_wrong(saved: Path, change: dict, says: str) -> None:
    with pytest.raises(UnsafeFileError, match=says.replace("\\\\", "\\")) as refusal:
        load_speech_head(rewritten(saved, **change))
    assert "mine.safetensors is refused" in str(refusal.value) and "train_speech_head" in str(refusal.value)


def test_a_truncated_an_empty_and_an_absent_file_are_refused(saved: Path) -> None:
    data = saved.read_bytes()
    for size in (0, 7, 100, len(data) - 1):
        saved.write_bytes(data[:size])
        with pytest.raises(UnsafeFileError, match="refused"):
            load_speech_head(saved)
    with pytest.raises(InputError, match="There is no file"):
        load_speech_head(saved.parent / "nowhere.safetensors")


def test_a_head_that_a_file_cannot_hold_is_not_written(tmp_path: Path) -> None:
    card = HeadCard("wav2vec2", 9000, 1, (0,))
    with pytest.raises(InputError, match="at most 128 layers of 8192 numbers"):
        save_speech_head(SpeechHead(card, HeadNetwork(9000)), tmp_path, "wide")
    with pytest.raises(InputError, match="texts of 4000 characters; this head has .* 5000"):
        save_speech_head(replace(head(), card=replace(head().card, consent="x" * 5000)), tmp_path, "wordy")
    assert not list(tmp_path.iterdir())
