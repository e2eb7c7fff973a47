"""What Image Only Checkpoint Loader gives, at the sizes of the tests' files: a video model, CLIP Vision and a VAE."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import torch
from tiny_lips import WIDTH, network_config


def video_model():
    """ComfyUI's Stable Video Diffusion with weights that only DICE-Talk's file gives a meaning."""
    import comfy.model_base
    import comfy.model_patcher
    import comfy.supported_models

    sizes = network_config()
    config = comfy.supported_models.SVD_img2vid(sizes)
    config.unet_config = {**sizes, "dtype": torch.float32}
    model = comfy.model_base.SVD_img2vid(config).eval()
    for name, weight in model.diffusion_model.state_dict().items():
        # every run of every machine has the same weights
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        fan_in = float(torch.tensor(weight.shape[1:]).prod()) if weight.ndim > 1 else 100.0
        weight.copy_(torch.randn(weight.shape, generator=generator) * fan_in**-0.5)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


class SeenColours:
    """A CLIP Vision whose embedding is made of the picture's mean colours."""

    def encode_image(self, image, crop=True):
        colours = torch.nn.functional.adaptive_avg_pool2d(image[..., :3].movedim(-1, 1), 2).flatten(1)
        return SimpleNamespace(image_embeds=colours.repeat(1, WIDTH // colours.shape[1]) * 2 - 1)
