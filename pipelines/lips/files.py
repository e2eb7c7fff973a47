"""The files of the neural lip backends: which of them are there, and one message for all that are not."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import MissingWeightsError
from ..registry import Handle, Registry
from ..weights import target
from .whisper import read_whisper_tiny

#: whisper-tiny as it is published, any of them will do; the first is what is fetched.
WHISPER_FILES = ("whisper_tiny_safetensors", "whisper_tiny_bin", "whisper_tiny_openai")
#: The VAE of Stable Diffusion 1.5 that MuseTalk was trained with; ComfyUI's own Load VAE reads it.
VAE_FILE = "sd_vae_ft_mse_bin"


def present(registry: Registry, ids: Sequence[str]) -> str | None:
    """The first of several ids whose file is there, or None."""
    return next((weights_id for weights_id in ids if registry.find(weights_id) is not None), None)


def require_files(registry: Registry, what: str, needed: Sequence[Sequence[str]]) -> None:
    """Raise MissingWeightsError that lists all that is missing: folder, size, licence, and one command.

    needed: groups of ids of which one file each is enough.
    """
    missing = [registry.manifest.entry(ids[0]) for ids in needed if present(registry, ids) is None]
    if not missing:
        return
    lines = [
        f"  {entry.file} ({entry.size_text}) belongs into {target(entry, registry.runtime).parent}. "
        f"Licence: {entry.licence} (commercial use: {entry.commercial_use})"
        for entry in missing
    ]
    sources = dict.fromkeys(entry.urls[0].rsplit("/resolve/", 1)[0] for entry in missing)
    raise MissingWeightsError(
        f"{what} needs {len(missing)} file(s) that are not there:\n"
        + "\n".join(lines)
        + f"\nFetch them with `./likeness fetch {' '.join(entry.id for entry in missing)}`, or put them there yourself "
        f"from {' and '.join(sources)}."
    )


def load_whisper(registry: Registry) -> tuple[Handle, str]:
    """whisper-tiny's encoder, shared, and the id of its file. Raises as `require_files` and `Registry.load`."""
    require_files(registry, "Hearing with whisper-tiny", [WHISPER_FILES])
    weights_id = present(registry, WHISPER_FILES) or WHISPER_FILES[0]
    return registry.load(weights_id, read_whisper_tiny), weights_id


def computing_dtype(registry: Registry, half_precision: bool) -> torch.dtype:
    """16 bit where it is asked for and the device is a graphics card."""
    return torch.float16 if half_precision and registry.runtime.device.type == "cuda" else torch.float32
