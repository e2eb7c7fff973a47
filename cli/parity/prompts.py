"""Token replacement and fusion, their schedules and their towers against the published implementations."""

from __future__ import annotations

from pathlib import Path

import torch

from ...pipelines.adapters import arc2face, fastcomposer, stableidentity
from ...pipelines.adapters.checkpoint import load_into
from ...pipelines.adapters.encoders.eva02 import build_eva02, rotary
from ...pipelines.adapters.fuse import build_fuse
from ...pipelines.adapters.photomaker import build_queries
from ...pipelines.adapters.schedule import text_steps
from .fixture import Error, Fixture


@torch.no_grad()
def fastcomposer_postfuse(path: Path) -> list[Error]:
    f = Fixture(path)
    module = fastcomposer.build_postfuse(f.part("postfuse_module."))
    subjects = fastcomposer.chosen_subjects(f["in.object_embeds"], f["in.num_objects"])
    return f.compare({"prompt_embeds": module(f["in.text_embeds"], subjects, f["in.image_token_mask"])})


@torch.no_grad()
def fastcomposer_delay(path: Path) -> list[Error]:
    """Entry i of a table is 1 where step i sees the fused prompt."""
    f = Fixture(path)
    ours: dict[str, torch.Tensor] = {}
    for steps in f["in.num_inference_steps"].tolist():
        for alpha in f["in.alpha"].tolist():
            count = text_steps(steps, alpha=alpha)
            ours[f"alpha_{alpha}_steps_{steps}"] = (torch.arange(steps) >= count).to(torch.uint8)
        for start in f["in.start_merge_step"].tolist():
            count = text_steps(steps, start_merge_step=start)
            ours[f"start_merge_step_{start}_steps_{steps}"] = (torch.arange(steps) >= count).to(torch.uint8)
    return f.compare(ours, tolerance=0.0)


@torch.no_grad()
def photomaker_fuse(path: Path) -> list[Error]:
    """Both versions: they differ in the tokens per picture."""
    f = Fixture(path)
    state = f.part("id_encoder.fuse_module.")
    module = build_fuse(state)
    load_into(module, state, path.name)
    tokens = f["in.id_embeds"].flatten(0, 2)
    return f.compare({"prompt_embeds": module(f["in.prompt_embeds"], tokens, f["in.class_tokens_mask"])})


@torch.no_grad()
def photomaker_v2_qformer(path: Path) -> list[Error]:
    f = Fixture(path)
    queries = build_queries(f.part("id_encoder.qformer_perceiver."))
    return f.compare({"id_tokens": queries(f["in.embedding"], f["in.clip_hidden"])})


@torch.no_grad()
def arc2face_text(path: Path) -> list[Error]:
    f = Fixture(path)
    tower = arc2face.build_encoder(f.part("text_model."), heads=f.config["num_attention_heads"])
    ids = f["in.input_ids"]
    plain = tower.embed(ids)
    raw = torch.nn.functional.pad(f["in.face_raw"][:1], (0, plain.shape[-1] - 512))
    return f.compare(
        {
            "prompt_embeds": arc2face.encode(tower, ids, f["in.face"]),
            "prompt_embeds_plain": tower(plain),
            "prompt_embeds_raw_face0": tower(arc2face.replace_id_token(plain, ids, raw))[0],
        }
    )


@torch.no_grad()
def stableidentity_celeb_tokens(path: Path) -> list[Error]:
    f = Fixture(path)
    mean, deviation = stableidentity.name_statistics(f["in.celeb_name_ids"], f["in.token_table"])
    state = {**f.part("face_projection_layer."), "celeb_mean": mean, "celeb_std": deviation}
    projector = stableidentity.build_projector(state)
    cls = f["in.vit_cls"]
    tokens = projector(cls)
    prompt = stableidentity.place_tokens(f["in.prompt_embeds"], f["in.prompt_ids"], f.config["placeholder_id"], tokens)
    return f.compare(
        {
            "celeb_mean": mean,
            "celeb_std": deviation,
            "mapper_before_norm": projector.before_norm(cls),
            "mapper": projector.offsets(cls),
            "tokens": tokens,
            "prompt_embeds": prompt,
        }
    )


@torch.no_grad()
def eva02_clip_visual(path: Path) -> list[Error]:
    f = Fixture(path)
    heads, width = f.config["num_heads"], f.config["embed_dim"]
    tower = build_eva02(f.part("visual."), head_width=width // heads)
    blocks = tuple(f.config["hidden_blocks"])
    features = tower(f["in.image"], blocks)
    cos, sin = rotary(tower.grid, width // heads)
    levels = {f"hidden_block_{block}": level for block, level in zip(blocks, features.levels, strict=True)}
    return f.compare(
        {
            "embedding": features.embedding,
            "embedding_unit": features.unit_embedding,
            "last_block": features.last,
            "rope_cos": cos,
            "rope_sin": sin,
            **levels,
        }
    )
