"""ComfyUI around a pipeline: its device, model folders, memory manager, progress bar and cancel button."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.utils
import folder_paths
import torch
from comfy.patcher_extension import CallbacksMP
from torch import nn

from ..pipelines.adapters.library import ADAPTER_FOLDERS, SUFFIXES
from ..pipelines.registry import Registry
from ..pipelines.runtime import GivesMemoryBack, give_back_memory, resolve_folder
from .witness import took_part

#: Our folders below ComfyUI/models -> the endings listed in them. ComfyUI's own set of endings lacks .onnx.
MODEL_FOLDERS = {
    "likeness": (".safetensors", ".onnx"),
    "insightface": (".onnx",),
    "unavglip": SUFFIXES,
    "dice_talk": SUFFIXES,
    **{folder: SUFFIXES for folder in ADAPTER_FOLDERS},
}

#: More memory than any device has: ComfyUI's way to say "load all of it".
_ALL_OF_IT = 1e32


def register_folders() -> None:
    """Tell ComfyUI our model folders, keeping the paths and endings that the user or another pack has given them."""
    for name, endings in MODEL_FOLDERS.items():
        paths, known = folder_paths.folder_names_and_paths.get(name, ([], set()))
        default = str(Path(folder_paths.models_dir, name))
        merged = [*paths] if default in paths else [*paths, default]
        folder_paths.folder_names_and_paths[name] = (merged, _merged_endings(paths, known, endings))


def _merged_endings(paths: list[str], known: Iterable[str], ours: tuple[str, ...]) -> set[str]:
    # a key with paths but without endings lists every file: ours would hide some of them
    return set() if paths and not known else {*known, *ours}


class WholePatcher(comfy.model_patcher.ModelPatcher):
    """For modules that are called as they are: on their device they are whole.

    Where ComfyUI saves memory it leaves a model behind, or a part of it, which only its own operations can run then.
    """

    def partially_load(
        self, device_to: torch.device, extra_memory: float = 0, force_patch_weights: bool = False
    ) -> int:
        return super().partially_load(device_to, _ALL_OF_IT, force_patch_weights)


def whole_patcher(module: nn.Module) -> WholePatcher:
    """A module that waits where ComfyUI keeps what is not in use."""
    return WholePatcher(module, comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device())


class ComfyHandle:
    """A model under ComfyUI's memory manager. ComfyUI finds `patcher` on what nodes hand out."""

    def __init__(self, patcher: comfy.model_patcher.ModelPatcher) -> None:
        self.patcher = patcher
        self._last = GivesMemoryBack()

    @property
    def module(self) -> Any:
        model = self.patcher.model
        return model.session if isinstance(model, SessionHolder) else model

    @property
    def device(self) -> torch.device:
        return self.patcher.load_device


class SessionHolder(nn.Module):
    """Stands for a model that is no torch module where ComfyUI expects one; `session` is None while it is dropped."""

    def __init__(self, build: Callable[[torch.device], Any]) -> None:
        super().__init__()
        self.build = build
        self.session: Any = None


def _make_session(patcher: Any, device: torch.device, *_: Any) -> None:
    holder = patcher.model
    if holder.session is None:
        holder.session = holder.build(device)
    holder.model_loaded_weight_memory = patcher.model_size()


def _drop_session(patcher: Any, unpatch_all: bool) -> None:
    # every load_models_gpu detaches with unpatch_all=False first: that is no request for memory
    if unpatch_all:
        patcher.model.session = None
        give_back_memory()


class ComfyProgress:
    """ComfyUI's progress bar of the running node; raises ComfyUI's interrupt when the user cancels."""

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)

    def update(self, steps: int = 1) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._bar.update(steps)


class ComfyRuntime:
    """What a pipeline asks of its surroundings, answered by ComfyUI."""

    @property
    def device(self) -> torch.device:
        return comfy.model_management.get_torch_device()

    def model_folders(self, folder: str) -> tuple[Path, ...]:
        """The user's folders first (extra_model_paths.yaml and registered ones), then ComfyUI/models itself."""
        first, slash, rest = folder.partition("/")
        roots = {name: [Path(path) for path in entry[0]] for name, entry in folder_paths.folder_names_and_paths.items()}
        roots[""] = [Path(folder_paths.models_dir)]
        return tuple(
            dict.fromkeys(
                [*resolve_folder(roots, folder_paths.map_legacy(first) + slash + rest), *resolve_folder(roots, folder)]
            )
        )

    def hold(self, module: nn.Module) -> ComfyHandle:
        offload = comfy.model_management.unet_offload_device()
        # looked up at call time: ComfyUI exchanges the class when dynamic VRAM is on
        core = comfy.model_patcher.CoreModelPatcher
        kind = WholePatcher if core is comfy.model_patcher.ModelPatcher else core
        patcher = kind(module.to(offload), self.device, offload)
        comfy.model_management.archive_model_dtypes(module)
        return ComfyHandle(patcher)

    def hold_session(self, build: Callable[[torch.device], Any], size_bytes: int) -> ComfyHandle:
        offload = comfy.model_management.unet_offload_device()
        # the plain patcher: a session cannot be loaded in parts, as the dynamic one would
        patcher = comfy.model_patcher.ModelPatcher(SessionHolder(build), self.device, offload, size=size_bytes)
        patcher.add_callback(CallbacksMP.ON_LOAD, _make_session)
        patcher.add_callback(CallbacksMP.ON_DETACH, _drop_session)
        return ComfyHandle(patcher)

    def ready(self, handle: ComfyHandle, activation_bytes: int = 0, beside: Sequence[ComfyHandle] = ()) -> None:
        for each in (handle, *beside):
            took_part(each)
        patchers = [each.patcher for each in (handle, *beside)]
        comfy.model_management.load_models_gpu(patchers, memory_required=activation_bytes, force_full_load=True)

    def progress(self, total: int) -> ComfyProgress:
        return ComfyProgress(total)

    def check_cancelled(self) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()


_registry: Registry | None = None
_registry_lock = threading.Lock()


def shared_registry() -> Registry:
    """The one registry of this ComfyUI process. It keeps no model alive: only the node outputs that hold one do."""
    global _registry
    with _registry_lock:
        if _registry is None:
            _registry = Registry(ComfyRuntime())
        return _registry
