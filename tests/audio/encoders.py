"""An audio encoder without weights: bands of a spectrum on wav2vec2's frames, and a head taught on real speech."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.pipelines.audio.encoder_features import WAV2VEC2, EncoderFeatures
from likeness.pipelines.audio.head_lessons import Lesson, Plan, Taught, teach
from likeness.pipelines.audio.speech_head import SpeechHead
from likeness.tests.audio.sounds import CLIPS, clip

BANDS = 40
#: Layer of what `bands` gives in which phones can be told apart; the others are noise and a constant.
GOOD_LAYER = 1


def bands(samples: NDArray[np.float32]) -> EncoderFeatures:
    """Three layers of 40 numbers per frame: noise, 40 bands in dB / 10 whose common level counts half, and ones."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WAV2VEC2.window)[:: WAV2VEC2.hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(WAV2VEC2.window), 512)) ** 2
    edges = np.unique(np.geomspace(4, 257, BANDS + 16).round().astype(int))[: BANDS + 1]
    loud = np.log10(np.add.reduceat(power, edges[:-1], axis=1)[:, :BANDS] + 1e-6)
    seen = torch.from_numpy((loud - 0.5 * loud.mean(1, keepdims=True)).astype(np.float32))
    # noise that depends on the sound only, so that the same sound gives the same features
    noise = torch.from_numpy(np.modf(loud * 1e6)[0].astype(np.float32))
    return EncoderFeatures((noise, seen, torch.ones_like(seen)), len(samples), WAV2VEC2)


def lessons() -> list[Lesson]:
    """The two clips with the phones that are known of them."""
    clips = {name: clip(name) for name in CLIPS}
    return [Lesson(name, f"{index:064x}", one.speech, one.phones) for index, (name, one) in enumerate(clips.items())]


@cache
def taught(seed: int = 0) -> Taught:
    """A head that has learned one clip and was checked with the other one."""
    with TemporaryDirectory() as folder:
        return teach(lessons(), bands, Path(folder), Plan(layer_count=1, seed=seed, licence="public domain"))


def head() -> SpeechHead:
    """That head."""
    return taught().head
