"""52 ARKit blendshapes from 146 landmarks: an MLP mixer (MediaPipe's GHUM marker poser, Apache-2.0)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Names of the activations, in the network's and `Face.blendshapes`' order.
BLENDSHAPE_NAMES = tuple(
    """
    _neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
    eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft
    eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft
    mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight
    mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft
    mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft
    noseSneerRight
    """.split()
)

#: Rows of the 478 landmarks the network looks at, in its order.
# fmt: off
INPUT_LANDMARKS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78,
    80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150,
    152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197,
    234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308,
    310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377,
    378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466,
    468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)
# fmt: on

TOKENS, WIDTH = 96, 64
NORM_EPSILON = 1.0132789611816406e-06  # as stored


class ScaleNorm(nn.Module):
    """Layer normalisation over the last axis with a gain and no offset."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, values: Tensor) -> Tensor:
        return F.layer_norm(values, self.weight.shape, self.weight, None, NORM_EPSILON)


class ExtraToken(nn.Module):
    """Puts one learned token in front."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.weight.expand(len(tokens), -1, -1), tokens], 1)


class MixerBlock(nn.Module):
    """Mixes tokens, then channels; each behind a normalisation and beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_tokens = ScaleNorm(WIDTH)
        self.tokens_in = nn.Linear(TOKENS + 1, 384)
        self.tokens_out = nn.Linear(384, TOKENS + 1)
        self.norm_channels = ScaleNorm(WIDTH)
        self.channels_in = nn.Linear(WIDTH, 256)
        self.channels_out = nn.Linear(256, WIDTH)

    def forward(self, values: Tensor) -> Tensor:
        across = self.norm_tokens(values).transpose(1, 2)
        values = values + self.tokens_out(self.tokens_in(across).relu()).transpose(1, 2)
        return values + self.channels_out(self.channels_in(self.norm_channels(values)).relu())


class BlendshapeNetwork(nn.Module):
    """Blendshape activations of one face."""

    def __init__(self) -> None:
        super().__init__()
        self.landmarks_in = nn.Linear(len(INPUT_LANDMARKS), TOKENS)
        self.point_in = nn.Linear(2, WIDTH)
        self.extra_token = ExtraToken()
        self.blocks = nn.Sequential(*[MixerBlock() for _ in range(4)])
        self.head = nn.Linear(WIDTH, len(BLENDSHAPE_NAMES))

    def forward(self, landmarks: Tensor) -> Tensor:
        """(N, 478, 2 or more) px, turned as in the picture, any scale and place, to (N, 52) in [0, 1]."""
        points = landmarks[:, list(INPUT_LANDMARKS), :2]
        points = points - points.mean(1, keepdim=True)
        points = 0.5 * points / points.norm(dim=2, keepdim=True).mean(1, keepdim=True)
        tokens = self.point_in(self.landmarks_in(points.transpose(1, 2)).transpose(1, 2))
        return self.head(self.blocks(self.extra_token(tokens))[:, 0]).sigmoid()
