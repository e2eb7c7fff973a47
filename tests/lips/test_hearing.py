"""The sound as the lips hear it: Whisper's encoder, and the windows of frames at any rate and length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.errors import WrongWeightsError
from likeness.pipelines.lips.hearing import LEAD, WINDOW, Hearing, positions, sound_tokens, window_starts, windows_of
from likeness.pipelines.lips.whisper import WINDOW_FEATURES, build_whisper, log_mel, mel_filters, read_whisper_tiny
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.lips.tiny_lips import tiny_whisper, whole_whisper


def sound(seconds, seed=0):
    """Noise whose loudness changes, so that no two moments are alike."""
    random = np.random.RandomState(seed)
    count = round(seconds * RATE_HZ)
    swell = 0.1 + np.abs(np.sin(np.arange(count) / RATE_HZ * 5))
    return (random.standard_normal(count) * 0.1 * swell).astype(np.float32)


@pytest.fixture(scope="module")
def encoder():
    """A small one: what is tested here does not depend on its size."""
    return TorchRuntime().hold(tiny_whisper(width=64, layers=1))


def hearing(encoder, seconds, seed=0):
    return Hearing(Speech(sound(seconds, seed)), encoder, TorchRuntime())


def test_the_encoder_gives_what_the_reference_gives_on_the_same_weights():
    transformers = pytest.importorskip("transformers")
    config = transformers.WhisperConfig(
        vocab_size=64, d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536,
        decoder_layers=1, decoder_attention_heads=6, decoder_ffn_dim=64, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    torch.manual_seed(4)
    reference = transformers.WhisperModel(config).eval()
    for weight in reference.encoder.parameters():
        weight.data = torch.randn_like(weight) * 0.05 + (weight.ndim == 1)
    heard = sound(7)
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    mels = extractor(heard, sampling_rate=RATE_HZ, return_tensors="pt").input_features
    ours = build_whisper(reference.state_dict(), "whisper", 384, 4)
    with torch.no_grad():
        states = torch.stack(reference.encoder(mels, output_hidden_states=True).hidden_states, 2)
        assert torch.allclose(log_mel(torch.from_numpy(heard), 80), mels[0], atol=1e-5)
        assert torch.allclose(ours.hear(torch.from_numpy(heard)), states[0], atol=1e-4)
    assert states.shape == (1, 1500, 5, 384)


def test_the_bands_of_the_spectrogram_are_slaneys():
    transformers = pytest.importorskip("transformers.audio_utils")
    reference = transformers.mel_filter_bank(201, 80, 0, 8000, RATE_HZ, norm="slaney", mel_scale="slaney")
    assert np.allclose(mel_filters(80), reference.T, atol=1e-6)


def test_openais_file_and_its_conversion_are_the_same_encoder(tmp_path):
    names = (
        ("self_attn.q_proj", "attn.query"), ("self_attn.k_proj", "attn.key"), ("self_attn.v_proj", "attn.value"),
        ("self_attn.out_proj", "attn.out"), ("self_attn_layer_norm", "attn_ln"), ("final_layer_norm", "mlp_ln"),
        ("fc1", "mlp.0"), ("fc2", "mlp.2"), ("layers.", "blocks."), ("embed_positions.weight", "positional_embedding"),
    )  # fmt: skip
    state = {}
    for key, tensor in tiny_whisper().state_dict().items():
        for theirs, openai in names:
            key = key.replace(theirs, openai)
        key = f"ln_post.{key.removeprefix('layer_norm.')}" if key.startswith("layer_norm.") else key
        state[f"encoder.{key}"] = tensor.half()
    path = tmp_path / "tiny.pt"
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": state}, path)
    read, converted = read_whisper_tiny(path), build_whisper(whole_whisper(), "model", 384, 4)
    for name, tensor in converted.state_dict().items():
        assert torch.allclose(read.state_dict()[name], tensor, atol=2e-3), name


@pytest.mark.parametrize(("width", "layers"), [(512, 6), (384, 3)])
def test_another_size_of_whisper_is_refused_with_its_numbers(width, layers):
    state = {f"encoder.{name}": tensor for name, tensor in tiny_whisper(width, layers).state_dict().items()}
    with pytest.raises(WrongWeightsError, match=rf"found {layers} and {width}.*whisper-tiny"):
        build_whisper(state, "base.pt", 384, 4)


def test_a_file_without_an_encoder_is_refused():
    with pytest.raises(WrongWeightsError, match="found 0 and 0"):
        build_whisper({"decoder.weight": torch.zeros(1)}, "x.safetensors", 384, 4)


def test_a_sound_of_half_a_minute_is_heard_at_once_and_silence_surrounds_it(encoder):
    heard = hearing(encoder, 3.0)
    whole = encoder.module.hear(torch.from_numpy(sound(3.0)))[: heard.length]
    times = [0.0, 0.04, 1.2, 2.96, 3.5]
    windows = heard.around(times)
    assert heard.length == 150 and windows.shape == (5, WINDOW, 2, 64)
    for window, time in zip(windows, times, strict=True):
        for row in range(WINDOW):
            feature = math.floor(time * 50 + 1e-6) - LEAD + row
            expected = whole[feature] if 0 <= feature < 150 else torch.zeros(2, 64)
            assert torch.equal(window[row], expected)


def test_frames_at_one_time_hear_the_same_whatever_the_rate_of_the_video():
    for fps in (24, 25, 29.97, 30, 60):
        times = [number / fps for number in range(200)]
        starts = window_starts(times)
        assert np.abs((starts + LEAD) / 50 - times).max() <= 0.02
        assert (np.diff(starts) >= 0).all()
    assert np.array_equal(window_starts([n / 25 for n in range(50)]), 2 * np.arange(50) - LEAD)


def test_long_sound_is_heard_in_windows_that_know_two_seconds_around_what_counts(encoder):
    seconds = 75.0
    heard, samples = hearing(encoder, seconds), sound(seconds)
    twin = {}
    for feature in (0, 700, 1399, 1400, 2699, 2700, 2750, 3700, 3749):
        number = min(max(feature - 100, 0) // 1300, 2)
        if number not in twin:
            part = samples[number * 1300 * 320 : (number * 1300 + WINDOW_FEATURES) * 320]
            twin[number] = encoder.module.hear(torch.from_numpy(part))
        expected = twin[number][feature - number * 1300]
        window = heard.around([(feature + LEAD) / 50])[0]
        assert torch.allclose(window[0], expected, atol=1e-5), feature
        before, after = feature - number * 1300, number * 1300 + WINDOW_FEATURES - feature
        assert (number == 0 or before >= 100) and (number == 2 or after >= 100)


def test_memory_holds_two_windows_however_long_the_sound_is(encoder):
    heard = hearing(encoder, 140.0)
    for second in range(0, 140, 13):
        heard.around([float(second)])
        assert len(heard._heard) <= 2


@pytest.mark.parametrize("samples", [1, 319, 320, 16000])
def test_sounds_shorter_than_a_window_are_ordinary(encoder, samples):
    heard = Hearing(Speech(np.full(samples, 0.1, np.float32)), encoder, TorchRuntime())
    windows = heard.around([0.0, 5.0])
    assert heard.length == samples // 320
    assert torch.isfinite(windows).all() and not windows[1].any()


def test_positions_are_added_to_the_tokens_frame_by_frame_and_layer_by_layer():
    windows = torch.arange(2 * 10 * 5 * 6, dtype=torch.float32).view(2, 10, 5, 6)
    tokens = sound_tokens(windows)
    assert tokens.shape == (2, 50, 6)
    assert torch.allclose(tokens[1, 13], windows[1, 2, 3] + positions(50, 6)[13])
    assert torch.allclose(positions(2, 4)[1], torch.tensor([1.0, 1.0, 0.01, 0.01]).sin() * torch.tensor([1, 0, 1, 0])
                          + torch.tensor([1.0, 1.0, 0.01, 0.01]).cos() * torch.tensor([0, 1, 0, 1]))  # fmt: skip


def test_windows_outside_of_the_features_are_silence():
    assert not windows_of(torch.ones(20, 5, 4), np.array([-10, 20, 400])).any()
    assert windows_of(torch.ones(20, 5, 4), np.array([15]))[0, :, 0, 0].tolist() == [1.0] * 5 + [0.0] * 5
