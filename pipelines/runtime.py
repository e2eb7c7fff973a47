"""What a pipeline may ask of its surroundings: a device, memory, progress, cancel, folders."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from .errors import CancelledError


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

    def ready(self, handle: Handle, activation_bytes: int = 0, beside: Sequence[Handle] = ()) -> None:
        """Bring a model to its device, with room for its activations, before it is called.

        beside: models that it calls, or that are called between its layers. Every other one may leave the device.
        """
        ...

    def progress(self, total: int) -> Progress: ...

    def check_cancelled(self) -> None:
        """Raise when the user has cancelled."""
        ...


def resolve_folder(roots: Mapping[str, Sequence[Path]], folder: str) -> tuple[Path, ...]:
    """The folders on disk for a path below ComfyUI/models.

    roots: per folder name ("insightface", "insightface/models", or "" for the models folder itself) the paths that
    hold it. folder: such a path, with "/". Concretely each root whose name begins `folder`, the longest name first,
    joined with the rest of `folder`; no path twice.
    """
    parts = folder.split("/") if folder else []
    found: dict[Path, None] = {}
    for count in range(len(parts), -1, -1):
        for root in roots.get("/".join(parts[:count]), ()):
            found[Path(root, *parts[count:])] = None
    return tuple(found)


def give_back_memory() -> None:
    """Let the allocator return what was freed to the system, where it would keep it otherwise.

    glibc keeps what it got for allocations below 32 MB, as onnxruntime's weights are, until it is told.
    """
    if sys.platform == "linux" and not sys.is_finalizing():
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class GivesMemoryBack:
    """The last attribute of what owns a model: it dies just after the model, and then calls `give_back_memory`."""

    def __del__(self) -> None:
        give_back_memory()


class TorchHandle:
    """A model under `TorchRuntime`: it stays on its device as long as somebody holds it."""

    def __init__(self, device: torch.device, module: Any = None, build: Callable[[torch.device], Any] | None = None):
        self._device = device
        self._module = module
        self._build = build
        self._last = GivesMemoryBack()

    @property
    def module(self) -> Any:
        return self._module

    @property
    def device(self) -> torch.device:
        return self._device

    def bring(self) -> None:
        """Make the session, if this is one that is not made yet."""
        if self._module is None and self._build is not None:
            self._module = self._build(self._device)


class TorchProgress:
    """Reports steps to a callback and raises CancelledError when the runtime is cancelled."""

    def __init__(self, runtime: TorchRuntime, total: int) -> None:
        self._runtime = runtime
        self._total = total
        self._done = 0

    def update(self, steps: int = 1) -> None:
        """Count `steps` more as done. Raises CancelledError."""
        self._runtime.check_cancelled()
        self._done = min(self._done + steps, self._total)
        self._runtime.on_progress(self._done, self._total)


def _ignore_progress(done: int, total: int) -> None:
    """Nobody watches."""


def _never() -> bool:
    return False


class TorchRuntime:
    """The surroundings of a pipeline outside ComfyUI: a script, a notebook, a batch worker, a test.

    device: where models run, "cpu" or "cuda:0". model_folders: folder name below ComfyUI/models -> where it is on
    disk; the name "" is the models folder itself, as in `TorchRuntime(model_folders={"": "ComfyUI/models"})`.
    on_progress: called with (steps done, steps in all). is_cancelled: asked at every step; when it says True the
    work stops with CancelledError.
    """

    def __init__(
        self,
        device: str | torch.device = "cpu",
        model_folders: Mapping[str, str | Path | Sequence[str | Path]] | None = None,
        on_progress: Callable[[int, int], None] = _ignore_progress,
        is_cancelled: Callable[[], bool] = _never,
    ) -> None:
        self._device = torch.device(device)
        self._roots = {
            name: [Path(folders)] if isinstance(folders, (str, Path)) else [Path(folder) for folder in folders]
            for name, folders in (model_folders or {}).items()
        }
        self.on_progress = on_progress
        self._is_cancelled = is_cancelled

    @property
    def device(self) -> torch.device:
        """Where models run."""
        return self._device

    def model_folders(self, folder: str) -> tuple[Path, ...]:
        """The folders to look in for weights of `folder`: `resolve_folder` of the folders given."""
        return resolve_folder(self._roots, folder)

    def hold(self, module: nn.Module) -> TorchHandle:
        """Put a torch module on the device."""
        return TorchHandle(self._device, module.to(self._device))

    def hold_session(self, build: Callable[[torch.device], Any], size_bytes: int) -> TorchHandle:
        """A model that is no torch module, made at the first `ready`."""
        return TorchHandle(self._device, build=build)

    def ready(self, handle: Handle, activation_bytes: int = 0, beside: Sequence[Handle] = ()) -> None:
        """Make the sessions of the handles if they are not made yet; modules are on their device already."""
        for each in (handle, *beside):
            if isinstance(each, TorchHandle):
                each.bring()

    def progress(self, total: int) -> TorchProgress:
        """A progress bar of `total` steps for `on_progress`."""
        return TorchProgress(self, total)

    def check_cancelled(self) -> None:
        """Raise CancelledError when `is_cancelled` says so."""
        if self._is_cancelled():
            raise CancelledError("The work was cancelled.")
