"""ComfyUI's CLIP_VISION as a tower that reads prepared pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ..pipelines.adapters.features import Seen


@dataclass(frozen=True, eq=False)
class ClipVisionTower:
    """Calls the model itself: its own preparation would resize and normalise pictures a second time.

    The all-zero input that stands for nobody is zero after the normalisation, which only this way can give.
    """

    clip_vision: Any

    def __call__(self, pixels: Tensor) -> Seen:
        comfy.model_management.load_model_gpu(self.clip_vision.patcher)
        last, penultimate, *_ = self.clip_vision.model(
            pixel_values=pixels.to(self.clip_vision.load_device).float(), intermediate_output=-2
        )
        return Seen(penultimate, last)


def tower_of(clip_vision: Any) -> ClipVisionTower | None:
    """The tower of a connected CLIP_VISION."""
    return None if clip_vision is None else ClipVisionTower(clip_vision)


def connected_features(output: Any) -> Tensor | None:
    """What another encoder saw, from a CLIP_VISION_OUTPUT."""
    return None if output is None else torch.as_tensor(output["penultimate_hidden_states"])
