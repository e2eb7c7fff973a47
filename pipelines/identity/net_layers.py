"""Layers the embedded networks share, and how their weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import WrongWeightsError

Network = TypeVar("Network", bound=nn.Module)


class SameConv(nn.Conv2d):
    """A convolution padded as in TensorFlow: the output is ceil(input / stride), an odd pixel is added at the end."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups)
        total = kernel - stride  # of inputs whose side is a multiple of the stride, as all of these networks' are
        self.before, self.after = total // 2, total - total // 2
        if self.before == self.after:
            self.padding = (self.before, self.before)

    def forward(self, input: Tensor) -> Tensor:
        if self.before != self.after:
            input = F.pad(input, (self.before, self.after, self.before, self.after))
        return super().forward(input)


def depthwise(channels: int, stride: int = 1) -> SameConv:
    """A 3 × 3 convolution of every channel with itself."""
    return SameConv(channels, channels, 3, stride, groups=channels)


def widen(values: Tensor, channels: int) -> Tensor:
    """(N, C, H, W) with channels of zeros appended up to `channels`."""
    missing = channels - values.shape[1]
    return F.pad(values, (0, 0, 0, 0, 0, missing)) if missing else values


def read_weights(network: Network, path: Path) -> Network:
    """Fill a network with the weights of a safetensors file (stored as float16 or float32, used as float32).

    Raises WrongWeightsError when the file is no safetensors file or has other tensors than the network.
    """
    try:
        stored = {key: value.float() for key, value in load_file(path).items()}
        network.load_state_dict(stored)
    except (SafetensorError, RuntimeError) as error:
        raise WrongWeightsError(
            f"{path} does not hold the weights of {type(network).__name__}: {error}. "
            "Restore the file (./likeness doctor names the damaged ones)."
        ) from error
    return network.eval().requires_grad_(False)
