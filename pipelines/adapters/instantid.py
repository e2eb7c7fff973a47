"""InstantID for SDXL: a resampler turns the raw vector into 16 tokens for 70 cross-attentions and for IdentityNet.

The vector is not normalised; the unconditional side is the resampler of a zero vector, not zero tokens.
Source: InstantID, pipeline_stable_diffusion_xl_instantid.py.
"""

from __future__ import annotations

from .faceid import build_resampler_adapter, matches_resampler, resampler_tokens
from .family import Family, VectorNeed

INSTANTID = Family(
    "instantid", "InstantID", matches_resampler, build_resampler_adapter, resampler_tokens,
    VectorNeed("arcface_glintr100", unit=False),
)  # fmt: skip
