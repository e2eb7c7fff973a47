"""FaceChain-FACT for SD1.5: TransFace's local tokens enter by a gated self-attention before every cross-attention.

Several photos give one sequence, 16 tokens each. The file also stores the LayerNorm before the cross-attention, which
the reference loads over the model's own: those are weight changes of the adapter here.
Source: FaceChain, face_adapter/face_adapter_v1.py, face_attention_processor_v1.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..backbones.unet import SD15
from ..errors import WrongWeightsError
from .checkpoint import Checkpoint, Claims, load_into
from .family import Family, Features, IdentityAdapter, IdentityTokens, TokenOptions, VisionNeed, combine_tokens
from .injectors import GatedSelfAttentionSite
from .perceiver import build_resampler
from .sites import SiteState, build_sites

PROCESSOR = ".attn2.processor."


def split_processors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[int, dict[str, Tensor]]]:
    """`{transformer block}.attn2.processor.{name}` tensors as `{number}.{name}`, and the stored norms by number."""
    places = SD15.by_diffusers()
    layers: dict[str, Tensor] = {}
    norms: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        path, found, name = key.partition(PROCESSOR)
        site = places.get(path)
        if not found or site is None:
            raise WrongWeightsError(f"FaceChain-FACT: {key!r} belongs to no cross-attention of {SD15.name}.")
        if name.startswith("ln."):
            norms.setdefault(site.number, {})[name.replace("ln.", "norm2.")] = tensor
        else:
            layers[f"{site.number}.{name}"] = tensor.reshape(()) if name.startswith("alpha_") else tensor
    return layers, norms


def make_site(state: SiteState) -> nn.Module:
    """A gated site of the sizes in a state dict; not filled."""
    width, context = state["linear.weight"].shape
    return GatedSelfAttentionSite(width, context, state["ff.net.2.weight"].shape[1])


def fact_tokens(projector: nn.Module, features: Features, options: TokenOptions) -> IdentityTokens:
    """Tokens of `features.vision` (R, 144, 512), TransFace's local tokens."""
    local = features.need_vision("FaceChain-FACT")
    sides = (projector(local), projector(torch.zeros_like(local)))
    return IdentityTokens(*(combine_tokens(side, options.combine, features.weights) for side in sides))


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    what = f"{claims.checkpoint.name} ({family.title})"
    state = claims.take("local_fac_prj.")
    projector = build_resampler(state)
    load_into(projector, state, what)
    blocks = {
        f"{prefix}{key}": tensor
        for prefix in ("down_blocks.", "up_blocks.", "mid_block.")
        for key, tensor in claims.take(prefix).items()
    }
    layers, norms = split_processors(blocks)
    backbone, sites = build_sites(layers, make_site, what)
    if norms and any(set(norms.get(number, ())) != {"norm2.weight", "norm2.bias"} for number in sites):
        raise WrongWeightsError(f"{what}: the stored LayerNorms (ln) are incomplete: download the file again.")
    return IdentityAdapter(family, claims.checkpoint.name, backbone.name, projector, sites, replaced=norms)


def _matches(checkpoint: Checkpoint) -> bool:
    return checkpoint.has("local_fac_prj.") and any(PROCESSOR in key for key in checkpoint.tensors)


FACT = Family(
    "fact", "FaceChain-FACT", _matches, _build, fact_tokens,
    vision=VisionNeed("transface_s", "tokens", "head_112", 112), combine="join tokens",
    same_sides=True,
)  # fmt: skip
