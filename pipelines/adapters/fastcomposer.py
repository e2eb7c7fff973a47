"""FastComposer for SD1.5: pictures of subjects fused into the words that name them, and late.

The published file is a whole model; its fusion and its vision tower are the adapter, its UNet and text tower load as
an ordinary model. Source: FastComposer, fastcomposer/model.py, pipeline.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .checkpoint import Claims, load_into
from .encoders.clip import ClipVisionTower, build_vision_tower
from .family import Family, IdentityAdapter, VisionNeed
from .fuse import FuseModule, build_fuse

#: The marker behind a subject's words in a prompt, removed before the text tower.
MARKER = "<|image|>"
#: Parts of the published file that a model loader reads.
MODEL_PARTS = ("unet.", "vae.", "text_encoder.")


class SubjectProjector(nn.Module):
    """CLIP's projected class vector, one token per subject, with the fusion module beside it."""

    def __init__(self, postfuse: FuseModule, vision: ClipVisionTower | None, projection: nn.Linear | None) -> None:
        super().__init__()
        self.postfuse_module = postfuse
        if vision is not None and projection is not None:
            self.vision_model, self.visual_projection = vision, projection

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (N, 3, 224, 224), one per subject → (N, width)."""
        return self.visual_projection(self.vision_model(pixels)[1])


def chosen_subjects(subjects: Tensor, counts: Tensor) -> Tensor:
    """(B, most, 1, width) padded subjects and how many of each prompt count → (N, width), first prompt first."""
    keep = torch.arange(subjects.shape[1], device=subjects.device) < counts[:, None]
    return subjects.flatten(2)[keep]


def build_postfuse(state: Mapping[str, Tensor]) -> FuseModule:
    """The fusion module of a state dict, with its weights."""
    module = build_fuse(state)
    load_into(module, state, "postfuse_module")
    return module


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    postfuse = build_postfuse(claims.take("postfuse_module."))
    claims.drop([key for key in claims.checkpoint.tensors if key.startswith(MODEL_PARTS)])
    vision, projection = None, None
    if claims.checkpoint.has("image_encoder."):
        state = claims.take("image_encoder.")
        vision = build_vision_tower(state, "vision_model.")
        out, width = state["visual_projection.weight"].shape
        projection = nn.Linear(width, out, bias=False)
        both = nn.ModuleDict({"vision_model": vision, "visual_projection": projection})
        load_into(
            both, {key: t for key, t in state.items() if not key.endswith("position_ids")}, claims.checkpoint.name
        )
    projector = SubjectProjector(postfuse, vision, projection)
    return IdentityAdapter(family, claims.checkpoint.name, "SD1.5", projector)


FASTCOMPOSER = Family(
    "fastcomposer", "FastComposer", lambda c: c.has("postfuse_module."), _build,
    vision=VisionNeed("own", "pixels", "subject_224", 224),
)  # fmt: skip
