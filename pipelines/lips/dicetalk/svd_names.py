"""The names of Stable Video Diffusion's UNet: as diffusers publishes it → as ComfyUI has it.

Every block has a part that looks at one frame and one that looks along time; the places are those of Stable Diffusion
1.5, so that the sites of its attentions are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ...backbones.unet import SD15

LEVELS, LAYERS = 4, 2

_RESIDUAL = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_TRANSFORMER = {
    "transformer_blocks": "transformer_blocks", "temporal_transformer_blocks": "time_stack", "norm": "norm",
    "proj_in": "proj_in", "proj_out": "proj_out", "time_pos_embed.linear_1": "time_pos_embed.0",
    "time_pos_embed.linear_2": "time_pos_embed.2", "time_mixer": "time_mixer",
}  # fmt: skip
_OUTSIDE = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0",
    "conv_out": "out.2",
}  # fmt: skip


def _residual(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    for name, place in _RESIDUAL.items():
        yield f"{theirs}.spatial_res_block.{name}", f"{ours}.{place}"
        yield f"{theirs}.temporal_res_block.{name}", f"{ours}.time_stack.{place}"
    yield f"{theirs}.time_mixer", f"{ours}.time_mixer"


def _transformer(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    for name, place in _TRANSFORMER.items():
        yield f"{theirs}.{name}", f"{ours}.{place}"


def _blocks() -> Iterator[tuple[str, str]]:
    with_attention = {site.diffusers.rpartition(".transformer_blocks")[0] for site in SD15.sites}
    for level in range(LEVELS):
        for layer in range(LAYERS):
            place = f"input_blocks.{3 * level + layer + 1}"
            yield from _residual(f"down_blocks.{level}.resnets.{layer}", f"{place}.0")
            yield from _transformer(f"down_blocks.{level}.attentions.{layer}", f"{place}.1")
        yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{3 * level + 3}.0.op"
        for layer in range(LAYERS + 1):
            place = f"output_blocks.{3 * level + layer}"
            yield from _residual(f"up_blocks.{level}.resnets.{layer}", f"{place}.0")
            yield from _transformer(f"up_blocks.{level}.attentions.{layer}", f"{place}.1")
        after = 2 if f"up_blocks.{level}.attentions.{LAYERS}" in with_attention else 1
        yield f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{3 * level + 2}.{after}.conv"
    for number, place in ((0, "middle_block.0"), (1, "middle_block.2")):
        yield from _residual(f"mid_block.resnets.{number}", place)
    yield from _transformer("mid_block.attentions.0", "middle_block.1")


@cache
def _table() -> dict[str, str]:
    return _OUTSIDE | dict(_blocks())


def comfy_name(key: str) -> str | None:
    """ComfyUI's name (below `diffusion_model.`) of a tensor in diffusers' layout, or None for one it has not."""
    parts = key.split(".")
    for count in range(len(parts) - 1, 0, -1):
        place = _table().get(".".join(parts[:count]))
        if place is not None:
            return ".".join([place, *parts[count:]])
    return None


#: What the norms of `training_norms` add to the variance; ComfyUI's add ten times as much.
TRAINING_EPSILON = 1e-6


def training_norms() -> tuple[str, ...]:
    """The norms (below `diffusion_model.`) that diffusers, in which the network was trained, computes otherwise.

    Those of the residual blocks on the way down at levels with attention, and all of them on the way up.
    """
    down = [f"input_blocks.{3 * level + layer + 1}" for level in range(LEVELS - 1) for layer in range(LAYERS)]
    up = [f"output_blocks.{number}" for number in range(LEVELS * (LAYERS + 1))]
    places = ("in_layers.0", "out_layers.0", "time_stack.in_layers.0", "time_stack.out_layers.0")
    return tuple(f"{block}.0.{place}" for block in (*down, *up) for place in places)


#: In the path of an attention's processor: the part of a block that looks along time.
_ALONG_TIME = ".temporal_transformer_blocks."
_PROCESSOR = ".attn2.processor."


def reader_place(key: str) -> tuple[int, bool, str] | None:
    """(number of the site, whether it looks along time, name within the processor) of a processor's tensor, or None.

    key: as `down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_ip.0.weight`.
    """
    path, found, name = key.partition(_PROCESSOR)
    if not found:
        return None
    along_time = _ALONG_TIME in path
    site = SD15.by_diffusers().get(path.replace(_ALONG_TIME, ".transformer_blocks."))
    return None if site is None else (site.number, along_time, name)
