"""The denoising network of Stable Diffusion 1.5 in its published (diffusers) key layout, as MuseTalk uses it.

One forward pass at timestep 0 predicts latents, so there is no sampler around it. Every attention has the number that
adapter files give it: even for self-attention, odd for the attention to the sound, over down, up and middle blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WrongWeightsError
from ..files.checkpoint import load_into
from .attention_change import Change

GROUPS = 32
#: Heads of every attention, as in Stable Diffusion 1.5; the shapes do not tell.
HEADS = 8

Changes = Mapping[int, Change]


class Attention(nn.Module):
    """Attention of x to a context, or to itself; with a change of an adapter where there is one."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads, self.number = heads, -1
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, context: Tensor | None, changes: Changes) -> Tensor:
        read = x if context is None else context
        q, k, v = self.to_q(x), self.to_k(read), self.to_v(read)
        change = changes.get(self.number)
        if change is None:
            return self.to_out[0](attend(q, k, v, self.heads))
        q, k, v = change.projected(x, read, q, k, v)
        y = attend(q, k, v, self.heads)
        if change.keys_values is not None:
            y = y + change.scale * attend(q, *change.keys_values, self.heads)
        return change.output(y, self.to_out[0](y))


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """q (B, N, W), k and v (B or 1, T, W) → (B, N, W)."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2).expand(len(q), -1, -1, -1) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    """A gated linear unit and a linear layer, under their published names."""

    def __init__(self, width: int) -> None:
        super().__init__()
        gate = nn.Module()
        gate.proj = nn.Linear(width, 8 * width)
        self.net = nn.ModuleList([gate, nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.net[0].get_submodule("proj")(x).chunk(2, dim=-1)
        return self.net[2](value * F.gelu(gate))


class TransformerBlock(nn.Module):
    """Self-attention, attention to the sound, feed-forward; each added to what it read."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = Attention(width, width, heads)
        self.attn2 = Attention(width, context, heads)
        self.ff = FeedForward(width)

    def forward(self, x: Tensor, context: Tensor, changes: Changes) -> Tensor:
        x = x + self.attn1(self.norm1(x), None, changes)
        x = x + self.attn2(self.norm2(x), context, changes)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A transformer block over the pixels of a feature map (B, W, h, w)."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, context, heads)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, context: Tensor, changes: Changes) -> Tensor:
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        tokens = self.transformer_blocks[0](tokens, context, changes)
        return x + self.proj_out(tokens.transpose(1, 2).unflatten(2, x.shape[2:]))


class ResidualBlock(nn.Module):
    """Two convolutions with the time embedding between them."""

    def __init__(self, inputs: int, width: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, inputs), nn.GroupNorm(GROUPS, width)
        self.conv1, self.conv2 = nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, width)
        self.conv_shortcut = nn.Conv2d(inputs, width, 1) if inputs != width else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(F.silu(time))[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (x if self.conv_shortcut is None else self.conv_shortcut(x))


def _resampler(width: int, stride: int) -> nn.ModuleList:
    """One convolution under the name `0.conv`."""
    holder = nn.Module()
    holder.conv = nn.Conv2d(width, width, 3, stride=stride, padding=1)
    return nn.ModuleList([holder])


class Level(nn.Module):
    """Residual blocks at one resolution, each followed by a transformer where the level has any.

    inputs: channels that each residual block reads.
    """

    def __init__(self, inputs: tuple[int, ...], width: int, time: int, context: int, heads: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResidualBlock(channels, width, time) for channels in inputs)
        if context:
            self.attentions = nn.ModuleList(SpatialTransformer(width, context, heads) for _ in inputs)

    def step(self, index: int, x: Tensor, time: Tensor, context: Tensor, changes: Changes) -> Tensor:
        """One residual block and its transformer."""
        x = self.resnets[index](x, time)
        return self.attentions[index](x, context, changes) if hasattr(self, "attentions") else x


class Middle(nn.Module):
    """The lowest resolution: two residual blocks around a transformer."""

    def __init__(self, width: int, time: int, context: int, heads: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResidualBlock(width, width, time) for _ in range(2))
        self.attentions = nn.ModuleList([SpatialTransformer(width, context, heads)])

    def forward(self, x: Tensor, time: Tensor, context: Tensor, changes: Changes) -> Tensor:
        x = self.attentions[0](self.resnets[0](x, time), context, changes)
        return self.resnets[1](x, time)


@dataclass(frozen=True)
class UNetSizes:
    """What the shapes of a file tell. widths: of the levels from the finest. attends: which of them have transformers.
    layers: residual blocks of a level on the way down (one more on the way up). context: width of the sound's tokens.
    """

    inputs: int
    outputs: int
    widths: tuple[int, ...]
    attends: tuple[bool, ...]
    layers: int
    context: int


def sizes_of(state: Mapping[str, Tensor]) -> UNetSizes:
    """The sizes of a network in the published layout; raises KeyError for a layout without its first keys."""
    levels = sorted({int(key.split(".")[1]) for key in state if key.startswith("down_blocks.")})
    layers = {key.split(".")[3] for key in state if key.startswith("down_blocks.0.resnets.")}
    first = "attentions.0.transformer_blocks.0.attn2.to_k.weight"
    return UNetSizes(
        state["conv_in.weight"].shape[1],
        state["conv_out.weight"].shape[0],
        tuple(state[f"down_blocks.{level}.resnets.0.conv1.weight"].shape[0] for level in levels),
        tuple(f"down_blocks.{level}.{first}" in state for level in levels),
        len(layers),
        state[f"mid_block.{first}"].shape[1],
    )


class UNet(nn.Module):
    """Latents (B, inputs, h, w) and tokens (B, T, context) → latents (B, outputs, h, w); h and w divide by 8."""

    def __init__(self, sizes: UNetSizes, heads: int = HEADS) -> None:
        super().__init__()
        self.sizes = sizes
        widths, time = sizes.widths, 4 * sizes.widths[0]
        self.conv_in = nn.Conv2d(sizes.inputs, widths[0], 3, padding=1)
        self.time_embedding = nn.ModuleDict({"linear_1": nn.Linear(widths[0], time), "linear_2": nn.Linear(time, time)})
        contexts = [sizes.context if attends else 0 for attends in sizes.attends]
        down, skips = [], [widths[0]]
        for level, width in enumerate(widths):
            inputs = (skips[-1], *[width] * (sizes.layers - 1))
            down.append(Level(inputs, width, time, contexts[level], heads))
            skips += [width] * sizes.layers
            if level < len(widths) - 1:
                down[-1].downsamplers = _resampler(width, 2)
                skips.append(width)
        self.down_blocks = nn.ModuleList(down)
        up, channels = [], widths[-1]
        for level, width in reversed(list(enumerate(widths))):
            reads: list[int] = []
            for _ in range(sizes.layers + 1):
                reads.append(channels + skips.pop())
                channels = width
            up.append(Level(tuple(reads), width, time, contexts[level], heads))
            if level:
                up[-1].upsamplers = _resampler(width, 1)
        self.up_blocks = nn.ModuleList(up)
        self.mid_block = Middle(widths[-1], time, sizes.context, heads)
        self.conv_norm_out = nn.GroupNorm(GROUPS, widths[0])
        self.conv_out = nn.Conv2d(widths[0], sizes.outputs, 3, padding=1)
        # in the order in which they were registered: down, up, middle, as the numbers of adapter files count
        for number, attention in enumerate(self.attentions):
            attention.number = number

    @property
    def attentions(self) -> list[Attention]:
        """All of them, in the order of their numbers."""
        return [module for module in self.modules() if isinstance(module, Attention)]

    def forward(self, latents: Tensor, tokens: Tensor, changes: Changes | None = None, timestep: int = 0) -> Tensor:
        changes = {} if changes is None else changes
        time = self._time(timestep, latents)
        x = self.conv_in(latents)
        kept = [x]
        for level in self.down_blocks:
            for index in range(len(level.get_submodule("resnets"))):  # pyright: ignore[reportArgumentType]
                x = level.step(index, x, time, tokens, changes)  # pyright: ignore[reportCallIssue]
                kept.append(x)
            if hasattr(level, "downsamplers"):
                x = level.get_submodule("downsamplers.0.conv")(x)
                kept.append(x)
        x = self.mid_block(x, time, tokens, changes)
        for level in self.up_blocks:
            for index in range(len(level.get_submodule("resnets"))):  # pyright: ignore[reportArgumentType]
                x = level.step(index, torch.cat([x, kept.pop()], 1), time, tokens, changes)  # pyright: ignore
            if hasattr(level, "upsamplers"):
                x = level.get_submodule("upsamplers.0.conv")(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv_out(F.silu(self.conv_norm_out(x)))

    def _time(self, timestep: int, like: Tensor) -> Tensor:
        """(1, 4 width): cosines, then sines, of the timestep at falling frequencies, through two linear layers."""
        half = self.sizes.widths[0] // 2
        frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=like.device) / half)
        angles = timestep * frequencies
        wave = torch.cat([angles.cos(), angles.sin()]).to(like.dtype)[None]
        return self.time_embedding["linear_2"](F.silu(self.time_embedding["linear_1"](wave)))


def build_unet(state: Mapping[str, Tensor], what: str, heads: int = HEADS) -> UNet:
    """The network of a file's tensors. what: the file. Raises WrongWeightsError for tensors that do not fit."""
    try:
        with torch.device("meta"):
            unet = UNet(sizes_of(state), heads)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise WrongWeightsError(
            f"{what} is no UNet of Stable Diffusion 1.5 in its published layout ({type(error).__name__}: {error}): it "
            "is another model under that name. Download it again."
        ) from error
    load_into(unet, state, what, "or put the file of that name there")
    return unet
