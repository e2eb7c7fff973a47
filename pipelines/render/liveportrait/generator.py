"""The generator G: warped features to a picture, with spatially adaptive normalisation (SPADE, Park et al. 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_HIDDEN = 128
_SLOPE = 0.2


class AdaptiveNorm(nn.Module):
    """Instance normalisation whose gain and offset are made from the features at each place."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(features, _HIDDEN, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(_HIDDEN, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(_HIDDEN, channels, 3, padding=1)

    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        shared = self.mlp_shared(F.interpolate(features, size=values.shape[2:]))
        return F.instance_norm(values) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


class AdaptiveBlock(nn.Module):
    """Two convolutions after adaptive normalisation; the way past them is learned where the width changes.

    The published weights are spectrally normalised; `files` divides them by their norm when it loads them.
    """

    def __init__(self, inputs: int, outputs: int, features: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.conv_1 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.norm_0 = AdaptiveNorm(inputs, features)
        self.norm_1 = AdaptiveNorm(middle, features)
        self.widens = inputs != outputs
        if self.widens:
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.norm_s = AdaptiveNorm(inputs, features)

    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        past = self.conv_s(self.norm_s(values, features)) if self.widens else values
        inner = self.conv_0(F.leaky_relu(self.norm_0(values, features), _SLOPE))
        return past + self.conv_1(F.leaky_relu(self.norm_1(inner, features), _SLOPE))


class Generator(nn.Module):
    """(B, 256, 64, 64) to pictures (B, 3, 512, 512) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(256, 512, 3, padding=1)
        self.G_middle_0 = AdaptiveBlock(512, 512, 256)
        self.G_middle_1 = AdaptiveBlock(512, 512, 256)
        self.G_middle_2 = AdaptiveBlock(512, 512, 256)
        self.G_middle_3 = AdaptiveBlock(512, 512, 256)
        self.G_middle_4 = AdaptiveBlock(512, 512, 256)
        self.G_middle_5 = AdaptiveBlock(512, 512, 256)
        self.up_0 = AdaptiveBlock(512, 256, 256)
        self.up_1 = AdaptiveBlock(256, 64, 256)
        self.conv_img = nn.Sequential(nn.Conv2d(64, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, features: Tensor) -> Tensor:
        values = self.fc(features)
        middle = (self.G_middle_0, self.G_middle_1, self.G_middle_2, self.G_middle_3, self.G_middle_4, self.G_middle_5)
        for block in middle:
            values = block(values, features)
        for block in (self.up_0, self.up_1):
            values = block(F.interpolate(values, scale_factor=2.0), features)
        return self.conv_img(F.leaky_relu(values, _SLOPE)).sigmoid()
