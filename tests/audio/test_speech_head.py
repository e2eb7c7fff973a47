"""A speech head hears the phones it has learned, at their times, in any length, with the encoder it is for only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.backends import listen
from likeness.pipelines.audio.encoder import EncodedSpeech
from likeness.pipelines.audio.encoder_features import WAV2VEC2, WHISPER, EncoderFeatures
from likeness.pipelines.audio.heard import ARPABET
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.audio.speech_head import HeadCard, HeadNetwork, SpeechHead, mean_trust, on_steps, pieces
from likeness.pipelines.errors import InputError, MissingPackageError, WrongWeightsError
from likeness.tests.audio.encoders import bands, head

VOWEL, HISS = ARPABET.index("AA"), ARPABET.index("S")


def made_head(width: int = 40) -> SpeechHead:
    """A head for features in which phone i is written as the number i being large: the answer is known."""
    network = HeadNetwork(width)
    for parameter in network.parameters():
        parameter.data.zero_()
    network.project.weight.data[:width] = torch.eye(width)
    network.out.weight.data[:, : len(ARPABET)] = torch.eye(len(ARPABET))
    return SpeechHead(HeadCard("wav2vec2", width, 1, (0,)), network.eval().requires_grad_(False))


def written(names: list[int], samples: int, grid=WAV2VEC2) -> EncoderFeatures:
    """Features in which each frame names a phone."""
    rows = torch.nn.functional.one_hot(torch.tensor(names), len(ARPABET)).float() * 20
    return EncoderFeatures((rows,), samples, grid)


def test_phones_begin_in_the_middle_between_the_frames_that_differ() -> None:
    # 49 frames of one second; frame i is centred at 12.5 + 20 i ms, so the change lies at 12.5 + 20 * 24.5 = 502.5 ms
    features = written([VOWEL] * 25 + [HISS] * 24, RATE_HZ)
    first, second = made_head().phones(Speech(np.zeros(RATE_HZ, np.float32)), features)
    assert (first.name, second.name) == ("AA", "S")
    assert first.end_s == pytest.approx(0.5025, abs=0.005)
    assert second.end_s == 1.0 and first.trust > 0.8


def test_whispers_frames_are_read_at_their_own_times() -> None:
    features = written([VOWEL] * 25 + [HISS] * 1475, RATE_HZ, WHISPER)
    whisper = replace(made_head(), card=HeadCard("whisper", 40, 1, (0,)))
    first, _ = whisper.phones(Speech(np.zeros(RATE_HZ, np.float32)), features)
    assert first.end_s == pytest.approx(0.49, abs=0.005)  # between the frames at 480 and 500 ms


def test_steps_are_read_linearly_between_frames_and_stay_at_the_ends() -> None:
    logs = np.random.default_rng(0).normal(size=(49, 40)).astype(np.float32)
    read = on_steps(logs, WAV2VEC2, 1.0)
    times = WAV2VEC2.times_s(49).numpy()
    middles = (np.arange(100) + 0.5) / 100
    twin = np.stack([np.interp(middles, times, logs[:, phone]) for phone in range(40)], 1)
    assert read.shape == (100, 40) and np.allclose(read, twin, atol=1e-5)
    assert np.array_equal(on_steps(logs[:1], WAV2VEC2, 0.02), np.repeat(logs[:1], 2, 0))


@pytest.mark.parametrize("seconds", [0.005, 0.02, 0.3, 1.0, 17.9, 18.5, 19.1, 36.0, 50.3])
def test_heard_piece_by_piece_is_heard_as_a_whole(seconds: float) -> None:
    random = np.random.default_rng(1)
    samples = random.normal(size=round(seconds * RATE_HZ)) / 10
    loudness = np.repeat(random.random(len(samples) // 3000 + 1), 3000)[: len(samples)]
    speech = Speech((samples * loudness).astype(np.float32))
    longest = 0

    def encode(part: np.ndarray) -> EncoderFeatures:
        nonlocal longest
        longest = max(longest, len(part))
        return bands(part)

    parts = replace(head(), encode=encode).phones(speech)
    assert parts[0].start_s == 0 and parts[-1].end_s == speech.duration_s
    assert longest <= 20 * RATE_HZ
    if len(samples) >= WAV2VEC2.window:
        whole = head().phones(speech, bands(speech.samples))
        assert [(one.name, one.start_s, one.end_s) for one in parts] == [
            (one.name, one.start_s, one.end_s) for one in whole
        ]
        assert np.allclose([one.trust for one in parts], [one.trust for one in whole], atol=1e-4)


def test_pieces_tile_the_sound_and_begin_on_its_frames() -> None:
    for samples in (1, 399, 16_000, 304_000, 304_001, 320_000, 5_000_000):
        found = list(pieces(samples, WAV2VEC2))
        assert [found[0][2], *(last for *_, last in found)] == [*(first for _, _, first, _ in found), samples]
        for start, stop, first, last in found:
            assert start % 320 == 0 and 0 <= start <= first < last <= stop <= samples
            assert stop - start <= 20 * RATE_HZ + 16_000


def test_a_head_for_another_encoder_is_refused_with_both_sizes_and_the_way_out() -> None:
    speech = Speech(np.zeros(RATE_HZ, np.float32))
    for width, depth in ((1024, 25), (40, 2)):
        rows = torch.zeros(49, width)
        says = rf"1 layers of 40 numbers.*{depth} layers of {width}.*train_speech_head"
        with pytest.raises(WrongWeightsError, match=says):
            made_head().phones(speech, EncoderFeatures((rows,) * depth, RATE_HZ, WAV2VEC2))
    with pytest.raises(WrongWeightsError, match="is for wav2vec2.*is whisper"):
        made_head().phones(speech, EncoderFeatures((torch.zeros(1500, 40),), RATE_HZ, WHISPER))


def test_features_that_are_not_finite_are_refused() -> None:
    rows = torch.zeros(49, 40, dtype=torch.float16)
    rows[3, 4] = float("nan")
    with pytest.raises(InputError, match="NaN or infinite: run ComfyUI with --fp32-text-enc"):
        made_head().phones(Speech(np.zeros(RATE_HZ, np.float32)), EncoderFeatures((rows,), RATE_HZ, WAV2VEC2))


def test_a_head_without_features_and_without_an_encoder_says_what_to_connect() -> None:
    with pytest.raises(InputError, match="nothing to listen to: connect Load Audio Encoder"):
        made_head().phones(Speech(np.zeros(RATE_HZ, np.float32)))


def test_auto_takes_the_encoder_when_a_head_is_connected_and_says_so() -> None:
    features = written([VOWEL] * 25 + [HISS] * 24, RATE_HZ)
    speech = Speech(np.full(RATE_HZ, 0.1, np.float32) * np.sin(np.arange(RATE_HZ, dtype=np.float32) / 5))
    heard = listen(speech, features=EncodedSpeech(made_head(), features))
    assert heard.backend == "encoder" and [phone.name for phone in heard.phones] == ["AA", "S"]
    assert "Listened by encoder" in heard.said[0]
    assert heard.trust == 1.0 and mean_trust(heard.phones) > 0.4


def said_as(phones: str) -> tuple[Speech, EncoderFeatures]:
    """A loud second of which the features name these phones, 80 ms each."""
    names = ["SIL"] * 4 + [name for name in phones.split() for _ in range(4)]
    names += ["SIL"] * (99 - len(names))
    sound = 0.1 * np.sin(np.arange(2 * RATE_HZ) / 5)
    return Speech(sound.astype(np.float32)), written([ARPABET.index(name) for name in names], 2 * RATE_HZ)


def test_a_transcript_corrects_what_was_misheard_and_only_where_it_fits() -> None:
    pytest.importorskip("pocketsphinx", exc_type=ModuleNotFoundError)
    speech, features = said_as("M AH D ER M EY K S B R EH D")  # a d where the mother has a dh
    encoded = EncodedSpeech(made_head(), features)
    told = listen(speech, "encoder", "Mother makes bread.", "en", encoded)
    assert [one.name for one in told.phones if one.name != "SIL"] == "M AH DH ER M EY K S B R EH D".split()
    assert any("Followed the transcript (3 of 3 words)" in line for line in told.said)
    places = {one.name: one.start_s for one in told.phones[2:]}
    assert places["DH"] == pytest.approx(0.2425, abs=0.01) and 0.27 <= places["ER"] < 0.33  # no d tells where dh ends
    assert [places[name] for name in ("EY", "K", "D")] == pytest.approx([0.4825, 0.5625, 0.9625], abs=0.01)

    freely = listen(speech, "encoder", "", "en", encoded)
    assert [one.name for one in freely.phones][3] == "D" and not any("transcript" in line for line in freely.said)
    other = listen(speech, "encoder", "Seven ships sail through the fog.", "en", encoded)
    assert other.phones == freely.phones and any("does not fit the sound" in line for line in other.said)
    foreign = listen(speech, "encoder", "Mother makes bread.", "other", encoded)
    assert foreign.phones == freely.phones and any("only English can be followed" in line for line in foreign.said)


def test_the_encoder_asked_for_without_a_head_is_an_error_and_auto_names_the_reason() -> None:
    speech = Speech(np.zeros(RATE_HZ, np.float32))
    with pytest.raises(MissingPackageError, match="encoder cannot be used: no speech head is connected"):
        listen(speech, "encoder")


def test_ten_minutes_are_heard_in_pieces_to_their_end() -> None:
    speech = Speech(np.random.default_rng(0).normal(size=600 * RATE_HZ).astype(np.float32) / 10)
    count = 0

    def encode(part: np.ndarray) -> EncoderFeatures:
        nonlocal count
        count += 1
        return bands(part)

    phones = replace(head(), encode=encode).phones(speech)
    assert count == 34 and phones[-1].end_s == 600.0
