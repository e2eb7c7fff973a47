"""A model that nobody holds is gone from RAM, not only from our books: measured by the resident size of the process."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.download.wanted import entry_of

MB = 1_000_000


def resident() -> int:
    psutil = pytest.importorskip("psutil")
    gc.collect()
    return psutil.Process().memory_info().rss


def write_onnx(path: Path, layers: int = 8, side: int = 1024) -> Path:
    """Matrices of 4 MB each, so small that the C library keeps their memory for itself when they are freed."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    weights = [onnx.numpy_helper.from_array(torch.randn(side, side).numpy(), f"w{n}") for n in range(layers)]
    nodes = [onnx.helper.make_node("MatMul", [f"x{n}", f"w{n}"], [f"x{n + 1}"]) for n in range(layers)]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, side]) for name in ("x0", f"x{layers}")
    ]
    graph = onnx.helper.make_graph(nodes, "big", ends[:1], ends[1:], weights)
    opset = [onnx.helper.make_opsetid("", 17)]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
    return path


def registry_of(path: Path) -> Registry:
    entry = entry_of(id="big", file=path.name, folder="big", size_bytes=path.stat().st_size, sha256=None)
    return Registry(TorchRuntime(model_folders={"": path.parent.parent}), Manifest((entry,)))


def load(registry: Registry) -> Any:
    handle = registry.load_session("big")
    registry.runtime.ready(handle)
    return handle


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    (tmp_path / "big").mkdir()
    registry = registry_of(write_onnx(tmp_path / "big" / "big.onnx"))
    load(registry)  # onnxruntime itself, and the first threads it makes
    return registry


def test_a_session_that_nobody_holds_gives_its_memory_back(registry: Registry) -> None:
    before = resident()
    handle = load(registry)
    held = resident() - before
    assert held > 30 * MB
    del handle
    assert resident() - before < 0.1 * held


def test_ten_loads_of_one_file_take_the_memory_of_one(registry: Registry) -> None:
    before = resident()
    first = load(registry)
    one = resident() - before
    others = [load(registry) for _ in range(9)]
    assert all(handle.module is first.module for handle in others)
    assert resident() - before < one + 2 * MB


def test_loading_and_forgetting_again_and_again_does_not_grow(registry: Registry) -> None:
    sizes = []
    for _ in range(4):
        load(registry)
        sizes.append(resident())
    assert max(sizes[1:]) - sizes[0] < 5 * MB
