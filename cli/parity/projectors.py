"""Projectors of the adapter families against their published implementations."""

from __future__ import annotations

from pathlib import Path

import torch

from ...pipelines.adapters import faceid, fact, masterweaver, pulid, wplus
from ...pipelines.adapters.checkpoint import load_into
from ...pipelines.adapters.consistentid import build_facial_encoder
from ...pipelines.adapters.family import Features, TokenOptions
from ...pipelines.adapters.injectors import ResidualAttentionSite
from ...pipelines.adapters.perceiver import attend_exactly, build_resampler
from .fixture import Error, Fixture

Vectors = faceid.VectorAndPictureTokens


@torch.no_grad()
def instantid_image_proj(path: Path) -> list[Error]:
    f = Fixture(path)
    state = f.part("image_proj.")
    resampler = build_resampler(state)
    load_into(resampler, state, path.name)
    return f.compare({"tokens": resampler(f["in.embedding"])})


@torch.no_grad()
def faceid_vector_proj(path: Path) -> list[Error]:
    """FaceID and Portrait: they differ in the number of tokens."""
    f = Fixture(path)
    return f.compare({"tokens": faceid.build_projector(f.part("image_proj."))(f["in.embedding"])})


def _picture_projector(f: Fixture) -> Vectors:
    projector = faceid.build_projector(f.part("image_proj."))
    if not isinstance(projector, Vectors):
        raise TypeError("the file has no perceiver")
    return projector


@torch.no_grad()
def faceid_plus_image_proj(path: Path) -> list[Error]:
    f = Fixture(path)
    projector = _picture_projector(f)
    inputs = f["in.embedding"], f["in.clip_hidden"]
    return f.compare(
        {
            "tokens_plus": projector.plus(*inputs),
            "tokens_plusv2_1.0": projector.plus_v2(*inputs),
            "tokens_plusv2_0.6": projector.plus_v2(*inputs, structure=0.6),
        }
    )


@torch.no_grad()
def consistentid_image_proj(path: Path) -> list[Error]:
    f = Fixture(path)
    return f.compare({"tokens_shortcut": _picture_projector(f).plus_v2(f["in.embedding"], f["in.clip_hidden"])})


@torch.no_grad()
def consistentid_facial_encoder(path: Path) -> list[Error]:
    f = Fixture(path)
    encoder = build_facial_encoder(f.part("FacialEncoder."))
    prompt = encoder(
        f["in.prompt_embeds"],
        f["in.facial_token_mask"],
        f["in.multi_image_embeds"],
        f["in.valid_facial_token_mask"],
    )
    return f.compare({"prompt_embeds": prompt})


@torch.no_grad()
def pulid_idformer(path: Path) -> list[Error]:
    f = Fixture(path)
    state = f.part("id_adapter.")
    encoder = pulid.QueryEncoder(state, head_width=f.config["dim_head"])
    load_into(encoder, state, path.name)
    one = encoder(f["in.embedding"].unsqueeze(1), [f[f"in.vit_hidden_{i}"] for i in range(pulid.LEVELS)])
    two = encoder(f["in.embedding_2faces"], [f[f"in.vit_hidden_2faces_{i}"] for i in range(pulid.LEVELS)])
    return f.compare({"tokens": one, "tokens_2faces": two})


@torch.no_grad()
def pulid_v1_id_encoder(path: Path) -> list[Error]:
    f = Fixture(path)
    state = f.part("id_adapter.")
    encoder = pulid.VectorEncoder(state)
    load_into(encoder, state, path.name)
    levels = [f[f"in.vit_hidden_{i}"] for i in range(pulid.LEVELS)]
    return f.compare({"tokens": encoder(f["in.embedding"].unsqueeze(1), levels)})


@torch.no_grad()
def pulid_flux_cross_attention(path: Path) -> list[Error]:
    f = Fixture(path)
    site = pulid.build_flux_sites(f.part("pulid_ca."), path.name, head_width=f.config["dim_head"])[0]
    if not isinstance(site, ResidualAttentionSite):
        raise TypeError("unexpected site")
    payload = site.project(f["in.id_tokens"])
    hidden = f["in.hidden"]
    return f.compare({"residual": site.increment(hidden, hidden, payload, 1, attend_exactly)})


@torch.no_grad()
def masterweaver_id_resampler(path: Path) -> list[Error]:
    f = Fixture(path)
    projector = masterweaver.build_projector(f.part("id_encoder."), head_width=f.config["dim_head"])
    clip, blank = f["in.clip_hidden"], f["in.clip_hidden_zero_image"]
    join = TokenOptions(combine="join tokens")
    one = masterweaver.masterweaver_tokens(projector, Features(vision=clip[:1], blank=blank), join)
    two = masterweaver.masterweaver_tokens(projector, Features(vision=clip, blank=blank), join)
    return f.compare(
        {
            "tokens": projector(clip),
            "tokens_zero_image": projector(blank),
            "id_tokens_1photo": one.cond,
            "id_tokens_2photos": two.cond,
            "uncond_tokens_1photo": one.uncond,
            "uncond_tokens_2photos": two.uncond,
        }
    )


@torch.no_grad()
def fact_face_projector(path: Path) -> list[Error]:
    f = Fixture(path)
    state = f.part("local_fac_prj.")
    projector = build_resampler(state, head_width=f.config["dim_head"])
    load_into(projector, state, path.name)
    local = f["in.local_tokens"]
    tokens = fact.fact_tokens(projector, Features(vision=local), TokenOptions(combine="join tokens"))
    return f.compare(
        {
            "tokens": projector(local),
            "face_tokens_2photos": tokens.cond,
            "neg_face_tokens_2photos": tokens.uncond,
        }
    )


@torch.no_grad()
def wplus_projection(path: Path) -> list[Error]:
    f = Fixture(path)
    projector = wplus.build_projector(f.part("w_proj."))
    tokens = wplus.wplus_tokens(projector, Features(vision=f["in.w_plus"]), TokenOptions(combine="mean vector"))
    uncond = tokens.uncond.expand_as(f["out.uncond_tokens"])
    return f.compare({"tokens": projector(f["in.w_plus"]), "uncond_tokens": uncond})
