"""The appearance extractor F: a portrait to a volume of features."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import DownBlock, ResidualBlock3d, SameBlock

#: Sides of the networks' input and output pictures in px.
INPUT_SIZE, OUTPUT_SIZE = 256, 512

#: Of the feature volume: channels and depth; it is a quarter as high and wide as the input.
CHANNELS, DEPTH = 32, 16


class AppearanceExtractor(nn.Module):
    """(B, 3, 256, 256) in [0, 1] to (B, 32, 16, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = SameBlock(3, 64)
        self.down_blocks = nn.ModuleList([DownBlock(64, 128), DownBlock(128, 256)])
        self.second = nn.Conv2d(256, CHANNELS * DEPTH, 1)
        self.resblocks_3d = nn.Sequential()
        for index in range(6):
            self.resblocks_3d.add_module(f"3dr{index}", ResidualBlock3d(CHANNELS))

    def forward(self, pictures: Tensor) -> Tensor:
        values = self.first(pictures)
        for block in self.down_blocks:
            values = block(values)
        values = self.second(values)
        return self.resblocks_3d(values.unflatten(1, (CHANNELS, DEPTH)))
