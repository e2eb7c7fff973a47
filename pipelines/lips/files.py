"""The files that the neural lip backends share."""

from __future__ import annotations

import torch

from ..registry import Handle, Registry
from .whisper import read_whisper_tiny

#: whisper-tiny as it is published, any of them will do; the first is what is fetched.
WHISPER_FILES = ("whisper_tiny_safetensors", "whisper_tiny_bin", "whisper_tiny_openai")
#: The VAE of Stable Diffusion 1.5 that MuseTalk was trained with; ComfyUI's own Load VAE reads it.
VAE_FILE = "sd_vae_ft_mse_bin"


def load_whisper(registry: Registry) -> tuple[Handle, str]:
    """whisper-tiny's encoder, shared, and the id of its file. Raises as `Registry.load`."""
    registry.require("Hearing with whisper-tiny", [WHISPER_FILES])
    weights_id = registry.first_present(WHISPER_FILES) or WHISPER_FILES[0]
    return registry.load(weights_id, read_whisper_tiny), weights_id


def computing_dtype(registry: Registry, half_precision: bool) -> torch.dtype:
    """16 bit where it is asked for and the device is a graphics card."""
    return torch.float16 if half_precision and registry.runtime.device.type == "cuda" else torch.float32
