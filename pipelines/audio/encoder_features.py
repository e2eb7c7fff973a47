"""`EncoderFeatures`: what ComfyUI's audio encoders make of a sound, with the times that its frames stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from ..errors import InputError
from .speech import RATE_HZ, Speech

#: How far the sound of the features may be from the sound that is asked about, seconds: resampling rounds.
MAX_DIFFERENCE_S = 0.02


@dataclass(frozen=True)
class FrameGrid:
    """How an encoder cuts time. name: of the encoder's kind. hop: samples from frame to frame. first: the sample in
    the middle of frame 0. window: samples that a frame needs; 0 where the sound is padded. padded_frames: how many
    frames there always are, 0 where it depends on the sound.
    """

    name: str
    hop: int
    first: float
    window: int = 0
    padded_frames: int = 0

    def frames(self, samples: int) -> int:
        """How many frames the encoder gives for a sound."""
        return self.padded_frames or max((samples - self.window) // self.hop + 1, 0)

    def times_s(self, frames: int) -> Tensor:
        """(frames,) the middle of each frame in seconds: concretely (first + hop i) / 16000."""
        return (self.first + self.hop * torch.arange(frames, dtype=torch.float64)) / RATE_HZ

    @property
    def longest_s(self) -> float:
        """Seconds after which the encoder hears nothing more; 0 where there is no such limit."""
        return self.padded_frames * self.hop / RATE_HZ


#: Seven convolutions without padding (kernels 10 3 3 3 3 2 2, strides 5 2 2 2 2 2 2): a frame sees 400 samples.
WAV2VEC2 = FrameGrid("wav2vec2", hop=320, first=199.5, window=400)
#: Spectra centred every 160 samples, of which a padded convolution takes every other one; always 30 s.
WHISPER = FrameGrid("whisper", hop=320, first=0.0, padded_frames=1500)
GRIDS = {grid.name: grid for grid in (WAV2VEC2, WHISPER)}


@dataclass(frozen=True, eq=False)
class EncoderFeatures:
    """What an encoder made of one sound. layers: one (T, D) per layer, the input of the first one before them, of any
    type on any device. samples: of the sound at 16 kHz. grid: when the frames are.
    """

    layers: tuple[Tensor, ...]
    samples: int
    grid: FrameGrid

    @property
    def width(self) -> int:
        """Numbers per frame and layer."""
        return self.layers[0].shape[1]

    @property
    def heard_frames(self) -> int:
        """Frames whose middle lies in the sound; the others of whisper's 30 seconds are padding."""
        inside = int(self.grid.times_s(len(self.layers[0])).lt(self.samples / RATE_HZ).sum())
        return max(inside, 1)


def features_of(output: object, item: int = 0) -> EncoderFeatures:
    """The features of one sound of ComfyUI's AUDIO_ENCODER_OUTPUT.

    output: {"encoded_audio_all_layers": sequence of (B, T, D), "audio_samples": at 16 kHz, ...}. item: which sound of
    the batch. Raises InputError for anything else, with what was found and what to connect.
    """
    if not isinstance(output, Mapping):
        raise InputError(f"The audio encoder output is a {type(output).__name__}. {_CONNECT}")
    fields = cast(Mapping[str, Any], output)
    layers, samples = fields.get("encoded_audio_all_layers"), fields.get("audio_samples")
    tensors = tuple(cast(Sequence[Any], layers)) if isinstance(layers, (list, tuple)) else ()
    if not tensors or not all(isinstance(layer, Tensor) and layer.ndim == 3 for layer in tensors):
        raise InputError(f"The audio encoder output has no layers of features, only {sorted(fields)}. {_CONNECT}")
    shapes = {tuple(layer.shape) for layer in tensors}
    if len(shapes) != 1 or not isinstance(samples, int) or samples < 1:
        raise InputError(f"The audio encoder output has layers of {shapes} for {samples} samples. {_CONNECT}")
    batch, frames, _ = tensors[0].shape
    if not 0 <= item < batch:
        raise InputError(f"The audio encoder output holds {batch} sound(s), number {item + 1} is needed: encode all.")
    return EncoderFeatures(tuple(layer[item] for layer in tensors), samples, grid_of(frames, samples))


_CONNECT = "Connect the output of Audio Encoder Encode (AudioEncoderEncode), with wav2vec2 or whisper loaded."


def grid_of(frames: int, samples: int) -> FrameGrid:
    """The grid on which a sound of `samples` at 16 kHz has so many frames. Raises InputError when there is none."""
    if frames > 0:
        for grid in GRIDS.values():
            if grid.frames(samples) == frames:
                return grid
    known = ", ".join(f"{grid.frames(samples)} of {grid.name}" for grid in GRIDS.values())
    raise InputError(
        f"The audio encoder gave {frames} frames for {samples / RATE_HZ:.3f} s; known are {known}. "
        "Use a wav2vec2 or whisper encoder, and a sound of at least 0.03 s."
    )


def require_same_sound(features: EncoderFeatures, speech: Speech) -> None:
    """Raise InputError unless the features are of this sound and of all of it."""
    encoded_s, longest_s = features.samples / RATE_HZ, features.grid.longest_s
    if abs(encoded_s - speech.duration_s) > MAX_DIFFERENCE_S:
        raise InputError(
            f"The audio encoder heard {encoded_s:.2f} s, the sound has {speech.duration_s:.2f} s: connect the same "
            "AUDIO to Audio Encoder Encode and here."
        )
    if longest_s and encoded_s > longest_s + MAX_DIFFERENCE_S:
        raise InputError(
            f"The {features.grid.name} encoder hears the first {longest_s:.0f} s only, the sound has "
            f"{encoded_s:.1f} s. Connect the encoder itself to Load Speech Head instead of its output here: then the "
            "sound is heard piece by piece; or use wav2vec2."
        )
