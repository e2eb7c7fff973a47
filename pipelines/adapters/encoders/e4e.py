"""e4e, the inversion encoder that the W+ Adapter reads faces with: a face as 18 rows of a StyleGAN code.

An IR-SE-50 whose three depths feed one small head per row; row 0 is the whole code, the others add to it. The decoder
in the published file is left alone. Sources: Designing an Encoder for StyleGAN Image Manipulation (Tov et al. 2021);
encoder4editing, models/encoders/psp_encoders.py and helpers.py; names of `e4e_ffhq_encode.pt`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import WrongWeightsError
from ..checkpoint import Checkpoint, listing, load_into

#: Channels in, channels out and number of units of the four stages of IR-SE-50; the first unit halves the size.
STAGES = ((64, 64, 3), (64, 128, 4), (128, 256, 14), (256, 512, 3))
#: After these units the features go to the fine, the middle and the coarse rows.
TAPS = (6, 20, 23)
#: Rows of the code, and the first of the middle and of the fine ones; the side of the features of each kind.
ROWS, MIDDLE, FINE = 18, 3, 7
SIDES = (16, 32, 64)
CODE = 512


class _Squeeze(nn.Module):
    """Channels weighed by what the whole picture holds of them."""

    def __init__(self, channels: int, narrow: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, narrow, 1, bias=False)
        self.fc2 = nn.Conv2d(narrow, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc2(functional.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class _Unit(nn.Module):
    """One unit of IR-SE: batch norm before the first convolution, no activation after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            _Squeeze(outputs, outputs // 16),
        )

    def forward(self, x: Tensor) -> Tensor:
        # where the channels stay, every stride-th pixel is the shortcut
        short = self.shortcut_layer(x) if hasattr(self, "shortcut_layer") else x[:, :, :: self.stride, :: self.stride]
        return self.res_layer(x) + short


class _Row(nn.Module):
    """Features of a side halved until one pixel is left, then a linear whose weights are scaled by their width."""

    def __init__(self, side: int, inputs: int, code: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for halving in range(side.bit_length() - 1):
            layers += [nn.Conv2d(inputs if halving == 0 else code, code, 3, 2, 1), nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = nn.Linear(code, code)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.linear.weight * self.linear.in_features**-0.5
        return functional.linear(self.convs(x).flatten(1), weight, self.linear.bias)


class E4e(nn.Module):
    """(B, 3, 256, 256) in [-1, 1], FFHQ alignment → w+ codes (B, 18, 512), the mean code added."""

    latent_avg: Tensor

    def __init__(self, code: int = CODE) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        self.body = nn.Sequential(
            *(
                _Unit(inputs if unit == 0 else outputs, outputs, 2 if unit == 0 else 1)
                for inputs, outputs, units in STAGES
                for unit in range(units)
            )
        )
        sides = (SIDES[0] if row < MIDDLE else SIDES[1] if row < FINE else SIDES[2] for row in range(ROWS))
        *_, fine, middle, coarse = (outputs for _, outputs, _ in STAGES)
        self.styles = nn.ModuleList(_Row(side, coarse, code) for side in sides)
        self.latlayer1, self.latlayer2 = nn.Conv2d(middle, coarse, 1), nn.Conv2d(fine, coarse, 1)
        self.register_buffer("latent_avg", torch.zeros(ROWS, code))

    def forward(self, pixels: Tensor) -> Tensor:
        x, seen = self.input_layer(pixels), list[Tensor]()
        for number, unit in enumerate(self.body):
            x = unit(x)
            if number in TAPS:
                seen.append(x)
        fine, middle, coarse = seen
        middle = _joined(coarse, self.latlayer1(middle))
        fine = _joined(middle, self.latlayer2(fine))
        rows = [
            style(coarse if row < MIDDLE else middle if row < FINE else fine) for row, style in enumerate(self.styles)
        ]
        codes = torch.stack([rows[0], *(rows[0] + row for row in rows[1:])], dim=1)
        return codes + self.latent_avg


def _joined(coarse: Tensor, fine: Tensor) -> Tensor:
    """Coarse features at the size of the finer ones, added to them."""
    return functional.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=True) + fine


def build_e4e(checkpoint: Checkpoint) -> E4e:
    """The encoder of a published file, filled. Raises WrongWeightsError for another file."""
    state = checkpoint.part("state_dict.encoder.") or checkpoint.part("encoder.")
    mean = checkpoint.tensors.get("latent_avg")
    if not state or mean is None or mean.numel() not in (mean.shape[-1], ROWS * mean.shape[-1]):
        raise WrongWeightsError(
            f"{checkpoint.name} has no e4e encoder with a mean code, it has {listing(checkpoint.tensors)}: get "
            "e4e_ffhq_encode.pt."
        )
    code = mean.shape[-1]
    with torch.device("meta"):
        network = E4e(code)
    filled = {**state, "latent_avg": mean.reshape(-1, code).expand(ROWS, code).clone()}
    load_into(network, filled, checkpoint.name, "from its publisher")
    return network
