"""Text and vision towers for the tiny models: ComfyUI's own tokenisers and classes, random weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import comfy.clip_vision
import torch
from comfy.sd1_clip import SD1Tokenizer
from comfy.sdxl_clip import SDXLTokenizer
from comfy.text_encoders.sd2_clip import SD2Tokenizer
from tiny_models import TEXT, random_state


class TinyClip:
    """The real tokenisers and a random text model: every token has a vector of its own, mixed with its neighbours."""

    def __init__(self, kind: str) -> None:
        self.width, self.pooled = TEXT[kind]
        self.tokenizer = {"SDXL": SDXLTokenizer, "SD2.1": SD2Tokenizer}.get(kind, SD1Tokenizer)()

    def tokenize(self, text: str, **_others: Any) -> dict[str, Any]:
        return self.tokenizer.tokenize_with_weights(text)

    def encode_from_tokens_scheduled(self, tokens: dict[str, Any], **_others: Any) -> list[Any]:
        chunks = tokens.get("l") or tokens["h"]
        rows = [self._row(token[0]) for chunk in chunks for token in chunk]
        cond = torch.stack(rows)
        cond = cond + 0.3 * cond.roll(1, 0)
        values = {"pooled_output": cond.mean(0)[None, :1].expand(1, self.pooled).clone()}
        return [[cond[None], values]]

    def _row(self, token: Any) -> torch.Tensor:
        if torch.is_tensor(token):
            return torch.nn.functional.pad(token.float(), (0, max(self.width - len(token), 0)))[: self.width]
        return torch.randn(self.width, generator=torch.Generator().manual_seed(int(token)))


@cache
def clip_vision(width: int = 1280) -> Any:
    """ViT-H/14 or ViT-L/14 with two layers."""
    tower = comfy.clip_vision.ClipVisionModel(
        {
            "hidden_size": width, "intermediate_size": 256, "num_attention_heads": 16, "num_hidden_layers": 2,
            "num_channels": 3, "patch_size": 14, "image_size": 224, "projection_dim": 64, "hidden_act": "gelu",
            "layer_norm_eps": 1e-5, "model_type": "clip_vision_model",
        }
    )  # fmt: skip
    tower.load_sd(random_state(((n, t.shape) for n, t in tower.get_sd().items()), 5, torch.float32))
    return tower
