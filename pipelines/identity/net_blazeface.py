"""BlazeFace detectors: short range (128 px), back camera (256 px) and full range (192 px).

Source: Bazarevsky et al. 2019, "BlazeFace"; weights of Google MediaPipe, Apache-2.0. Every anchor of a detector gives
a score and 16 numbers: box centre x, y, width, height and six points (image-left eye, image-right eye, nose tip,
mouth middle, image-left and image-right ear), in input pixels whose first one spans 0 to 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .net_layers import SameConv, depthwise, widen

REGRESSED = 16


class SingleBlock(nn.Module):
    """Depthwise then pointwise convolution beside a shortcut, then ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.depthwise = depthwise(channels_in, stride)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1)
        self.stride = stride

    def forward(self, values: Tensor) -> Tensor:
        change = self.pointwise(self.depthwise(values))
        shortcut = F.max_pool2d(values, 2) if self.stride == 2 else values
        return (change + widen(shortcut, change.shape[1])).relu()


class DoubleBlock(nn.Module):
    """Two depthwise and pointwise pairs through a narrow middle, beside a shortcut, then ReLU."""

    def __init__(self, channels_in: int, middle: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise_in = depthwise(channels_in, stride)
        self.reduce = nn.Conv2d(channels_in, middle, 1)
        self.depthwise_middle = depthwise(middle)
        self.expand = nn.Conv2d(middle, channels_out, 1)
        self.stride = stride

    def forward(self, values: Tensor) -> Tensor:
        change = self.reduce(self.depthwise_in(values)).relu()
        change = self.expand(self.depthwise_middle(change))
        shortcut = F.max_pool2d(values, 2) if self.stride == 2 else values
        return (change + widen(shortcut, change.shape[1])).relu()


class StridedBlock(nn.Module):
    """Depthwise convolution of stride 2, then pointwise, then ReLU, without a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = depthwise(channels, 2)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, values: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(values)).relu()


def _single_blocks(start: int, layout: tuple[tuple[int, int], ...]) -> nn.Sequential:
    """Blocks of (channels out, stride)."""
    blocks: list[nn.Module] = []
    for channels, stride in layout:
        blocks.append(SingleBlock(start, channels, stride))
        start = channels
    return nn.Sequential(*blocks)


class TwoLevelDetector(nn.Module):
    """A detector with 2 anchors in each of 16 × 16 cells and 6 in each of 8 × 8."""

    def __init__(self, size: int, fine: nn.Sequential, coarse: nn.Module, fine_channels: int) -> None:
        super().__init__()
        self.size = size
        self.stem = SameConv(3, 24, 5, 2)
        self.fine, self.coarse = fine, coarse
        self.fine_scores = nn.Conv2d(fine_channels, 2, 1)
        self.coarse_scores = nn.Conv2d(96, 6, 1)
        self.fine_boxes = nn.Conv2d(fine_channels, 2 * REGRESSED, 1)
        self.coarse_boxes = nn.Conv2d(96, 6 * REGRESSED, 1)
        levels = [anchor_offsets(cells, cells, size // cells).repeat_interleave(n, 0) for cells, n in ((16, 2), (8, 6))]
        self.anchors: Tensor
        self.register_buffer("anchors", torch.cat(levels), persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, size, size) in [-1, 1] to scores (N, A) as logits and (N, A, 16) px."""
        fine = self.fine(self.stem(pictures).relu())
        coarse = self.coarse(fine)
        scores = [_rows(self.fine_scores(fine), 1), _rows(self.coarse_scores(coarse), 1)]
        boxes = [_rows(self.fine_boxes(fine), REGRESSED), _rows(self.coarse_boxes(coarse), REGRESSED)]
        return torch.cat(scores, 1)[..., 0], torch.cat(boxes, 1) + self.anchors


def short_range() -> TwoLevelDetector:
    """For faces larger than about a fifth of the picture."""
    layout = ((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (64, 1), (72, 1), (80, 1), (88, 1))
    return TwoLevelDetector(128, _single_blocks(24, layout), _single_blocks(88, ((96, 2), *[(96, 1)] * 4)), 88)


def back_camera() -> TwoLevelDetector:
    """For middle distances."""
    layout = (*[(24, 1)] * 7, (24, 2), *[(24, 1)] * 7, (48, 2), *[(48, 1)] * 7, (96, 2), *[(96, 1)] * 7)
    return TwoLevelDetector(256, _single_blocks(24, layout), StridedBlock(96), 96)


class FullRangeDetector(nn.Module):
    """A detector with one anchor per cell at 1/4 of the input, with a feature pyramid.

    Trained on 192 px inputs, but without a fixed size: faces of 12 to about 130 px are found in inputs of any size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        self.quarter = nn.Sequential(
            DoubleBlock(32, 8, 32), DoubleBlock(32, 8, 32), DoubleBlock(32, 12, 48, 2),
            DoubleBlock(48, 12, 48), DoubleBlock(48, 16, 64),
        )  # fmt: skip
        self.eighth = nn.Sequential(
            DoubleBlock(64, 24, 96, 2), DoubleBlock(96, 32, 128), DoubleBlock(128, 32, 128),
        )  # fmt: skip
        self.sixteenth = nn.Sequential(
            DoubleBlock(128, 36, 144, 2), DoubleBlock(144, 48, 192), DoubleBlock(192, 64, 256),
        )  # fmt: skip
        self.thirty_second = nn.Sequential(DoubleBlock(256, 96, 384, 2), *[DoubleBlock(384, 96, 384) for _ in range(3)])
        self.up_sixteenth = UpBlock(384, 256, 96, 48, 2)
        self.up_eighth = UpBlock(96, 128, 64, 32, 2)
        self.up_quarter = UpBlock(64, 64, 48, 24, 1)
        self.scores = nn.Conv2d(48, 1, 1)
        self.boxes = nn.Conv2d(48, REGRESSED, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) in [-1, 1], sides multiples of 32, to scores (N, A) as logits and (N, A, 16) px."""
        quarter = self.quarter(self.stem(pictures).relu())
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        features = self.up_sixteenth(self.thirty_second(sixteenth), sixteenth)
        features = self.up_quarter(self.up_eighth(features, eighth), quarter)
        anchors = anchor_offsets(features.shape[2], features.shape[3], 4).to(features)
        return _rows(self.scores(features), 1)[..., 0], _rows(self.boxes(features), REGRESSED) + anchors


class UpBlock(nn.Module):
    """One step of the feature pyramid: the coarser level enlarged, added to the finer one, then refined."""

    def __init__(self, coarse: int, fine: int, channels: int, middle: int, depth: int) -> None:
        super().__init__()
        self.from_coarse = nn.Conv2d(coarse, channels, 1)
        self.from_fine = nn.Conv2d(fine, channels, 1)
        self.refine = nn.Sequential(*[DoubleBlock(channels, middle, channels) for _ in range(depth)])

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        enlarged = F.interpolate(self.from_coarse(coarse).relu(), scale_factor=2, mode="bilinear")
        return self.refine(self.from_fine(fine).relu() + enlarged)


def anchor_offsets(rows: int, columns: int, stride: int) -> Tensor:
    """(rows * columns, 16): what turns numbers relative to each cell's centre into input px; 0 for width and height."""
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    centres = torch.stack([x, y], -1).reshape(-1, 2) * stride
    offsets = centres.repeat(1, REGRESSED // 2)
    offsets[:, 2:4] = 0
    return offsets


def _rows(values: Tensor, width: int) -> Tensor:
    """(N, anchors * width, H, W) to (N, H * W * anchors, width)."""
    return values.permute(0, 2, 3, 1).reshape(len(values), -1, width)
