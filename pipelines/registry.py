"""Weights id → one shared live model, forgotten when nobody holds it."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from .errors import MissingPackageError, MissingWeightsError, WrongWeightsError
from .files.onnx_data import check_external_data
from .runtime import Handle, Runtime
from .weights import Manifest, WeightsEntry, as_recorded, find, locate, target, verify

__all__ = ["Handle", "Registry", "Runtime", "open_onnx_session"]

_log = logging.getLogger(__name__)

#: Weights id, content hash, and what the model was built as (a dtype or "session").
_Key = tuple[str, str, str]


class Registry:
    """Builds each model once and shares it.

    Only weak references are kept: a model lives as long as somebody holds its handle. A file that was replaced on disk
    is another model, because the content hash is part of the key. Any number of threads may ask at once.
    """

    def __init__(self, runtime: Runtime, manifest: Manifest | None = None) -> None:
        self.runtime = runtime
        self.manifest = Manifest.load() if manifest is None else manifest
        self._handles: WeakValueDictionary[_Key, Handle] = WeakValueDictionary()
        self._builders: WeakValueDictionary[_Key, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()

    def find(self, weights_id: str) -> Path | None:
        """Where the file of an id lies, or None: what `backend = auto` asks. Raises as `weights.find`."""
        return find(as_recorded(self.manifest.entry(weights_id), self.runtime), self.runtime)

    def first_present(self, ids: Sequence[str]) -> str | None:
        """The first of several ids whose file is there, or None."""
        return next((weights_id for weights_id in ids if self.find(weights_id) is not None), None)

    def require(self, what: str, needed: Sequence[Sequence[str]], more: str = "") -> None:
        """Raise MissingWeightsError that lists all that is missing: folder, size, licence, and one command.

        what: needs the files. needed: groups of ids of which one file each is enough. more: said at the end.
        """
        missing = [self.manifest.entry(ids[0]) for ids in needed if self.first_present(ids) is None]
        if not missing:
            return
        lines = [
            f"  {entry.file} ({entry.size_text}) belongs into {target(entry, self.runtime).parent}. "
            f"Licence: {entry.licence} (commercial use: {entry.commercial_use})"
            for entry in missing
        ]
        sources = dict.fromkeys(entry.urls[0].rsplit("/resolve/", 1)[0] for entry in missing)
        raise MissingWeightsError(
            f"{what} needs {len(missing)} file(s) that are not there:\n"
            + "\n".join(lines)
            + f"\nFetch them with `./likeness fetch {' '.join(entry.id for entry in missing)}`, or put them there "
            f"yourself from {' and '.join(sources)}.{more and ' ' + more}"
        )

    def load(self, weights_id: str, build: Callable[[Path], nn.Module], dtype: torch.dtype = torch.float32) -> Handle:
        """The shared torch model of a weights file.

        build: makes the module from the file; it runs only when no equal model is alive. dtype: of its floating point
        weights. The module comes back in inference mode, its weights frozen. Raises MissingWeightsError,
        WrongWeightsError, or what `build` raises, and then nothing stays behind.
        """
        path, digest, _ = self._verified(weights_id)

        def make() -> Handle:
            return self.runtime.hold(build(path).to(dtype).eval().requires_grad_(False))

        return self._shared((weights_id, digest, str(dtype)), make)

    def load_session(self, weights_id: str, build: Callable[[Path, torch.device], Any] | None = None) -> Handle:
        """The shared model of a weights file that is no torch module; by default an onnxruntime session.

        build: makes the session from the file for a device, at the first `runtime.ready` and again whenever the memory
        manager has dropped it; `open_onnx_session` unless given. Raises as `load`.
        """
        path, digest, entry = self._verified(weights_id)
        opener = open_onnx_session if build is None else build

        def make() -> Handle:
            def build_verified(device: torch.device) -> Any:
                verify(entry, path)  # the file may have been replaced since the session was dropped
                return opener(path, device)

            return self.runtime.hold_session(build_verified, path.stat().st_size)

        return self._shared((weights_id, digest, "session"), make)

    def load_file(self, path: Path, variant: str, build: Callable[[Path], nn.Module]) -> Handle:
        """The shared torch model of a file that the user picked, whatever the manifest says of it.

        variant: tells apart what can be built from one file. build: makes the module, weights in the dtype it wants;
        it runs only when no equal model is alive. The file is known by its path, size and time of change. Raises what
        `build` raises, and then nothing stays behind.
        """
        stat = path.stat()

        def make() -> Handle:
            return self.runtime.hold(build(path).eval().requires_grad_(False))

        return self._shared((str(path.resolve()), f"{stat.st_size}:{stat.st_mtime_ns}", variant), make)

    def made_of(self, handle: Handle) -> tuple[str, str] | None:
        """What a live handle was made of: weights id and sha256 of a listed file, or the path of one that the user
        picked and "" for its hash; None for a handle of somebody else."""
        for (source, digest, _), one in list(self._handles.items()):
            if one is handle:
                return source, "" if ":" in digest else digest
        return None

    def _verified(self, weights_id: str) -> tuple[Path, str, WeightsEntry]:
        entry = as_recorded(self.manifest.entry(weights_id), self.runtime)
        path = locate(entry, self.runtime)
        return path, verify(entry, path), entry

    def _shared(self, key: _Key, make: Callable[[], Handle]) -> Handle:
        with self._lock:
            # the lock of one model lives only while a thread builds it or waits for it
            builder = self._builders.get(key)
            if builder is None:
                builder = self._builders[key] = threading.Lock()
        with builder:
            handle = self._handles.get(key)
            if handle is None:
                handle = self._handles[key] = make()
            return handle


def open_onnx_session(path: Path, device: torch.device) -> Any:
    """An `onnxruntime.InferenceSession` on a device, or on the CPU, with a warning, where onnxruntime cannot use it.

    Raises MissingPackageError without onnxruntime, WrongWeightsError for a file that it cannot read, UnsafeFileError
    for one whose weights lie outside its folder.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            f"{path.name} needs the package onnxruntime: `pip install onnxruntime` "
            "(onnxruntime-gpu for an NVIDIA card), then restart."
        ) from error
    # onnxruntime refuses that itself only in its later versions
    check_external_data(path)
    wanted = ["CUDAExecutionProvider", "ROCMExecutionProvider"] if device.type == "cuda" else []
    available = onnxruntime.get_available_providers()
    providers: list[Any] = [(name, {"device_id": device.index or 0}) for name in wanted if name in available]
    # onnxruntime's errors have no common ancestor but Exception and no public home
    broken: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=[*providers, "CPUExecutionProvider"])
    except (
        broken.InvalidProtobuf,
        broken.InvalidGraph,
        broken.Fail,
        broken.InvalidArgument,
        broken.NotImplemented,
        UnicodeDecodeError,  # a damaged text in the file
    ) as error:
        raise WrongWeightsError(
            f"{path} is no ONNX model that onnxruntime can open: {error}. It is damaged, cut off or of another kind: "
            "move it away and download it again."
        ) from error
    running_on = session.get_providers()[0]
    if wanted and running_on == "CPUExecutionProvider":
        _log.warning(
            "Likeness: %s runs on the CPU: onnxruntime %s offers %s. For the GPU install onnxruntime-gpu.",
            path.name,
            onnxruntime.__version__,
            ", ".join(available),
        )
    return session
