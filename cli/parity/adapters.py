"""Every comparison of the identity adapters."""

from __future__ import annotations

from . import blocks, projectors, prompts
from .check import Check
from .unets import UNET_CHECKS

#: Modules on their own.
MODULES: tuple[Check, ...] = (
    Check("instantid_image_proj", "InstantID's resampler", projectors.instantid_image_proj),
    Check("faceid_image_proj", "FaceID's projector", projectors.faceid_vector_proj),
    Check("faceid_portrait_image_proj", "FaceID Portrait's projector", projectors.faceid_vector_proj),
    Check("faceid_plus_image_proj", "FaceID Plus and Plus v2", projectors.faceid_plus_image_proj),
    Check("pulid_idformer", "PuLID 1.1's encoder, one and two faces", projectors.pulid_idformer),
    Check("pulid_v1_id_encoder", "PuLID 1.0's encoder", projectors.pulid_v1_id_encoder),
    Check("pulid_flux_cross_attention", "PuLID's attention block for FLUX", projectors.pulid_flux_cross_attention),
    Check("masterweaver_id_resampler", "MasterWeaver's resampler and slots", projectors.masterweaver_id_resampler),
    Check("fact_face_projector", "FACT's resampler, two photos", projectors.fact_face_projector),
    Check("fact_gated_block", "FACT's gated self-attention in a block", blocks.fact_gated_block),
    Check("wplus_projection", "W+ code to tokens", projectors.wplus_projection),
    Check("consistentid_image_proj", "ConsistentID's projector", projectors.consistentid_image_proj),
    Check("consistentid_facial_encoder", "ConsistentID's parts in the prompt", projectors.consistentid_facial_encoder),
    Check("fastcomposer_postfuse", "FastComposer's fusion, several subjects", prompts.fastcomposer_postfuse),
    Check("fastcomposer_delay", "FastComposer's delay, step by step", prompts.fastcomposer_delay),
    Check("photomaker_v1_fuse", "PhotoMaker v1's fusion", prompts.photomaker_fuse),
    Check("photomaker_v2_fuse", "PhotoMaker v2's fusion", prompts.photomaker_fuse),
    Check("photomaker_v2_qformer", "PhotoMaker v2's queries", prompts.photomaker_v2_qformer),
    Check("stableidentity_celeb_tokens", "StableIdentity's tokens", prompts.stableidentity_celeb_tokens),
    Check("arc2face_text", "Arc2Face's text tower", prompts.arc2face_text),
    Check("eva02_clip_visual", "EVA02-CLIP's tower", prompts.eva02_clip_visual),
    Check("eva02_clip_visual_deep", "EVA02-CLIP's five levels", prompts.eva02_clip_visual),
)

#: Whole models; these start ComfyUI in the process.
MODELS: tuple[Check, ...] = tuple(Check(name, "the model with the adapter", run) for name, run in UNET_CHECKS.items())

CHECKS: tuple[Check, ...] = (*MODULES, *MODELS)
