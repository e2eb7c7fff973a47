"""Whisper's encoder as a source of features: what every layer of it holds, 50 times a second.

Sources: OpenAI whisper (MIT), audio.py and model.py; the layout of its conversions is that of transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..audio.speech import RATE_HZ
from ..errors import WrongWeightsError
from ..face import FloatArray
from ..files.checkpoint import load_into, read_checkpoint

#: The window that the encoder takes, in samples, steps of the spectrogram and features.
WINDOW_SAMPLES, WINDOW_STEPS, WINDOW_FEATURES = 30 * RATE_HZ, 3000, 1500
FEATURES_HZ = WINDOW_FEATURES // 30
FFT, HOP = 400, 160
HEAD_WIDTH = 64

#: OpenAI's name of a part → its name in conversions.
_OPENAI_NAMES = (
    (r"^positional_embedding$", "embed_positions.weight"),
    (r"^blocks\.", "layers."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.attn\.query\.", ".self_attn.q_proj."),
    (r"\.attn\.key\.", ".self_attn.k_proj."),
    (r"\.attn\.value\.", ".self_attn.v_proj."),
    (r"\.attn\.out\.", ".self_attn.out_proj."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"^ln_post\.", "layer_norm."),
)


@cache
def mel_filters(bands: int) -> FloatArray:
    """(bands, 201): triangles over the bins of the spectrum, evenly spaced in Slaney's mels, of equal area."""
    edges_hz = _hz_of(np.linspace(0, _mel_of(RATE_HZ / 2), bands + 2))
    bins_hz = np.linspace(0, RATE_HZ / 2, FFT // 2 + 1)
    rising = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falling = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges_hz[2:] - edges_hz[:-2]))[:, None]).astype(np.float32)


def _mel_of(hz: float) -> float:
    """Slaney's scale: linear below 1 kHz, logarithmic above."""
    return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) * 27 / np.log(6.4)


def _hz_of(mels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))


def log_mel(samples: Tensor, bands: int) -> Tensor:
    """(bands, 3000) of up to 30 s of sound (N,) at 16 kHz; what is missing is silence.

    Concretely m = log10 of the energy in each band, at least 1e-10; max(m, max m - 8) / 4 + 1.
    """
    padded = F.pad(samples[:WINDOW_SAMPLES], (0, max(WINDOW_SAMPLES - len(samples), 0)))
    window = torch.hann_window(FFT, device=samples.device)
    power = torch.stft(padded, FFT, HOP, window=window, return_complex=True)[:, :-1].abs() ** 2
    energy = torch.from_numpy(mel_filters(bands)).to(power) @ power
    loudness = energy.clamp_min(1e-10).log10()
    return torch.maximum(loudness, loudness.max() - 8) / 4 + 1


class _SelfAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(3))
        self.k_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.self_attn = _SelfAttention(width)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class WhisperEncoder(nn.Module):
    """Spectrograms (B, bands, 3000) → what enters each layer and, normalised, leaves the last: (B, 1500, layers + 1,
    width)."""

    def __init__(self, bands: int, width: int, inner: int, layers: int) -> None:
        super().__init__()
        self.bands = bands
        self.conv1 = nn.Conv1d(bands, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(WINDOW_FEATURES, width)
        self.layers = nn.ModuleList(_Layer(width, inner) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, mels: Tensor) -> Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(mels)))).transpose(1, 2) + self.embed_positions.weight
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return torch.stack([*states[:-1], self.layer_norm(states[-1])], 2)

    def hear(self, samples: Tensor) -> Tensor:
        """(1500, layers + 1, width) of up to 30 s of sound (N,) at 16 kHz."""
        return self(log_mel(samples, self.bands).to(self.conv1.weight.dtype)[None])[0]


def build_whisper(state: Mapping[str, Tensor], what: str, width: int, layers: int) -> WhisperEncoder:
    """The encoder in a file of a whole Whisper model, as OpenAI or as conversions name its parts.

    what: the file, for messages. width, layers: those that are needed; raises WrongWeightsError for another model.
    """
    own = _encoder_part(state)
    found = {int(key.split(".")[1]) for key in own if key.startswith("layers.")}
    got = tuple(own["conv1.weight"].shape[:2]) if "conv1.weight" in own else (0, 0)
    if got[0] != width or len(found) != layers:
        raise WrongWeightsError(
            f"{what} holds no Whisper encoder of {layers} layers with {width} numbers each (found {len(found)} and "
            f"{got[0]}): another size of Whisper gives features that the lips were not trained with. Take whisper-tiny."
        )
    if "layers.0.fc1.weight" not in own:
        raise WrongWeightsError(f"{what} lacks layers.0.fc1.weight: it is incomplete. Download it again.")
    with torch.device("meta"):
        encoder = WhisperEncoder(got[1], width, own["layers.0.fc1.weight"].shape[0], layers)
    load_into(encoder, own, what, "or take whisper-tiny")
    return encoder


def _encoder_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors by the names of conversions, whatever stands before `encoder.`."""
    own: dict[str, Tensor] = {}
    for key, tensor in state.items():
        before, found, name = key.partition("encoder.")
        if not found or before not in ("", "model.", "model_state_dict."):
            continue
        for pattern, replacement in _OPENAI_NAMES:
            name = re.sub(pattern, replacement, name)
        own[name] = tensor.float()
    return own


def read_whisper_tiny(path: Path) -> WhisperEncoder:
    """whisper-tiny's encoder in a file. Raises as `build_whisper` and `read_checkpoint`."""
    return build_whisper(read_checkpoint(path).tensors, path.name, width=384, layers=4)
