"""The motion extractor M: a face to 21 implicit keypoints, their expression, and the head's pose."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KEYPOINTS, ANGLE_BINS = 21, 66
_DEPTHS, _WIDTHS = (3, 3, 9, 3), (96, 192, 384, 768)
_EPSILON = 1e-6

#: An angle is the mean bin: this many degrees each, the first at minus the offset.
_BIN_DEGREES, _BIN_OFFSET = 3.0, 97.5


@dataclass(frozen=True, eq=False)
class ExtractedMotion:
    """What M reads from B faces.

    keypoints, expression: (B, 21, 3) in the unit cube, x right, y down. rotation: (B, 3) pitch, yaw, roll in degrees.
    translation: (B, 3). scale: (B, 1). bins: (B, 3, 66), the raw scores the angles come from.
    """

    keypoints: Tensor
    expression: Tensor
    rotation: Tensor
    translation: Tensor
    scale: Tensor
    bins: Tensor

    def placed(self) -> Tensor:
        """(B, 21, 3): the keypoints in the picture, scale * (keypoints @ R + expression) + translation in x and y."""
        return place_keypoints(self.keypoints, self.expression, self.rotation, self.translation, self.scale)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, h, w)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResponseNorm(nn.Module):
    """Global response normalisation of (B, h, w, C) (Woo et al. 2023)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, width))

    def forward(self, values: Tensor) -> Tensor:
        energy = torch.linalg.vector_norm(values, dim=(1, 2), keepdim=True)
        share = energy / (energy.mean(-1, keepdim=True) + _EPSILON)
        return self.gamma * (values * share) + self.beta + values


class ConvNextBlock(nn.Module):
    """Depthwise convolution and a widening MLP, added to the input (ConvNeXt V2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.grn = ResponseNorm(4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)

    def forward(self, values: Tensor) -> Tensor:
        inner = self.norm(self.dwconv(values).permute(0, 2, 3, 1))
        inner = self.pwconv2(self.grn(F.gelu(self.pwconv1(inner))))
        return values + inner.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """ConvNeXt V2 tiny with one head per quantity."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, _WIDTHS[0], 4, stride=4), ChannelNorm(_WIDTHS[0], eps=_EPSILON))
        steps = [
            nn.Sequential(ChannelNorm(narrow, eps=_EPSILON), nn.Conv2d(narrow, wide, 2, stride=2))
            for narrow, wide in zip(_WIDTHS[:-1], _WIDTHS[1:], strict=True)
        ]
        self.downsample_layers = nn.ModuleList([stem, *steps])
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNextBlock(width) for _ in range(depth)))
            for width, depth in zip(_WIDTHS, _DEPTHS, strict=True)
        )
        width = _WIDTHS[-1]
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.fc_kp = nn.Linear(width, 3 * KEYPOINTS)
        self.fc_scale = nn.Linear(width, 1)
        self.fc_pitch = nn.Linear(width, ANGLE_BINS)
        self.fc_yaw = nn.Linear(width, ANGLE_BINS)
        self.fc_roll = nn.Linear(width, ANGLE_BINS)
        self.fc_t = nn.Linear(width, 3)
        self.fc_exp = nn.Linear(width, 3 * KEYPOINTS)

    def forward(self, values: Tensor) -> Tensor:
        for step, stage in zip(self.downsample_layers, self.stages, strict=True):
            values = stage(step(values))
        return self.norm(values.mean((-2, -1)))


class MotionExtractor(nn.Module):
    """(B, 3, 256, 256) in [0, 1] to `ExtractedMotion`."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = ConvNext()

    def forward(self, pictures: Tensor) -> ExtractedMotion:
        heads, features = self.detector, self.detector(pictures)
        bins = torch.stack([heads.fc_pitch(features), heads.fc_yaw(features), heads.fc_roll(features)], 1)
        return ExtractedMotion(
            keypoints=heads.fc_kp(features).unflatten(1, (KEYPOINTS, 3)),
            expression=heads.fc_exp(features).unflatten(1, (KEYPOINTS, 3)),
            rotation=degrees_from_bins(bins),
            translation=heads.fc_t(features),
            scale=heads.fc_scale(features),
            bins=bins,
        )


def degrees_from_bins(scores: Tensor) -> Tensor:
    """Scores (..., 66) of angle bins to degrees (...): the mean bin under the softmax."""
    index = torch.arange(ANGLE_BINS, dtype=scores.dtype, device=scores.device)
    return (scores.softmax(-1) * index).sum(-1) * _BIN_DEGREES - _BIN_OFFSET


def rotation_matrix(degrees: Tensor) -> Tensor:
    """(B, 3) pitch, yaw, roll in degrees to (B, 3, 3) that rows are multiplied with from the right.

    Concretely (Rz(roll) Ry(yaw) Rx(pitch)) transposed.
    """
    (cx, cy, cz), (sx, sy, sz) = torch.deg2rad(degrees).cos().T, torch.deg2rad(degrees).sin().T
    zero, one = torch.zeros_like(cx), torch.ones_like(cx)

    def matrix(*values: Tensor) -> Tensor:
        return torch.stack(values, -1).unflatten(-1, (3, 3))

    about_x = matrix(one, zero, zero, zero, cx, -sx, zero, sx, cx)
    about_y = matrix(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    about_z = matrix(cz, -sz, zero, sz, cz, zero, zero, zero, one)
    return (about_z @ about_y @ about_x).transpose(-1, -2)


def place_keypoints(
    keypoints: Tensor, expression: Tensor, degrees: Tensor, translation: Tensor, scale: Tensor
) -> Tensor:
    """(B, 21, 3): scale * (keypoints @ R + expression) + translation, of which depth is left out."""
    placed = scale[..., None] * (keypoints @ rotation_matrix(degrees) + expression)
    flat = translation * torch.tensor([1.0, 1.0, 0.0], dtype=translation.dtype, device=translation.device)
    return placed + flat[:, None]
