"""What stands in ComfyUI's Stable Video Diffusion and reads the tokens of sound and emotion that come with the prompt.

A prompt's tokens are one of the picture and, after it, those of sound and emotion, a row per frame. The network's
attention gets the first; the others are read here. Along time every place of a picture reads the mean of the frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import comfy.model_patcher
import torch
import torch.nn.functional as F
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ..pipelines.backbones.unet import SD15
from ..pipelines.lips.dicetalk.network import Readers
from ..pipelines.lips.dicetalk.sites import KINDS
from ..pipelines.lips.dicetalk.talker import Talker
from .model_sites import Place

#: Our entry in the options of a call and of a block, and in the patches of a model.
TALK = "likeness_talk"


@dataclass(frozen=True, eq=False)
class TalkReaders:
    """All that is in a model. scales: of sound and emotion. guide: (1, C, h, w), added to the first features. mask:
    (1, 1, H, W), where they are read. held: the readers under ComfyUI's memory manager, which finds them here."""

    readers: Readers
    scales: tuple[float, float]
    guide: Tensor
    mask: Tensor
    held: comfy.model_patcher.ModelPatcher

    def models(self) -> list[comfy.model_patcher.ModelPatcher]:
        """The readers' weights, which ComfyUI counts, loads and frees with the model."""
        return [self.held]

    def diffusion_model(
        self, executor: Any, x: Tensor, t: Tensor, context: Tensor, y: Any, control: Any, options: Any, **kw: Any
    ) -> Tensor:
        """Around a call: what is read along time is the mean of the frames, and two tokens of the picture tell it."""
        frames = kw["num_video_frames"]
        means = context.unflatten(0, (-1, frames)).mean(1)
        kw["time_context"] = means[:, :1].expand(-1, 2, -1).repeat_interleave(frames, 0)
        return executor(x, t, context, y, control, {**options, TALK: means[:, 1:]}, **kw)

    def split(self, n: Tensor, context: Tensor, value: Tensor, options: dict[str, Any]) -> tuple[Tensor, ...]:
        """Before an attention: takes the tokens off the picture's and leaves them in the block's options."""
        along_time = context.shape[1] == 2
        tokens = options.get(TALK) if along_time else context[:, 1:]
        options[f"{TALK} block"] = None if tokens is None or not tokens.shape[1] else (along_time, tokens)
        return n, context[:, :1], value[:, :1]

    def first_features(self, h: Tensor, options: Mapping[str, Any]) -> Tensor:
        """After the first layer: where the face is."""
        return h + self.guide.to(h) if options["block"] == ("input", 0) else h

    def place_mask(self, size: tuple[int, int]) -> Tensor:
        """(1, h · w, 1): the mask on the grid of an attention."""
        return F.interpolate(self.mask, size=size, mode="bicubic").flatten(2).transpose(1, 2)


@dataclass(frozen=True, eq=False)
class LoadedTalker:
    """A talker and the video model with its weights. patcher: of the readers, where ComfyUI finds it."""

    talker: Talker
    model: comfy.model_patcher.ModelPatcher
    readers: Readers
    patcher: comfy.model_patcher.ModelPatcher


@dataclass(frozen=True, eq=False)
class TalkReader:
    """Stands in for the attention to the picture of one site."""

    number: int
    all: TalkReaders

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
        heads = options["n_heads"]
        precision = options.get("attn_precision")
        x = optimized_attention(q, k, v, heads, attn_precision=precision, transformer_options=options)
        found = options.get(f"{TALK} block")
        if found is None:
            return x
        along_time, tokens = found
        readers = self.all.readers[self.number, along_time]
        kinds = tokens.to(q).chunk(KINDS, dim=1)
        if along_time:  # all places of a picture share their keys: (B · places, T, W) asks as (B, places · T, W)
            asked = q.reshape(len(tokens), -1, q.shape[-1])
            return x + readers.increment(asked, kinds, self.all.scales, heads).reshape(q.shape)
        height, width = options["activations_shape"][-2:]
        added = readers.increment(q, kinds, self.all.scales, heads)
        return x + added * self.all.place_mask((height, width)).to(added)


def readers_module(readers: Readers, dtype: torch.dtype) -> torch.nn.ModuleDict:
    """The readers as one module in the dtype of a model."""
    named = {f"{number}_{'time' if along else 'frame'}": module for (number, along), module in readers.items()}
    return torch.nn.ModuleDict(named).to(dtype).eval().requires_grad_(False)


def sites_of(model: Any) -> dict[int, Place]:
    """Number → place of the sites of a video model, empty for any other model."""
    names = {name for name, _ in model.get_model_object("diffusion_model").named_modules()}
    wanted = {f"{site.comfy.replace('transformer_blocks', part)}.attn2" for site in SD15.sites
              for part in ("transformer_blocks", "time_stack")}  # fmt: skip
    return {site.number: (site.block, site.id, site.index) for site in SD15.sites} if wanted <= names else {}
