"""ConsistentID for SD1.5 and SDXL: FaceID-type attention tokens, and parts of the face fused into their words.

The vector's tokens read the whole picture; SD1.5 keeps only what was read, SDXL adds it to the tokens (as the two
published pipelines do). The LoRA acts whatever the identity's strength.
Source: ConsistentID, pipline_StableDiffusion_ConsistentID.py, functions.py, attention.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from .checkpoint import Checkpoint, Claims, load_into
from .faceid import VectorAndPictureTokens, build_projector, plus_tokens, plus_v2_tokens
from .family import Family, Features, IdentityAdapter, IdentityTokens, TokenOptions, VectorNeed, VisionNeed
from .fuse import FuseModule, build_fuse
from .lora import split_lora
from .perceiver import Resampler, build_resampler
from .sites import build_sites, key_value_maker

#: Parts of the face in the order of their pictures, and the text that names them when the user gives none.
PARTS = ("face", "ears", "eyes", "nose", "mouth")
CAPTION = "The person has one face, one nose, two eyes, two ears, and one mouth."
#: Prefix of the vector projector in the SD1.5 and in the SDXL file.
PROJECTOR_PREFIXES = ("image_proj.", "image_proj_model.")


class FacialEncoder(nn.Module):
    """One token per picture of a part, fused into the word that names the part."""

    def __init__(self, parts: Resampler, fuse: FuseModule) -> None:
        super().__init__()
        self.visual_projection = parts
        self.fuse_module = fuse

    def forward(self, prompt: Tensor, positions: Tensor, parts: Tensor, present: Tensor) -> Tensor:
        """The prompt with part tokens fused in.

        prompt (B, T, width). positions (B, T) bool: one true entry per present part, in order. parts (B, P, n, c)
        features of the part pictures. present (B, P) bool: which of them exist (others are padding).
        """
        tokens = self.visual_projection(parts[present.bool()])[:, 0]
        return self.fuse_module(prompt, tokens, positions)


def build_facial_encoder(state: Mapping[str, Tensor]) -> FacialEncoder:
    """The encoder of the sizes in a state dict, with its weights."""
    encoder = FacialEncoder(build_resampler(state, prefix="visual_projection."), build_fuse(state, "fuse_module."))
    load_into(encoder, state, "FacialEncoder")
    return encoder


class ConsistentIdProjector(nn.Module):
    """Both projectors of the file."""

    def __init__(self, image_proj: VectorAndPictureTokens, facial: FacialEncoder, shortcut: bool) -> None:
        super().__init__()
        self.image_proj, self.FacialEncoder, self.shortcut = image_proj, facial, shortcut


def consistentid_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens of the vector reading the whole picture."""
    both = cast(ConsistentIdProjector, projector)
    make = plus_v2_tokens if both.shortcut else plus_tokens
    return make(both.image_proj, features, options)


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    what = f"{claims.checkpoint.name} ({family.title})"
    prefix = next(p for p in PROJECTOR_PREFIXES if claims.checkpoint.has(p))
    image_proj = cast(VectorAndPictureTokens, build_projector(claims.take(prefix)))
    facial = build_facial_encoder(claims.take("FacialEncoder."))
    lora, rest = split_lora(claims.take("adapter_modules."))
    backbone, sites = build_sites(rest, key_value_maker("to_k_ip", "to_v_ip"), what)
    projector = ConsistentIdProjector(image_proj, facial, shortcut=backbone.name == "SDXL")
    return IdentityAdapter(family, claims.checkpoint.name, backbone.name, projector, sites, lora)


def _matches(checkpoint: Checkpoint) -> bool:
    return (
        checkpoint.has("FacialEncoder.")
        and checkpoint.has("adapter_modules.")
        and any(f"{prefix}perceiver_resampler.proj_in.weight" in checkpoint for prefix in PROJECTOR_PREFIXES)
    )


CONSISTENTID = Family(
    "consistentid", "ConsistentID", _matches, _build, consistentid_tokens, VectorNeed("arcface_w600k_r50", unit=True),
    VisionNeed("clip_vit_h", "penultimate", "whole", 224), combine="mean tokens",
)  # fmt: skip
