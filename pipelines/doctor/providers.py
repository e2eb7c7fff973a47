"""On what onnxruntime really runs: a tiny network is computed on every provider it says it has."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

import numpy as np
import torch

#: Providers that need minutes to prepare a network, or a service: listed, not tried.
_NOT_TRIED = ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "AzureExecutionProvider")


def version_of(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def device_text() -> str:
    """The device that torch computes on, in words."""
    if torch.cuda.is_available():
        name, total = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
        return f"{name}, {total / 2**30:.0f} GiB, {'ROCm' if torch.version.hip else 'CUDA'} {torch.version.cuda or ''}"
    if torch.backends.mps.is_available():
        return "Apple GPU (MPS)"
    return f"CPU, {torch.get_num_threads()} threads"


def onnxruntime_state() -> dict[str, Any]:
    """Version, and per provider what happened when a network was run on it: {"version", "problem", "providers"}.

    A provider reads "runs", "not tried", or why it does not run: onnxruntime falls back to the CPU on its own, and
    its list of available providers only says what it was built with.
    """
    state: dict[str, Any] = {"version": None, "problem": "", "providers": {}}
    distributions = [name for name in ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml") if version_of(name)]
    if not distributions:
        return state | {"problem": "not installed: pip install onnxruntime (onnxruntime-gpu for an NVIDIA card)"}
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        return state | {"problem": f"installed but cannot be imported: {error}"}
    state["version"] = str(onnxruntime.__version__)
    if len(distributions) > 1:
        state["problem"] = (
            f"{' and '.join(distributions)} are installed over each other: uninstall all, then install one"
        )
    for name in onnxruntime.get_available_providers():
        state["providers"][name] = "not tried" if name in _NOT_TRIED else _tried(onnxruntime, name)
    return state


def _tried(onnxruntime: Any, provider: str) -> str:
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    x = np.array([3.0, -2.0], np.float32)
    try:
        session = onnxruntime.InferenceSession(square_network(), options, providers=[provider])
        running = session.get_providers()[0]
        (squares,) = session.run(None, {"x": x})
    except (RuntimeError, ValueError, state.Fail, state.RuntimeException, state.NotImplemented, state.EPFail) as error:
        return f"fails: {str(error).splitlines()[0][:200]}"
    if running != provider:
        return f"cannot start, onnxruntime falls back to {running}: its libraries (CUDA, cuDNN) are missing or too old"
    return "runs" if np.array_equal(squares, x * x) else f"computes wrongly: {squares.tolist()}, expected [9.0, 4.0]"


def square_network() -> bytes:
    """An ONNX file of y = x * x on two numbers, written by hand so that it needs no package (onnx.proto, opset 13)."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def value(name: bytes) -> bytes:
        shape = field(1, b"\x08\x02")  # one axis of 2
        return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, shape)))  # element type 1: float

    node = field(1, b"x") + field(1, b"x") + field(2, b"y") + field(4, b"Mul")
    graph = field(1, node) + field(2, b"g") + field(11, value(b"x")) + field(12, value(b"y"))
    # ir_version 7, then the graph, then the operator set
    return b"\x08\x07" + field(7, graph) + field(8, b"\x10\x0d")
