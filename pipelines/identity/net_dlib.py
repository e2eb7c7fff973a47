"""The 128-d identity network of dlib (King 2017, "dlib_face_recognition_resnet_model_v1", CC0), 150 px input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .net_layers import widen

INPUT_SIZE = 150
INPUT_MEAN_RGB = (122.782, 117.001, 104.298)
INPUT_DIVISOR = 256.0
#: Residual blocks of each level: (channels, is the first one a downscale, blocks).
LEVELS = ((32, False, 3), (64, True, 4), (128, True, 3), (256, True, 3), (256, True, 1))


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut; a downscale halves the size, the shortcut by averaging.

    The batch normalisations of the published network are folded into the convolutions. dlib pads a sum's smaller
    partner with zeros at the right, the bottom and in the channels.
    """

    def __init__(self, channels_in: int, channels: int, downscale: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, 2 if downscale else 1, 0 if downscale else 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.downscale = downscale

    def forward(self, values: Tensor) -> Tensor:
        change = self.second(self.first(values).relu())
        if self.downscale:
            values = widen(F.avg_pool2d(values, 2), change.shape[1])
            missing = values.shape[2] - change.shape[2]
            if missing:
                change = F.pad(change, (0, missing, 0, missing))
        return (values + change).relu()


class IdentityNetwork(nn.Module):
    """A vector of 128 numbers per face; vectors of one person lie within about 0.55 of each other (L2)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        blocks: list[nn.Module] = []
        channels_in = 32
        for channels, downscale, count in LEVELS:
            for index in range(count):
                blocks.append(ResidualBlock(channels_in, channels, downscale and index == 0))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(256, 128, bias=False)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(INPUT_MEAN_RGB)[None, :, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, 150, 150) RGB in [0, 1] to raw vectors (N, 128)."""
        values = (pictures * 255.0 - self.mean) / INPUT_DIVISOR
        values = F.max_pool2d(self.stem(values).relu(), 3, 2)
        return self.head(self.blocks(values).mean((2, 3)))
