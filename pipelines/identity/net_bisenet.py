"""BiSeNet with a ResNet-18 in place of its spatial path, as trained on CelebAMask-HQ: which of 19 classes a pixel is.

Names of the published state dict (`79999_iter.pth`, the same bytes as facexlib's `parsing_bisenet.pth`). Its two
auxiliary heads only served the training. Sources: BiSeNet (Yu et al. 2018); zllrunning/face-parsing.PyTorch model.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import WrongWeightsError
from ..files.checkpoint import listing, load_into

#: Heads that only served the training, and a counter that batch norms of older files lack.
TRAINING_ONLY, COUNTER = ("conv_out16.", "conv_out32."), "num_batches_tracked"
#: Channels of the ResNet's four stages, and of the context path.
STAGES, CONTEXT = (64, 128, 256, 512), 128


class _ConvNorm(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class _Residual(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut, which is a 1 × 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.downsample = nn.Sequential() if same else _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        inside = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(inside)) + self.downsample(x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class _ResNet(nn.Module):
    """ResNet-18 without its classifier; gives what it sees at 1/8, 1/16 and 1/32 of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STAGES[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGES[0])
        self.layer1 = nn.Sequential(_Residual(STAGES[0], STAGES[0], 1), _Residual(STAGES[0], STAGES[0], 1))
        self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(_Residual(narrow, wide, 2), _Residual(wide, wide, 1))
            for narrow, wide in zip(STAGES[:-1], STAGES[1:], strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class _Refine(nn.Module):
    """Channels weighed by what the whole picture holds of them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _ConvNorm(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True))))


class _ContextPath(nn.Module):
    """From coarse to fine, each level added to the one above it."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = _ResNet()
        self.arm16, self.arm32 = _Refine(STAGES[2], CONTEXT), _Refine(STAGES[3], CONTEXT)
        self.conv_head32, self.conv_head16 = _ConvNorm(CONTEXT, CONTEXT), _ConvNorm(CONTEXT, CONTEXT)
        self.conv_avg = _ConvNorm(STAGES[3], CONTEXT, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The ResNet's features at 1/8 of the size, and the context there."""
        eighth, sixteenth, coarsest = self.resnet(x)
        context = self.arm32(coarsest) + self.conv_avg(coarsest.mean((2, 3), keepdim=True))
        context = self.conv_head32(functional.interpolate(context, sixteenth.shape[2:], mode="nearest"))
        context = self.arm16(sixteenth) + context
        return eighth, self.conv_head16(functional.interpolate(context, eighth.shape[2:], mode="nearest"))


class _Fusion(nn.Module):
    """Both paths side by side, with the channels that matter made stronger."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convblk = _ConvNorm(width, width, 1)
        self.conv1 = nn.Conv2d(width, width // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(width // 4, width, 1, bias=False)

    def forward(self, fine: Tensor, context: Tensor) -> Tensor:
        x = self.convblk(torch.cat([fine, context], dim=1))
        weight = torch.sigmoid(self.conv2(functional.relu(self.conv1(x.mean((2, 3), keepdim=True)))))
        return x + x * weight


class _Head(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv = _ConvNorm(width, width)
        self.conv_out = nn.Conv2d(width, classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """(N, 3, H, W), normalised as ImageNet is → logits (N, classes, H, W)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.cp = _ContextPath()
        self.ffm = _Fusion(2 * CONTEXT)
        self.conv_out = _Head(2 * CONTEXT, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.conv_out(self.ffm(*self.cp(x)))
        return functional.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=True)


def build_bisenet(state: Mapping[str, Tensor], what: str, classes: int) -> BiSeNet:
    """The network of a published state dict, every key of which must belong to it.

    what: the file, for messages. Raises WrongWeightsError for other keys, shapes or another number of classes.
    """
    if "cp.resnet.conv1.weight" not in state or "conv_out.conv_out.weight" not in state:
        raise WrongWeightsError(
            f"{what} is no BiSeNet face parser, it has {listing(state)}: get 79999_iter.pth or parsing_bisenet.pth."
        )
    with torch.device("meta"):
        network = BiSeNet(classes)
    own = {key: tensor for key, tensor in state.items() if not key.startswith(TRAINING_ONLY)}
    counters = {key: torch.tensor(0) for key in network.state_dict() if key.endswith(COUNTER) and key not in own}
    load_into(network, own | counters, what, "from its publisher")
    return network
