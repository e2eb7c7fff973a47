"""CLIP's vision tower and the encoders that bring one, against transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from likeness.pipelines.adapters.checkpoint import Checkpoint, load_into
from likeness.pipelines.adapters.encoders.clip import build_vision_tower
from likeness.pipelines.adapters.families import build_adapter
from likeness.pipelines.adapters.family import Features
from likeness.pipelines.adapters.fuse import FuseModule
from likeness.pipelines.adapters.photomaker import PictureEncoder, picture_tokens
from likeness.pipelines.errors import InputError


def reference() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    config = transformers.CLIPVisionConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2, image_size=56,
        patch_size=14, projection_dim=48,
    )  # fmt: skip
    return transformers.CLIPVisionModelWithProjection(config).eval().requires_grad_(False)


def below_vision_model(model: Any) -> dict[str, torch.Tensor]:
    state = {key: tensor for key, tensor in model.state_dict().items() if not key.endswith("position_ids")}
    return {key.removeprefix("vision_model."): t for key, t in state.items() if key.startswith("vision_model.")}


def test_the_vision_tower_gives_what_transformers_gives_at_every_output() -> None:
    model = reference()
    state = below_vision_model(model)
    tower = build_vision_tower(state)
    load_into(tower, state, "tower")
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    expected = model(pixels, output_hidden_states=True)
    last, pooled, penultimate = tower(pixels)
    torch.testing.assert_close(last, expected.hidden_states[-1], atol=1e-5, rtol=0)
    torch.testing.assert_close(penultimate, expected.hidden_states[-2], atol=1e-5, rtol=0)
    torch.testing.assert_close(model.visual_projection(pooled), expected.image_embeds, atol=1e-5, rtol=0)


def photomaker(version: int) -> dict[str, torch.Tensor]:
    """A PhotoMaker file of small widths: 64 wide text."""
    random = torch.Generator().manual_seed(version)
    state = {f"vision_model.{key}": tensor for key, tensor in below_vision_model(reference()).items()}
    state["visual_projection.weight"] = torch.randn(24, 128, generator=random)
    state["visual_projection_2.weight"] = torch.randn(40, 128, generator=random)
    state |= {f"fuse_module.{key}": tensor for key, tensor in FuseModule(64).state_dict().items()}
    return {f"id_encoder.{key}": tensor for key, tensor in state.items()}


def test_photomaker_v1_joins_both_projections_to_one_token_per_picture_and_keeps_its_lora() -> None:
    lora = {"lora_weights.unet.conv_in.lora_A.weight": torch.zeros(1)}
    adapter = build_adapter(Checkpoint("photomaker-v1.bin", {**photomaker(1), **lora}))
    assert adapter.family.name == "photomaker_v1"
    assert list(adapter.named_lora) == ["unet.conv_in.lora_A.weight"]
    encoder = adapter.projector
    assert isinstance(encoder, PictureEncoder)
    pixels = torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    tokens = picture_tokens(encoder, Features(vision=pixels))
    pooled = encoder.vision_model(pixels)[1]
    assert tokens.shape == (3, 64)
    torch.testing.assert_close(tokens[:, :24], encoder.visual_projection(pooled))
    torch.testing.assert_close(tokens[:, 24:], encoder.visual_projection_2(pooled))


def test_a_prompt_that_repeats_its_class_word_too_often_is_refused_with_both_counts() -> None:
    adapter = build_adapter(Checkpoint("photomaker-v1.bin", photomaker(1)))
    marked = torch.zeros(1, 9, dtype=torch.bool)
    marked[0, 2:6] = True
    with pytest.raises(InputError, match=r"4 token\(s\).*3 identity"):
        adapter.projector.fuse_module(torch.randn(1, 9, 64), torch.randn(3, 64), marked)
