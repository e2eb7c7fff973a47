"""Parity models as diffusers models: weights in ComfyUI's layout under diffusers' names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from likeness.cli.parity.fixture import Fixture

RESNET = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip
OUTER = {
    "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "class_embedding.linear_1", "label_emb.0.2": "class_embedding.linear_2",
    "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out",
    "middle_block.0": "mid_block.resnets.0", "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
}  # fmt: skip


def unet_name(name: str) -> str:
    """ComfyUI's name of a UNet weight → diffusers' name; two residual blocks per level."""
    inner = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d)\.(.*)", name)
    if inner and name.startswith(("input_blocks.0.",)) is False:
        side, number, part, rest = inner[1], int(inner[2]), int(inner[3]), inner[4]
        level, place = divmod(number - 1 if side == "input" else number, 3)
        blocks = "down_blocks" if side == "input" else "up_blocks"
        if rest.startswith("op."):
            return f"{blocks}.{level}.downsamplers.0.conv.{rest[3:]}"
        if rest.startswith("conv."):
            return f"{blocks}.{level}.upsamplers.0.{rest}"
        name = f"{blocks}.{level}.{'attentions' if part else 'resnets'}.{place}.{rest}"
    for table in (OUTER, RESNET):
        for old, new in table.items():
            if name.startswith(f"{old}.") or f".{old}." in name:
                name = name.replace(f"{old}.", f"{new}.", 1)
                break
    return name


def unet(f: Fixture) -> Any:
    from diffusers import UNet2DConditionModel

    config = f.json("unet_config")
    levels, depths = len(config["channel_mult"]), config["transformer_depth"][::2]
    width = config["model_channels"]
    down = tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths)
    heads = config["num_heads"]
    channels = [width * m for m in config["channel_mult"]]
    model = UNet2DConditionModel(
        block_out_channels=channels,
        down_block_types=down,
        up_block_types=tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)),
        attention_head_dim=heads if heads > 0 else [c // config["num_head_channels"] for c in channels],
        cross_attention_dim=config["context_dim"],
        transformer_layers_per_block=[max(depth, 1) for depth in depths],
        use_linear_projection=config["use_linear_in_transformer"],
        class_embed_type="projection" if config["adm_in_channels"] else None,
        projection_class_embeddings_input_dim=config["adm_in_channels"],
        layers_per_block=2,
    )
    assert levels == len(down)
    model.load_state_dict({unet_name(key): tensor for key, tensor in f.weights("unet_shapes").items()})
    return model.eval().requires_grad_(False)


@torch.no_grad()
def predict(model: Any, f: Fixture) -> Tensor:
    labels = f["in.y"] if "in.y" in f.tensors else None
    return model(f["in.latent"], f["in.timestep"], f["in.text"], class_labels=labels).sample


FLUX = {
    "img_in.": "x_embedder.", "txt_in.": "context_embedder.", "final_layer.linear.": "proj_out.",
    "time_in.": "time_text_embed.timestep_embedder.", "vector_in.": "time_text_embed.text_embedder.",
    "guidance_in.": "time_text_embed.guidance_embedder.", "final_layer.adaLN_modulation.1.": "norm_out.linear.",
    "double_blocks.": "transformer_blocks.", "single_blocks.": "single_transformer_blocks.",
    ".in_layer.": ".linear_1.", ".out_layer.": ".linear_2.",
    "img_mod.lin.": "norm1.linear.", "txt_mod.lin.": "norm1_context.linear.", "modulation.lin.": "norm.linear.",
    "img_mlp.0.": "ff.net.0.proj.", "img_mlp.2.": "ff.net.2.", "txt_mlp.0.": "ff_context.net.0.proj.",
    "txt_mlp.2.": "ff_context.net.2.", "img_attn.norm.query_norm.": "attn.norm_q.",
    "img_attn.norm.key_norm.": "attn.norm_k.", "txt_attn.norm.query_norm.": "attn.norm_added_q.",
    "txt_attn.norm.key_norm.": "attn.norm_added_k.", "img_attn.proj.": "attn.to_out.0.",
    "txt_attn.proj.": "attn.to_add_out.", ".norm.query_norm.": ".attn.norm_q.", ".norm.key_norm.": ".attn.norm_k.",
    "linear2.": "proj_out.",
}  # fmt: skip
#: Fused layers and the ones they are made of; the last part of `linear1` is the feed-forward's.
FUSED = {
    "img_attn.qkv.": ("attn.to_q.", "attn.to_k.", "attn.to_v."),
    "txt_attn.qkv.": ("attn.add_q_proj.", "attn.add_k_proj.", "attn.add_v_proj."),
    "linear1.": ("attn.to_q.", "attn.to_k.", "attn.to_v.", "proj_mlp."),
}


def flux_weights(weights: dict[str, Tensor], width: int) -> Iterator[tuple[str, Tensor]]:
    """ComfyUI's weights of FLUX under diffusers' names."""
    for key, tensor in weights.items():
        fused = next((name for name in FUSED if name in key), None)
        name = key
        for old, new in FLUX.items():
            name = name.replace(old, new)
        if fused:
            parts = FUSED[fused]
            sizes = [width] * 3 + [len(tensor) - 3 * width] * (len(parts) - 3)
            for part, piece in zip(parts, tensor.split(sizes), strict=True):
                yield name.replace(fused, part), piece
        elif "adaLN" in key:  # diffusers keeps scale before shift
            yield name, torch.cat(tensor.chunk(2)[::-1])
        else:
            yield name, tensor


def flux(f: Fixture) -> Any:
    from diffusers import FluxTransformer2DModel

    config = f.config["comfy_flux"]
    model = FluxTransformer2DModel(
        patch_size=1,
        in_channels=f.config["pulid_flux_in_channels"],
        num_layers=config["depth"],
        num_single_layers=config["depth_single_blocks"],
        attention_head_dim=config["hidden_size"] // config["num_heads"],
        num_attention_heads=config["num_heads"],
        joint_attention_dim=config["context_in_dim"],
        pooled_projection_dim=config["vec_in_dim"],
        guidance_embeds=True,
        axes_dims_rope=tuple(config["axes_dim"]),
    )
    model.load_state_dict(dict(flux_weights(f.weights(), config["hidden_size"])))
    return model.eval().requires_grad_(False)


@torch.no_grad()
def predict_flux(model: Any, f: Fixture) -> Tensor:
    text = f["in.text"]
    packed = model(
        hidden_states=f["in.img_tokens"], encoder_hidden_states=text, pooled_projections=f["in.y"],
        timestep=f["in.timestep"], img_ids=f["in.img_ids"][0], txt_ids=torch.zeros(text.shape[1], 3),
        guidance=f["in.guidance"],
    ).sample  # fmt: skip
    batch, channels, height, width = f["in.latent"].shape
    patches = packed.view(batch, height // 2, width // 2, channels, 2, 2)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height, width)
