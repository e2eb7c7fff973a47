"""The warping module W: moves a feature volume so that source keypoints come to lie on driving ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .appearance import CHANNELS, DEPTH
from .blocks import SameBlock, VolumeBlock
from .motion import KEYPOINTS

_COMPRESSED, _BASE, _MOST, _LEVELS = 4, 32, 1024, 5

#: Variance of the bell around each keypoint in the heat maps, in the unit cube.
_VARIANCE = 0.01


@dataclass(frozen=True, eq=False)
class Warped:
    """features: (B, 256, 64, 64) for the generator. deformation: (B, 16, 64, 64, 3), from where each voxel comes, in
    `grid_sample` units. occlusion: (B, 1, 64, 64) in [0, 1], 0 where the source shows nothing of it."""

    features: Tensor
    deformation: Tensor
    occlusion: Tensor


class Encoder(nn.Module):
    """The way down: every level half as high and wide, depth stays."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        widths = [inputs, *(min(_MOST, _BASE * 2 ** (level + 1)) for level in range(_LEVELS))]
        self.down_blocks = nn.ModuleList(VolumeBlock(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))

    def forward(self, volume: Tensor) -> list[Tensor]:
        levels = [volume]
        for block in self.down_blocks:
            levels.append(F.avg_pool3d(block(levels[-1]), (1, 2, 2)))
        return levels


class Decoder(nn.Module):
    """The way up, with the levels of the way down beside it."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        blocks: list[VolumeBlock] = []
        for level in reversed(range(_LEVELS)):
            below = min(_MOST, _BASE * 2 ** (level + 1)) * (1 if level == _LEVELS - 1 else 2)
            blocks.append(VolumeBlock(below, min(_MOST, _BASE * 2**level)))
        self.up_blocks = nn.ModuleList(blocks)
        width = _BASE + inputs
        self.conv = nn.Conv3d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm3d(width)

    def forward(self, levels: list[Tensor]) -> Tensor:
        *skips, volume = levels
        for block, skip in zip(self.up_blocks, reversed(skips), strict=True):
            volume = torch.cat([block(F.interpolate(volume, scale_factor=(1, 2, 2))), skip], 1)
        return F.relu(self.norm(self.conv(volume)))


class Hourglass(nn.Module):
    """A U-Net over volumes."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(inputs), Decoder(inputs)

    def forward(self, volume: Tensor) -> Tensor:
        return self.decoder(self.encoder(volume))


class DenseMotion(nn.Module):
    """One flow per keypoint and a still one for the background, mixed by learned masks."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (KEYPOINTS + 1) * (_COMPRESSED + 1)
        width = _BASE + inputs
        self.hourglass = Hourglass(inputs)
        self.mask = nn.Conv3d(width, KEYPOINTS + 1, 7, padding=3)
        self.compress = nn.Conv3d(CHANNELS, _COMPRESSED, 1)
        self.norm = nn.BatchNorm3d(_COMPRESSED)
        self.occlusion = nn.Conv2d(width * DEPTH, 1, 7, padding=3)

    def forward(self, volume: Tensor, driving: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Deformation and occlusion as in `Warped`. volume: (B, 32, 16, 64, 64). driving, source: (B, 21, 3)."""
        small = F.relu(self.norm(self.compress(volume)))
        grid = unit_grid(small)
        flows = torch.cat([grid.expand(len(small), 1, *grid.shape), grid + _spread(source - driving)], 1)
        repeated = small[:, None].expand(-1, KEYPOINTS + 1, -1, -1, -1, -1).flatten(0, 1)
        moved = F.grid_sample(repeated, flows.flatten(0, 1), align_corners=False).unflatten(0, flows.shape[:2])
        heat = F.pad(_bells(grid, driving) - _bells(grid, source), (0, 0, 0, 0, 0, 0, 1, 0))
        features = self.hourglass(torch.cat([heat[:, :, None], moved], 2).flatten(1, 2))
        share = self.mask(features).softmax(1)
        deformation = (flows * share[..., None]).sum(1)
        return deformation, self.occlusion(features.flatten(1, 2)).sigmoid()


class WarpingModule(nn.Module):
    """A feature volume (B, 32, 16, 64, 64) with driving and source keypoints (B, 21, 3) to `Warped`."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotion()
        self.third = SameBlock(CHANNELS * DEPTH, 256, slope=0.01)
        self.fourth = nn.Conv2d(256, 256, 1)

    def forward(self, volume: Tensor, driving: Tensor, source: Tensor) -> Warped:
        deformation, occlusion = self.dense_motion_network(volume, driving, source)
        moved = F.grid_sample(volume, deformation, align_corners=False).flatten(1, 2)
        return Warped(self.fourth(self.third(moved)) * occlusion, deformation, occlusion)


def unit_grid(volume: Tensor) -> Tensor:
    """(d, h, w, 3): x, y, z of every voxel of (..., d, h, w), -1 at the first and 1 at the last of each axis."""
    d, h, w = volume.shape[-3:]
    z, y, x = (torch.linspace(-1, 1, n, dtype=volume.dtype, device=volume.device) for n in (d, h, w))
    return torch.stack([part.expand(d, h, w) for part in (x, y[:, None], z[:, None, None])], -1)


def _spread(points: Tensor) -> Tensor:
    return points[:, :, None, None, None]


def _bells(grid: Tensor, points: Tensor) -> Tensor:
    """(B, 21, d, h, w): a bell around each point."""
    return torch.exp(-0.5 * ((grid - _spread(points)) ** 2).sum(-1) / _VARIANCE)
