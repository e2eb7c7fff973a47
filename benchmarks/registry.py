"""What sharing saves: four nodes that ask the registry for one model, against four that find, verify
and build it themselves.

Each way runs in a process of its own, so that its resident size is its own. The model is a torch module of 256 MiB and,
where the package onnx is installed, an onnxruntime session of 128 MiB. Times and sizes are ratios within one run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from .figure import Figure

ROUNDS = 3
NODES = 4
SIDE = 2048  # a layer of 16 MiB
TORCH_LAYERS, ONNX_LAYERS = 16, 8


def measure() -> list[Figure]:
    """Time and resident size of four shared loads over four separate ones, and what stays when nobody holds them."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="likeness-registry-") as folder:
        kinds = ["torch", *(["onnx"] if importlib.util.find_spec("onnx") else [])]
        for kind in kinds:
            _write(kind, Path(folder))
            rounds = [(_child(kind, "shared", folder), _child(kind, "separate", folder)) for _ in range(ROUNDS)]
            figures += _figures(kind, rounds)
    return figures


def _figures(kind: str, rounds: list[tuple[dict[str, float], dict[str, float]]]) -> list[Figure]:
    """The median of each ratio over the rounds."""

    def ratio(name: str) -> float:
        return statistics.median(shared[name] / separate[name] for shared, separate in rounds)

    kept = statistics.median(shared["kept"] / shared["grown"] for shared, _ in rounds)
    again = statistics.median(shared["tenth"] / shared["seconds"] for shared, _ in rounds)
    return [
        Figure(f"{kind}: time of four nodes on one model / of four loads", ratio("seconds"), 0.50, unit="x"),
        Figure(f"{kind}: resident size of four nodes on one model / of four loads", ratio("grown"), 0.30, unit="x"),
        Figure(f"{kind}: asking for the tenth time / for the first four", again, 0.02, unit="x"),
        Figure(f"{kind}: resident size kept when no output holds it / while held", kept, 0.05, unit="x"),
    ]


def _child(kind: str, way: str, folder: str) -> dict[str, float]:
    code = "from likeness.benchmarks.registry import child; import sys; child(*sys.argv[1:])"
    checkout = Path(__file__).resolve().parents[1]
    mapped = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('likeness', sys.argv.pop(1) + '/__init__.py', "
        "submodule_search_locations=[sys.argv.pop(1)]); sys.modules['likeness'] = u.module_from_spec(s); "
        "s.loader.exec_module(sys.modules['likeness']); "
    )
    command = [sys.executable, "-c", mapped + code, str(checkout), str(checkout), kind, way, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the measuring process failed: {done.stderr.strip()[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def child(kind: str, way: str, folder: str) -> None:
    """Load four times in this process and print what it took; `way` is "shared" or "separate"."""
    from ..pipelines.registry import Registry
    from ..pipelines.runtime import TorchRuntime

    torch.set_num_threads(1)
    _warm(kind, folder)
    manifest = _manifest(kind, Path(folder))
    runtime = TorchRuntime(model_folders={"": folder})
    shared = Registry(runtime, manifest)
    before, began = _resident(), time.perf_counter()
    held = [_load(kind, shared if way == "shared" else _separate(runtime, manifest)) for _ in range(NODES)]
    seconds, grown = time.perf_counter() - began, _resident() - before
    for _ in range(8):
        _load(kind, shared if way == "shared" else _separate(runtime, manifest))
    began = time.perf_counter()
    _ask(kind, shared if way == "shared" else _separate(runtime, manifest))
    tenth = time.perf_counter() - began
    held.clear()
    print(json.dumps({"seconds": seconds, "grown": grown, "tenth": tenth, "kept": max(_resident() - before, 0)}))


def _load(kind: str, registry: Any) -> Any:
    """What nodes do: ask for the model, bring it to its device, use it, keep the handle in the output."""
    handle = _ask(kind, registry)
    x = torch.ones(1, SIDE)
    _ = handle.module(x) if kind == "torch" else handle.module.run(None, {"x0": x.numpy()})
    return handle


def _ask(kind: str, registry: Any) -> Any:
    handle = registry.load("big", _network) if kind == "torch" else registry.load_session("big")
    registry.runtime.ready(handle)
    return handle


def _separate(runtime: Any, manifest: Any) -> Any:
    """A registry that nobody shares: it finds, verifies and builds on its own."""
    from ..pipelines import weights
    from ..pipelines.registry import Registry

    weights._content_hash.cache_clear()
    return Registry(runtime, manifest)


def _network(path: Path) -> Any:
    from safetensors.torch import load_file
    from torch import nn

    with torch.device("meta"):
        network = nn.Sequential(*(nn.Linear(SIDE, SIDE, bias=False) for _ in range(TORCH_LAYERS)))
    network.load_state_dict(load_file(path), assign=True)
    return network


def _warm(kind: str, folder: str) -> None:
    """Import what is imported at the first load, so that it is not counted as the model's."""
    if kind == "onnx":
        from ..pipelines.doctor.providers import onnxruntime_state

        onnxruntime_state()
    else:
        import safetensors.torch  # noqa: F401


def _write(kind: str, folder: Path) -> None:
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    count = TORCH_LAYERS if kind == "torch" else ONNX_LAYERS
    layers = {f"{n}.weight": torch.randn(SIDE, SIDE, generator=generator) for n in range(count)}
    if kind == "torch":
        save_file(layers, folder / "big.torch")
        return
    import onnx
    from onnx import helper

    weights = [onnx.numpy_helper.from_array(layer.numpy(), name) for name, layer in layers.items()]
    nodes = [helper.make_node("MatMul", [f"x{n}", f"{n}.weight"], [f"x{n + 1}"]) for n in range(count)]
    value = helper.make_tensor_value_info
    ends = [value(name, onnx.TensorProto.FLOAT, [1, SIDE]) for name in ("x0", f"x{count}")]
    graph = helper.make_graph(nodes, "big", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "big.onnx").write_bytes(model.SerializeToString())


def _manifest(kind: str, folder: Path) -> Any:
    from ..pipelines.weights import Manifest, WeightsEntry

    path = folder / f"big.{kind}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else None
    return Manifest(
        (
            WeightsEntry(
                id="big", file=path.name, folder="", aliases=(), urls=(), size_bytes=path.stat().st_size, sha256=digest,
                licence="CC0-1.0", commercial_use="yes", territory="", needs=(), used_by=(), embedded=False,
                source="drawn here",
            ),
        )
    )  # fmt: skip


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
