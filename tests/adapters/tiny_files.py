"""Adapter files with published keys, under published names, for the tiny models: random weights, small projectors."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

#: Width of every attention of the tiny UNets, of the tiny FLUX, and of the tiny EVA02 tower.
UNET_WIDTH, FLUX_WIDTH, EVA_WIDTH = 320, 128, 64
#: FLUX sites of 5 double and 6 single blocks.
FLUX_SITES = 5
#: Attention processors of SDXL, each of which has a LoRA in PhotoMaker's file.
SDXL_ATTENTIONS = (
    *(f"down_blocks.1.attentions.{i}.transformer_blocks.{j}" for i in range(2) for j in range(2)),
    *(f"down_blocks.2.attentions.{i}.transformer_blocks.{j}" for i in range(2) for j in range(10)),
    *(f"mid_block.attentions.0.transformer_blocks.{j}" for j in range(10)),
    *(f"up_blocks.0.attentions.{i}.transformer_blocks.{j}" for i in range(3) for j in range(10)),
    *(f"up_blocks.1.attentions.{i}.transformer_blocks.{j}" for i in range(3) for j in range(2)),
)

Shape = list[int]
Shrink = Callable[[str, Shape], "Shape | None"]

SITES = (
    "ip_adapter.", "adapter_modules.", "id_adapter_attn_layers.", "wplus_adapter.", "down_blocks.", "up_blocks.",
    "mid_block.",
)  # fmt: skip


def mapped(shape: Shape, table: dict[int, int]) -> Shape:
    return [table.get(size, size) for size in shape]


def layer_of(key: str) -> int:
    """The number behind "layers." in a key, -1 without."""
    return int(key.split("layers.")[1].split(".")[0]) if "layers." in key and "attn_layers" not in key else -1


def site(key: str, shape: Shape, width: int) -> Shape:
    if "ff.net.0.proj" in key:
        return [8 * width, *[width] * (len(shape) - 1)]
    if "ff.net.2.weight" in key:
        return [width, 4 * width]
    small = {320: width, 640: width, 1280: width}
    return mapped(shape, small | ({128: 4} if "_lora." in key else {}))


def resampler(key: str, shape: Shape) -> Shape | None:
    return mapped(shape, {1280: 64, 2560: 128, 5120: 256})


def pulid(key: str, shape: Shape) -> Shape | None:
    if key.startswith("pulid_ca."):
        return _pulid_site(key, shape)
    small = mapped(shape, {1024: EVA_WIDTH, 4096: 256})
    if "id_embedding_mapping.6" in key:
        return [5 * EVA_WIDTH, *small[1:]]
    return [2 * EVA_WIDTH, *small[1:]] if "to_kv" in key else small


def _pulid_site(key: str, shape: Shape) -> Shape | None:
    if int(key.split(".")[1]) >= FLUX_SITES:
        return None
    sizes = {"to_q": [256, FLUX_WIDTH], "to_kv": [512, 2048], "to_out": [FLUX_WIDTH, 256]}
    name = key.split(".")[2]
    return sizes.get(name, mapped(shape, {3072: FLUX_WIDTH}))


def shallow(key: str, shape: Shape) -> Shape | None:
    """Only the first layer of every stack."""
    return None if layer_of(key) > 0 else shape


#: File below ComfyUI/models → (table of its published keys, how its projector becomes small).
FILES: dict[str, tuple[str, Shrink]] = {
    "instantid/ip-adapter.bin": ("instantid_ip-adapter", resampler),
    "ipadapter/ip-adapter-faceid_sd15.bin": ("ip-adapter-faceid_sd15", shallow),
    "ipadapter/ip-adapter-faceid_sdxl.bin": ("ip-adapter-faceid_sdxl", shallow),
    "ipadapter/ip-adapter-faceid-plus_sd15.bin": ("ip-adapter-faceid-plusv2_sd15", shallow),
    "ipadapter/ip-adapter-faceid-plusv2_sd15.bin": ("ip-adapter-faceid-plusv2_sd15", shallow),
    "ipadapter/ip-adapter-faceid-plusv2_sdxl.bin": ("ip-adapter-faceid-plusv2_sdxl", shallow),
    "ipadapter/ip-adapter-faceid-portrait_sd15.bin": ("ip-adapter-faceid-portrait_sd15", shallow),
    "ipadapter/ip-adapter-faceid-portrait_sdxl.bin": ("ip-adapter-faceid-portrait_sdxl", shallow),
    "ipadapter/ip-adapter-faceid-portrait_sdxl_unnorm.bin": ("ip-adapter-faceid-portrait_sdxl_unnorm", resampler),
    "pulid/pulid_v1.bin": ("pulid_v1", pulid),
    "pulid/pulid_v1.1.safetensors": ("pulid_v1.1", pulid),
    "pulid/pulid_flux_v0.9.1.safetensors": ("pulid_flux_v0.9", pulid),
    "photomaker/photomaker-v1.bin": ("photomaker-v1", shallow),
    "photomaker/photomaker-v2.bin": ("photomaker-v2", shallow),
    "consistentid/ConsistentID-v1.bin": ("consistentid_sd15", shallow),
    "consistentid/ConsistentID_SDXL-v1.bin": ("consistentid_sdxl", shallow),
    "masterweaver/adapter_final.pt": ("masterweaver", shallow),
    "facechain_fact/adapter_maj_mask_large_new_reg001_faceshuffle_00290001.ckpt": ("facechain_fact", shallow),
    "wplus/wplus_adapter.bin": ("wplus_adapter", shallow),
    "fastcomposer/pytorch_model.bin": ("fastcomposer_postfuse_only", shallow),
}  # fmt: skip
EVA_FILE = "clip/EVA02_CLIP_L_336_psz14_s6B.pt"
ARC2FACE_FILE = "arc2face/encoder/pytorch_model.bin"
STABLEIDENTITY_FILE = "stableidentity/ada.pt"


def published_shapes(file: str, width: int = UNET_WIDTH) -> dict[str, Shape]:
    """Keys and shapes of a published file, at the size of the tiny models. width: of every attention."""
    tables = json.loads(gzip.decompress(Path(__file__).with_name("published_keys.json.gz").read_bytes()))
    table, shrink = FILES[file]
    found: dict[str, Shape] = {}
    for key, shape in tables[table].items():
        small = site(key, shape, width) if key.startswith(SITES) else shrink(key, shape)
        if small is not None:
            found[key] = small
    if table.startswith("photomaker"):
        found |= photomaker_lora_shapes(width)
    if table == "fastcomposer_postfuse_only":
        prefix = "id_encoder.vision_model."
        for key, shape in tables["photomaker-v1"].items():
            if key.startswith(prefix) and shallow(key, shape):
                found[f"image_encoder.vision_model.{key[len(prefix) :]}"] = shape
        found["image_encoder.visual_projection.weight"] = [768, 1024]
    return found


def photomaker_lora_shapes(width: int, rank: int = 4) -> dict[str, Shape]:
    """The LoRA in PhotoMaker's files: names as diffusers gave the processors of a UNet."""
    shapes: dict[str, Shape] = {}
    for block in SDXL_ATTENTIONS:
        for attention, context in (("attn1", width), ("attn2", 2048)):
            for name in ("to_q", "to_k", "to_v", "to_out"):
                key = f"lora_weights.unet.{block}.{attention}.processor.{name}_lora"
                shapes[f"{key}.down.weight"] = [rank, context if name in ("to_k", "to_v") else width]
                shapes[f"{key}.up.weight"] = [width, rank]
    return shapes


def stableidentity_shapes() -> dict[str, Shape]:
    """Two tokens of SD2.1's width from a ViT-B vector."""
    inputs, total = 768, 2 * 1024
    shapes: dict[str, Shape] = {"celeb_mean": [2, 1024], "celeb_std": [2, 1024]}
    for layer, size in ((0, inputs), (1, total)):
        shapes |= {f"face_projection_layer.net.{layer}.weight": [total, size]}
        shapes |= {f"face_projection_layer.net.{layer}.bias": [total]}
    for name in ("net.1.norm", "norm"):
        shapes |= {f"face_projection_layer.{name}.{part}": [total] for part in ("weight", "bias")}
    return shapes


def filled(shapes: dict[str, Shape], seed: int = 3) -> dict[str, Tensor]:
    """Matrices by fan-in, gates and norms open, biases zero."""
    pool = torch.randn(1 << 20, generator=torch.Generator().manual_seed(seed)).half()
    tensors: dict[str, Tensor] = {}
    for number, (key, shape) in enumerate(shapes.items()):
        if len(shape) >= 2:
            row, count = pool[number * 7 :], math.prod(shape)
            row = row.repeat(-(-count // len(row)))[:count]
            tensors[key] = (row * (1 / math.sqrt(math.prod(shape[1:])))).view(shape)
        else:
            value = 0.5 if "alpha" in key else float(not key.endswith("bias"))
            tensors[key] = torch.full(shape, value, dtype=torch.float16)
    return tensors


def arc2face_shapes() -> dict[str, Shape]:
    """CLIP-L's text tower with one layer."""
    layer = "text_model.encoder.layers.0"
    shapes: dict[str, Shape] = {
        "text_model.embeddings.token_embedding.weight": [49408, 768],
        "text_model.embeddings.position_embedding.weight": [77, 768],
        f"{layer}.mlp.fc1.weight": [3072, 768],
        f"{layer}.mlp.fc1.bias": [3072],
        f"{layer}.mlp.fc2.weight": [768, 3072],
        f"{layer}.mlp.fc2.bias": [768],
    }
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes |= {f"{layer}.self_attn.{name}.weight": [768, 768], f"{layer}.self_attn.{name}.bias": [768]}
    for name in (f"{layer}.layer_norm1", f"{layer}.layer_norm2", "text_model.final_layer_norm"):
        shapes |= {f"{name}.weight": [768], f"{name}.bias": [768]}
    return shapes


def eva02_shapes(blocks: int = 21) -> dict[str, Shape]:
    """EVA02's vision tower of width 64, deep enough for PuLID's five levels."""
    from likeness.pipelines.adapters.encoders.eva02 import Eva02Vision

    with torch.device("meta"):
        tower = Eva02Vision(EVA_WIDTH, 2 * EVA_WIDTH, 1, blocks, 14, 24, 768)
    return {f"visual.{key}": list(tensor.shape) for key, tensor in tower.state_dict().items()}


def write_files(models: Path, only: tuple[str, ...] = (), width: int = UNET_WIDTH) -> None:
    """Every file, or those whose path is named, below a models folder; files that are there stay."""
    makers: dict[str, Callable[[], dict[str, Shape]]] = {
        **{path: (lambda path=path: published_shapes(path, width)) for path in FILES},
        ARC2FACE_FILE: arc2face_shapes,
        STABLEIDENTITY_FILE: stableidentity_shapes,
        EVA_FILE: eva02_shapes,
    }
    for path, shapes in makers.items():
        target = models / path
        if (not only or path in only) and not (target.is_file() and target.stat().st_size):
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(filled(shapes()), target)


def _write(tensors: dict[str, Tensor], target: Path) -> None:
    if target.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(tensors, target)
    else:
        torch.save(nested(tensors), target)


def nested(tensors: dict[str, Tensor]) -> dict[str, Tensor | dict[str, Tensor]]:
    """The first part of every name as a level of its own, as most torch files are published."""
    table: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        first, _, rest = key.partition(".")
        if rest:
            table.setdefault(first, {})[rest] = tensor
    return {**table, **{key: tensor for key, tensor in tensors.items() if "." not in key}}
