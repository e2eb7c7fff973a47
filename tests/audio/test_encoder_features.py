"""The frames of ComfyUI's audio encoders stand for the moments that they come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.encoder_features import (
    GRIDS,
    WAV2VEC2,
    WHISPER,
    EncoderFeatures,
    features_of,
    grid_of,
    require_same_sound,
)
from likeness.pipelines.audio.speech import RATE_HZ, Speech
from likeness.pipelines.errors import InputError

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


def convolved(samples: torch.Tensor) -> torch.Tensor:
    """wav2vec2's convolutions, all weights one: what each frame sees of the sound."""
    rows = samples[None, None]
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        rows = torch.nn.functional.conv1d(rows, torch.ones(1, 1, kernel) / kernel, stride=stride)
    return rows[0, 0]


def output(layers: int, batch: int, frames: int, width: int, samples: int) -> dict:
    tensors = tuple(torch.randn(batch, frames, width) for _ in range(layers))
    return {"encoded_audio": tensors[-1], "encoded_audio_all_layers": tensors, "audio_samples": samples}


@pytest.mark.parametrize("samples", [400, 719, 720, 16000, 16001, 47999])
def test_wav2vec2_gives_as_many_frames_as_its_grid_says(samples: int) -> None:
    frames = len(convolved(torch.ones(samples)))
    assert WAV2VEC2.frames(samples) == frames
    assert grid_of(frames, samples) is WAV2VEC2


def test_a_click_is_in_the_frames_around_its_time() -> None:
    for at in (1000, 8000, 8123):
        samples = torch.zeros(RATE_HZ)
        samples[at] = 1
        seen = convolved(samples)
        middle = float((seen.double() * WAV2VEC2.times_s(len(seen))).sum() / seen.double().sum())
        assert abs(middle - at / RATE_HZ) < 0.006


def test_whisper_frames_are_centred_every_twenty_milliseconds_from_zero() -> None:
    # its second convolution takes every other frame of a spectrum that is centred on multiples of 160 samples
    at = 8000
    spectrum = torch.zeros(3000)
    spectrum[at // 160] = 1
    seen = spectrum[None, None]
    for stride in (1, 2):
        seen = torch.nn.functional.conv1d(seen, torch.ones(1, 1, 3), stride=stride, padding=1)
    assert seen.shape[-1] == WHISPER.frames(at)
    middle = float((seen[0, 0].double() * WHISPER.times_s(1500)).sum() / seen.double().sum())
    assert middle == pytest.approx(at / RATE_HZ, abs=1e-9)


def test_of_whispers_thirty_seconds_only_those_with_sound_are_heard() -> None:
    features = features_of(output(3, 1, 1500, 8, 2 * RATE_HZ))
    assert features.grid is WHISPER and features.heard_frames == 100 and features.width == 8
    assert EncoderFeatures(features.layers, 1, WHISPER).heard_frames == 1


def test_each_sound_of_a_batch_has_its_own_features() -> None:
    made = output(2, 3, 49, 8, RATE_HZ)
    layers = made["encoded_audio_all_layers"]
    assert all(torch.equal(one, layer[2]) for one, layer in zip(features_of(made, 2).layers, layers, strict=True))
    with pytest.raises(InputError, match=r"holds 3 sound\(s\), number 4 is needed"):
        features_of(made, 3)


def without_batch(*layers: torch.Tensor, samples: object = RATE_HZ) -> dict:
    return {"encoded_audio_all_layers": list(layers), "audio_samples": samples}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (None, "is a NoneType"),
        ({"samples": 1}, "no layers of features, only"),
        (without_batch(), "no layers"),
        (without_batch(torch.zeros(49, 8)), "no layers"),
        (without_batch(torch.zeros(1, 49, 8), samples=None), "for None samples"),
        (without_batch(torch.zeros(1, 49, 8), torch.zeros(1, 48, 8)), "layers of"),
        (without_batch(torch.zeros(1, 70, 8)), "gave 70 frames for 1.000 s; known are 49 of"),
        (without_batch(torch.zeros(1, 0, 8), samples=200), "gave 0 frames for 0.013 s"),
    ],
)
def test_what_is_no_audio_encoder_output_is_refused_with_what_to_connect(wrong: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        features_of(wrong)


def test_features_of_another_sound_are_refused_with_both_lengths() -> None:
    features = features_of(output(1, 1, 49, 8, RATE_HZ))
    require_same_sound(features, Speech(np.zeros(RATE_HZ + 200, np.float32)))
    with pytest.raises(InputError, match=r"heard 1\.00 s, the sound has 2\.00 s: connect the same AUDIO"):
        require_same_sound(features, Speech(np.zeros(2 * RATE_HZ, np.float32)))


def test_whisper_says_that_it_does_not_hear_beyond_thirty_seconds() -> None:
    features = features_of(output(1, 1, 1500, 8, 31 * RATE_HZ))
    with pytest.raises(InputError, match=r"first 30 s only, the sound has 31\.0 s\. Connect the encoder itself"):
        require_same_sound(features, Speech(np.zeros(31 * RATE_HZ, np.float32)))


def test_all_grids_count_frames_alike() -> None:
    assert {grid.hop for grid in GRIDS.values()} == {320}
