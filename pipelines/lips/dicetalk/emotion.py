"""The emotion bank: what a prior of 256 numbers means to the denoising network, as tokens.

The prior asks, entries learned over many people answer, so that the tokens carry no identity. Source: DICE-Talk
(Disentangle Identity, Cooperate Emotion), section 3; the layout is that of its `emo_model.pth` and `audio_linear.pth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from ...files.checkpoint import read_checkpoint
from .built import built

PRIOR = 256
HEADS = 8
#: How much of the loss draws a vector to its entry instead of the entry to it.
COMMITMENT = 0.25


class TokenProjection(nn.Module):
    """Vectors (..., inputs) → (..., tokens, width): three linear layers with ReLU between them, then a LayerNorm."""

    def __init__(self, inputs: int, inner: int, tokens: int, width: int) -> None:
        super().__init__()
        self.tokens, self.width = tokens, width
        self.proj1, self.proj2 = nn.Linear(inputs, inner), nn.Linear(inner, inner)
        self.proj3 = nn.Linear(inner, tokens * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.proj3(F.relu(self.proj2(F.relu(self.proj1(x)))))
        return self.norm(y.unflatten(-1, (self.tokens, self.width)))


def _projection(state: Mapping[str, Tensor], prefix: str = "") -> TokenProjection:
    """An empty projection of the sizes of a file's tensors."""
    inner, inputs = state[f"{prefix}proj1.weight"].shape
    width = len(state[f"{prefix}norm.weight"])
    return TokenProjection(inputs, inner, state[f"{prefix}proj3.weight"].shape[0] // width, width)


@dataclass(frozen=True, eq=False)
class Nearest:
    """Entries of the bank nearest to priors. entries: (N, width), the gradient passes to the prior as if they were it.
    index: (N,) their numbers. loss: of the bank and of the layer before it."""

    entries: Tensor
    index: Tensor
    loss: Tensor


class EmotionBank(nn.Module):
    """Learned entries (codebook) and a layer that brings a prior among them."""

    def __init__(self, entries: int, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(PRIOR, width)
        self.codebook = nn.Embedding(entries, width)

    def nearest(self, priors: Tensor) -> Nearest:
        """priors: (N, 256). The nearest by squared distance; straight-through: z + (entry - z) without its gradient."""
        z, entries = self.fc(priors), self.codebook.weight
        distance = z.square().sum(1, keepdim=True) + entries.square().sum(1) - 2 * z @ entries.T
        index = distance.argmin(1)
        found = entries[index]
        loss = F.mse_loss(found, z.detach()) + COMMITMENT * F.mse_loss(found.detach(), z)
        return Nearest(z + (found - z).detach(), index, loss)


class _Reading(nn.Module):
    """Attention without an output layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc_q, self.fc_k, self.fc_v = (nn.Linear(width, width) for _ in range(3))

    def forward(self, queries: Tensor, read: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for layer, x in ((self.fc_q, queries), (self.fc_k, read), (self.fc_v, read))
        )
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class EmotionClassifier(nn.Module):
    """Features (B, C, h, w) of the denoising network → scores of 22 emotions; training only."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(inputs, 512), nn.Linear(512, 256), nn.Linear(256, classes)

    def forward(self, features: Tensor) -> Tensor:
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(features.mean((2, 3)))))))


class EmotionModel(nn.Module):
    """Priors → emotion tokens, under the published names."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        entries, width = state["codebook.codebook.weight"].shape
        self.emo_linear = _projection(state, "emo_linear.")
        self.kv_tokens_linear = _projection(state, "kv_tokens_linear.")
        self.codebook = EmotionBank(entries, width)
        self.attention = _Reading(width)
        self.classifier = EmotionClassifier(
            state["classifier.fc1.weight"].shape[1], state["classifier.fc3.weight"].shape[0]
        )

    def forward(self, priors: Tensor, retrieval: bool = False, masked: Tensor | None = None) -> Tensor:
        """Priors (N, 256) → tokens (N, T, width).

        retrieval: read only the nearest entry instead of the whole bank, which is the published default. masked: (N,)
        bool, where the prior and the entry found for it count as zero. A prior of zeros gives the unconditional side.
        """
        if masked is not None:
            priors = priors.masked_fill(masked[:, None], 0) if not retrieval else priors
        if not retrieval:
            read = self.kv_tokens_linear(self.codebook.codebook.weight).flatten(0, 1)[None]
            return self.attention(self.emo_linear(priors), read.expand(len(priors), -1, -1))
        found = self.codebook.nearest(priors).entries
        if masked is not None:
            priors, found = priors.masked_fill(masked[:, None], 0), found.masked_fill(masked[:, None], 0)
        return self.attention(self.emo_linear(priors), self.kv_tokens_linear(found))

    def emotion(self, prior: Tensor, retrieval: bool = False) -> tuple[Tensor, Tensor]:
        """(tokens, unconditional tokens), (1, T, width) each, of one prior (256,). retrieval: as of `forward`.

        Raises InputError for another shape.
        """
        if tuple(prior.shape) != (PRIOR,):
            raise InputError(f"An emotion prior has {PRIOR} numbers, this has the shape {tuple(prior.shape)}.")
        both = self(torch.stack([prior, torch.zeros_like(prior)]), retrieval)
        return both[:1], both[1:]


def build_emotion_model(state: Mapping[str, Tensor], what: str) -> EmotionModel:
    """The model of a file's tensors. what: the file. Raises WrongWeightsError for tensors that do not fit."""
    return built(lambda: EmotionModel(state), state, what, "emotion model")


def build_sound_projection(state: Mapping[str, Tensor], what: str) -> TokenProjection:
    """Windows of sound (N, 10 · 5 · 384) → tokens, from a file's tensors. Raises as `build_emotion_model`."""
    return built(lambda: _projection(state), state, what, "audio_linear")


def read_emotion_model(path: Path) -> EmotionModel:
    """`emo_model.pth`. Raises as `build_emotion_model` and `read_checkpoint`."""
    return build_emotion_model(read_checkpoint(path).tensors, path.name)


def read_sound_projection(path: Path) -> TokenProjection:
    """`audio_linear.pth`. Raises as `build_sound_projection` and `read_checkpoint`."""
    return build_sound_projection(read_checkpoint(path).tensors, path.name)
