"""The VAE of Stable Diffusion 1.5, which is given: pictures to latents and back."""

from __future__ import annotations

import hashlib
from typing import Protocol

import torch
from torch import Tensor

from ..errors import InputError

#: What latents are multiplied by for the network, their channels, and how many pixels each is wide.
LATENT_SCALE, LATENT_CHANNELS, LATENT_PX = 0.18215, 4, 8
#: Side of the latents whose picture tells two VAEs apart.
_PROBE = 4


class LatentCoder(Protocol):
    """A VAE as ComfyUI's is."""

    def encode(self, pixels: Tensor, /) -> Tensor:
        """(N, H, W, 3) in [0, 1] → the means of its latents (N, 4, H / 8, W / 8), not scaled."""
        ...

    def decode(self, latents: Tensor, /) -> Tensor:
        """The way back."""
        ...


def encoded(coder: LatentCoder, pixels: Tensor) -> Tensor:
    """(N, H, W, 3) → (N, 4, H / 8, W / 8) float32 on the CPU. Raises InputError for the VAE of another model."""
    latents = coder.encode(pixels).float().cpu()
    wanted = (len(pixels), LATENT_CHANNELS, pixels.shape[1] // LATENT_PX, pixels.shape[2] // LATENT_PX)
    if tuple(latents.shape) != wanted:
        raise _wrong("latents", latents, wanted)
    return latents


def decoded(coder: LatentCoder, latents: Tensor) -> Tensor:
    """(N, 4, h, w) → (N, 8 h, 8 w, 3) float32 in [0, 1] on the CPU. Raises InputError as `encoded`."""
    pixels = coder.decode(latents).float().cpu()
    wanted = (len(latents), latents.shape[2] * LATENT_PX, latents.shape[3] * LATENT_PX, 3)
    if tuple(pixels.shape) != wanted:
        raise _wrong("pictures", pixels, wanted)
    return pixels.clamp(0, 1)


def coder_print(coder: LatentCoder) -> str:
    """Tells two VAEs apart by what they make of nothing. Raises InputError for the VAE of another model."""
    side = _PROBE * LATENT_PX
    encoded(coder, torch.full((1, side, side, 3), 0.5))
    seen = decoded(coder, torch.zeros(1, LATENT_CHANNELS, _PROBE, _PROBE))
    return hashlib.sha256((seen * 64).round().to(torch.uint8).numpy().tobytes()).hexdigest()


def _wrong(what: str, got: Tensor, wanted: tuple[int, ...]) -> InputError:
    return InputError(
        f"The VAE gave {what} {tuple(got.shape)}, {wanted} are needed: it is another model's. Load sd-vae-ft-mse or "
        "vae-ft-mse-840000 (Stable Diffusion 1.5, 4 channels, 8 px) with Load VAE."
    )
