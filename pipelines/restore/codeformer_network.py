"""CodeFormer's network in the published key layout: an encoder, a transformer that looks codes up, and a decoder.

Sizes below are the published ones. Concretely (Zhou et al. 2022, sections 3.2 and 3.3): the encoder's 16 x 16 features
ask a transformer for code book entries; the entries, given the features' mean and spread per channel, are decoded, and
at four scales the encoder's features scale and shift the decoder's, as far as the fidelity says.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Channels at 512, 256 ... 16 px in units of the width; the smallest of these scales has attention.
_MULTIPLES = (1, 2, 2, 4, 4, 8)
_SMALLEST = len(_MULTIPLES) - 1
#: Scales (numbers in `_MULTIPLES`) at which the encoder's features lead the decoder, and their names in the file.
_LED = {4: "32", 3: "64", 2: "128", 1: "256"}


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


class _Residual(nn.Module):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inner), nn.Conv2d(inner, outer, 3, padding=1)
        self.norm2, self.conv2 = _norm(outer), nn.Conv2d(outer, outer, 3, padding=1)
        if inner != outer:
            self.conv_out = nn.Conv2d(inner, outer, 1)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.conv1(F.silu(self.norm1(x)))
        inside = self.conv2(F.silu(self.norm2(inside)))
        return inside + (self.conv_out(x) if hasattr(self, "conv_out") else x)


class _Attention(nn.Module):
    """One head over all places of the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        q, k, v = (layer(normed).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v))
        found = F.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.proj_out(found.transpose(1, 2).reshape(x.shape))


class _Halve(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class _Double(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def _middle(channels: int) -> list[nn.Module]:
    return [_Residual(channels, channels), _Attention(channels), _Residual(channels, channels)]


class _Ladder(nn.Module):
    """Layers in a row. notes: the layers whose results meet those of the other ladder, and the name of their scale."""

    def __init__(self, layers: list[nn.Module], notes: dict[int, str]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(layers)
        self.notes = notes


def _encoder(width: int, codes: int) -> _Ladder:
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    notes: dict[int, str] = {}
    channels = width
    for scale, multiple in enumerate(_MULTIPLES):
        for _ in range(2):
            layers.append(_Residual(channels, width * multiple))
            channels = width * multiple
            if scale == _SMALLEST:
                layers.append(_Attention(channels))
        if scale in _LED:
            notes[len(layers) - 1] = _LED[scale]
        if scale < _SMALLEST:
            layers.append(_Halve(channels))
    layers += [*_middle(channels), _norm(channels), nn.Conv2d(channels, codes, 3, padding=1)]
    return _Ladder(layers, notes)


def _decoder(width: int, codes: int) -> _Ladder:
    channels = width * _MULTIPLES[-1]
    layers: list[nn.Module] = [nn.Conv2d(codes, channels, 3, padding=1), *_middle(channels)]
    notes: dict[int, str] = {}
    for scale, multiple in reversed(list(enumerate(_MULTIPLES))):
        for part in range(2):
            layers.append(_Residual(channels, width * multiple))
            channels = width * multiple
            if part == 0 and scale in _LED:
                notes[len(layers) - 1] = _LED[scale]
            if scale == _SMALLEST:
                layers.append(_Attention(channels))
        if scale > 0:
            layers.append(_Double(channels))
    layers += [_norm(channels), nn.Conv2d(channels, 3, 3, padding=1)]
    return _Ladder(layers, notes)


class _Lead(nn.Module):
    """The encoder's features scale and shift the decoder's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode_enc = _Residual(2 * channels, channels)
        self.scale, self.shift = (
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(channels, channels, 3, padding=1),
            )
            for _ in range(2)
        )

    def forward(self, encoded: Tensor, decoded: Tensor, fidelity: float) -> Tensor:
        joint = self.encode_enc(torch.cat([encoded, decoded], 1))
        return decoded + fidelity * (decoded * self.scale(joint) + self.shift(joint))


class _Layer(nn.Module):
    """A transformer layer that normalises first; places are added to queries and keys only."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads)
        self.linear1, self.linear2 = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        normed = self.norm1(x)
        placed = normed + places
        x = x + self.self_attn(placed, placed, normed, need_weights=False)[0]
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class _CodeBook(nn.Module):
    def __init__(self, entries: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(entries, channels)


class CodeFormerNetwork(nn.Module):
    """See the head of this file; smaller sizes are for tests. places: of the 16 x 16 features, for 512 px crops."""

    def __init__(
        self, width: int = 64, codes: int = 256, entries: int = 1024, channels: int = 512, heads: int = 8,
        layers: int = 9, places: int = 256,
    ) -> None:  # fmt: skip
        super().__init__()
        self.position_emb = nn.Parameter(torch.zeros(places, channels))
        self.feat_emb = nn.Linear(codes, channels)
        self.ft_layers = nn.Sequential(*[_Layer(channels, heads) for _ in range(layers)])
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, entries, bias=False))
        self.encoder, self.generator = _encoder(width, codes), _decoder(width, codes)
        self.quantize = _CodeBook(entries, codes)
        self.fuse_convs_dict = nn.ModuleDict({name: _Lead(width * _MULTIPLES[at]) for at, name in _LED.items()})

    def forward(self, crops: Tensor, fidelity: float) -> Tensor:
        """Restored crops (N, 3, 512, 512) of (N, 3, 512, 512), both in [-1, 1]; fidelity in [0, 1]."""
        x, encoded = crops, dict[str, Tensor]()
        for number, block in enumerate(self.encoder.blocks):
            x = block(x)
            if number in self.encoder.notes:
                encoded[self.encoder.notes[number]] = x
        x = _with_statistics_of(self._looked_up(x), x)
        for number, block in enumerate(self.generator.blocks):
            x = block(x)
            scale = self.generator.notes.get(number)
            if scale is not None and fidelity > 0:
                x = cast(Tensor, self.fuse_convs_dict[scale](encoded[scale], x, fidelity))
        return x

    def _looked_up(self, features: Tensor) -> Tensor:
        """The code book's entry for every place (N, codes, 16, 16)."""
        x = self.feat_emb(features.flatten(2).permute(2, 0, 1))
        places = self.position_emb[:, None]
        for layer in self.ft_layers:
            x = layer(x, places)
        chosen = self.idx_pred_layer(x).argmax(-1).T
        return self.quantize.embedding(chosen).transpose(1, 2).reshape(features.shape)


def _with_statistics_of(content: Tensor, style: Tensor) -> Tensor:
    """Content with the mean and standard deviation that style has per channel (Huang and Belongie 2017, eq. 8)."""
    spread, mean = torch.var_mean(content, (2, 3), keepdim=True)
    wanted_spread, wanted_mean = torch.var_mean(style, (2, 3), keepdim=True)
    return (content - mean) / (spread + 1e-5).sqrt() * (wanted_spread + 1e-5).sqrt() + wanted_mean
