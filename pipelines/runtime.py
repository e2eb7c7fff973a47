"""What a pipeline may ask of its surroundings: a device, memory, progress, cancel, folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn


class Handle(Protocol):
    """A live model that several users share. `module` may only be called after `Runtime.ready`."""

    @property
    def module(self) -> Any: ...

    @property
    def device(self) -> torch.device: ...


class Progress(Protocol):
    """A progress bar; `update` raises when the user has cancelled."""

    def update(self, steps: int = 1) -> None: ...


class Runtime(Protocol):
    """The surroundings of a pipeline: ComfyUI's (`nodes/comfy_runtime.py`) or plain torch's (`TorchRuntime`)."""

    @property
    def device(self) -> torch.device:
        """Where models run."""
        ...

    def model_folders(self, folder: str) -> tuple[Path, ...]:
        """The folders to look in for weights of `folder` (a path below ComfyUI/models), first match wins."""
        ...

    def hold(self, module: nn.Module) -> Handle:
        """Put a torch module under the memory manager."""
        ...

    def hold_session(self, build: Callable[[torch.device], Any], size_bytes: int) -> Handle:
        """Put a model that is no torch module (an onnxruntime session) under the memory manager.

        build: makes the session for a device; it runs again after the memory manager dropped the session.
        """
        ...

    def ready(self, handle: Handle, activation_bytes: int = 0) -> None:
        """Bring a model to its device, with room for its activations, before it is called."""
        ...

    def progress(self, total: int) -> Progress: ...

    def check_cancelled(self) -> None:
        """Raise when the user has cancelled."""
        ...
