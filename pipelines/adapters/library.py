"""Adapters that are loaded once and shared by everybody who asks for the same file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ..registry import Handle, Registry, Runtime
from .checkpoint import TORCH_SUFFIXES
from .families import AUTO, load_adapter
from .family import IdentityAdapter

#: Endings of adapter files.
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
#: Folders below ComfyUI/models where users and other packs keep them.
ADAPTER_FOLDERS = (
    "instantid",
    "ipadapter",
    "pulid",
    "photomaker",
    "arc2face",
    "consistentid",
    "ConsistentID",
    "fastcomposer",
    "masterweaver",
    "facechain_fact",
    "wplus",
    "stableidentity",
)


class _Projector(nn.Module):
    """What of an adapter runs before the sampling; the adapter itself comes along and is not counted here."""

    def __init__(self, adapter: IdentityAdapter) -> None:
        super().__init__()
        self.projector = adapter.projector.float()
        self.adapter: Any = adapter


@dataclass(frozen=True, eq=False)
class LoadedAdapter:
    """An adapter whose projector is under the memory manager. Its sites are the attaching host's affair."""

    handle: Handle
    runtime: Runtime

    @property
    def adapter(self) -> IdentityAdapter:
        return self.handle.module.adapter

    def ready(self) -> IdentityAdapter:
        """The adapter with its projector on the device where it runs."""
        self.runtime.ready(self.handle)
        return self.adapter


def load_shared(registry: Registry, path: Path, choice: str = AUTO) -> LoadedAdapter:
    """The adapter of a file.

    choice: AUTO or the name of a family. The projector computes in float32 whatever the file's dtype is; the sites
    keep theirs. Raises what `families.load_adapter` raises.
    """
    handle = registry.load_file(path, f"identity adapter {choice}", lambda file: _Projector(load_adapter(file, choice)))
    return LoadedAdapter(handle, registry.runtime)


def describe_adapter(adapter: IdentityAdapter) -> str:
    """What an adapter is and what it needs, for people."""
    family = adapter.family
    where = f"{len(adapter.sites)} places in the model" if adapter.sites else "the prompt"
    lines = [f"{family.title}, for {adapter.backbone}; acts on {where}."]
    if family.vector is not None:
        lines.append(f"Reads the {'unit' if family.vector.unit else 'raw'} vector of {family.vector.recogniser}.")
    if family.vision is not None:
        tower = "its own vision tower" if family.vision.tower == "own" else family.vision.tower
        lines.append(f"Reads the reference pictures with {tower}.")
    weights = [
        text
        for text, has in (("a LoRA", adapter.lora or adapter.named_lora), ("weights of the model", adapter.replaced))
        if has
    ]
    if weights:
        lines.append(f"Brings {' and '.join(weights)}.")
    return "\n".join(lines)
