"""The 478-point face landmarker with irises (MediaPipe Face Landmarker v2, Apache-2.0), 256 px input."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .net_layers import SameConv, depthwise, widen

INPUT_SIZE = 256
POINTS = 478


class Bottleneck(nn.Module):
    """Pointwise, depthwise and pointwise convolution beside a shortcut."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.activation_in = nn.PReLU(middle)
        self.depthwise = depthwise(middle)
        self.expand = nn.Conv2d(middle, channels, 1)
        self.activation_out = nn.PReLU(channels)

    def forward(self, values: Tensor) -> Tensor:
        change = self.expand(self.depthwise(self.activation_in(self.reduce(values))))
        return self.activation_out(values + change)


class Downscale(nn.Module):
    """A bottleneck that halves the size; the shortcut is pooled and widened with zeros."""

    def __init__(self, channels: int, middle: int, channels_out: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, middle, 2, 2)
        self.activation_in = nn.PReLU(middle)
        self.depthwise = depthwise(middle)
        self.expand = nn.Conv2d(middle, channels_out, 1)
        self.activation_out = nn.PReLU(channels_out)

    def forward(self, values: Tensor) -> Tensor:
        change = self.expand(self.depthwise(self.activation_in(self.reduce(values))))
        return self.activation_out(widen(F.max_pool2d(values, 2), change.shape[1]) + change)


class LandmarkNetwork(nn.Module):
    """Points of one face and how sure it is that there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv(3, 16, 3, 2), nn.PReLU(16))
        layers: list[nn.Module] = [Bottleneck(16, 8) for _ in range(4)]
        stages = ((16, 16, 32), (32, 32, 64), (64, 64, 128), (128, 64, 128), (128, 64, 128), (128, 64, 128))
        for channels, middle, channels_out in stages:
            layers.append(Downscale(channels, middle, channels_out))
            layers.extend(Bottleneck(channels_out, channels_out // 2) for _ in range(4))
        self.body = nn.Sequential(*layers)
        self.tongue = nn.Conv2d(128, 1, 2)
        self.presence = nn.Conv2d(128, 1, 2)
        self.points = nn.Conv2d(128, POINTS * 3, 2)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 256, 256) in [0, 1] to points (N, 478, 3) in input px and presence (N,) as a logit."""
        features = self.body(self.stem(pictures))
        return self.points(features).reshape(-1, POINTS, 3), self.presence(features).reshape(-1)
