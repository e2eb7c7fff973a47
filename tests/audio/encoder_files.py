"""Files of audio encoders with the true layout and random weights, as ComfyUI's own loader takes them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

WIDTH, DEPTH, CONV = 768, 12, 512


def wav2vec2_base(seed: int = 0) -> dict[str, torch.Tensor]:
    """wav2vec2-base, 94 million numbers in half precision: keys and shapes of facebook/wav2vec2-base."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float) -> torch.Tensor:
        return (torch.randn(*shape, generator=random) * scale).half()

    def norm(name: str, width: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": torch.ones(width).half(), f"{name}.bias": torch.zeros(width).half()}

    def linear(name: str, inputs: int, outputs: int) -> dict[str, torch.Tensor]:
        weight = normal(outputs, inputs, scale=inputs**-0.5)
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs).half()}

    tensors = {"masked_spec_embed": normal(WIDTH, scale=1.0)}
    for index, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        inputs = CONV if index else 1
        weight = normal(CONV, inputs, kernel, scale=(2 / (inputs * kernel)) ** 0.5)
        tensors[f"feature_extractor.conv_layers.{index}.conv.weight"] = weight
    tensors |= norm("feature_extractor.conv_layers.0.layer_norm", CONV)
    tensors |= norm("feature_projection.layer_norm", CONV) | linear("feature_projection.projection", CONV, WIDTH)
    tensors |= norm("encoder.layer_norm", WIDTH)
    position = "encoder.pos_conv_embed.conv"
    tensors[f"{position}.weight_v"] = normal(WIDTH, WIDTH // 16, 128, scale=0.01)
    tensors[f"{position}.weight_g"] = torch.full((1, 1, 128), 0.5).half()
    tensors[f"{position}.bias"] = torch.zeros(WIDTH).half()
    for index in range(DEPTH):
        layer = f"encoder.layers.{index}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= linear(f"{layer}.attention.{name}", WIDTH, WIDTH)
        tensors |= norm(f"{layer}.layer_norm", WIDTH) | norm(f"{layer}.final_layer_norm", WIDTH)
        tensors |= linear(f"{layer}.feed_forward.intermediate_dense", WIDTH, 4 * WIDTH)
        tensors |= linear(f"{layer}.feed_forward.output_dense", 4 * WIDTH, WIDTH)
    return {f"wav2vec2.{name}": tensor for name, tensor in tensors.items()}


def write_wav2vec2_base(path: Path) -> Path:
    """The file of it, 190 MB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(wav2vec2_base(), path)
    return path
