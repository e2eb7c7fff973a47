"""Convolution blocks that several of the networks share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SameBlock(nn.Module):
    """Convolution, normalisation, activation; the size stays. slope: of the activation below zero."""

    def __init__(self, inputs: int, outputs: int, slope: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.slope = slope

    def forward(self, values: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(values)), self.slope)


class DownBlock(SameBlock):
    """The same, then half the size."""

    def forward(self, values: Tensor) -> Tensor:
        return F.avg_pool2d(super().forward(values), 2)


class ResidualBlock3d(nn.Module):
    """Two convolutions over a volume, each after normalisation and activation, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, volume: Tensor) -> Tensor:
        inner = self.conv1(F.relu(self.norm1(volume)))
        return volume + self.conv2(F.relu(self.norm2(inner)))


class VolumeBlock(nn.Module):
    """Convolution over a volume, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(outputs)

    def forward(self, volume: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(volume)))
