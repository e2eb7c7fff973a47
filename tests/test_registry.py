"""One model per file, shared by everybody, gone when nobody holds it."""

from __future__ import annotations

import gc
import hashlib
import os
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from likeness.pipelines.errors import InputError, MissingPackageError, MissingWeightsError, WrongWeightsError
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest, WeightsEntry


def entry_of(file: Path, weights_id: str = "tiny", sha256: str | None = None, size: int | None = None) -> WeightsEntry:
    return WeightsEntry(
        id=weights_id, file=file.name, folder="tiny", aliases=(), urls=("https://example.org/tiny",), size_bytes=size,
        sha256=sha256, licence="CC0-1.0", commercial_use="yes", territory="", needs=(), used_by=("Node",),
        embedded=False, source="drawn in the test",
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny" / "tiny.safetensors"
    path.parent.mkdir()
    save_file({"weight": torch.full((3, 2), 0.5), "bias": torch.arange(3.0)}, path)
    return path


@pytest.fixture
def registry(file: Path) -> Registry:
    return Registry(TorchRuntime(model_folders={"": file.parent.parent}), Manifest((entry_of(file),)))


def build_linear(path: Path) -> nn.Module:
    module = nn.Linear(2, 3)
    module.load_state_dict(load_file(path))
    return module


def test_two_loaders_of_one_file_share_one_model(registry: Registry) -> None:
    built: list[Path] = []

    def build(path: Path) -> nn.Module:
        built.append(path)
        return build_linear(path)

    first, second = registry.load("tiny", build), registry.load("tiny", build)
    assert first is second
    assert len(built) == 1


def test_another_dtype_is_another_model(registry: Registry) -> None:
    full, half = registry.load("tiny", build_linear), registry.load("tiny", build_linear, torch.float16)
    assert full.module.weight.dtype == torch.float32
    assert half.module.weight.dtype == torch.float16
    assert full is not half


def test_a_loaded_model_is_frozen_and_in_inference_mode(registry: Registry) -> None:
    module = registry.load("tiny", lambda path: nn.Sequential(build_linear(path), nn.Dropout())).module
    assert not module.training
    assert not any(weight.requires_grad for weight in module.parameters())


def test_a_model_that_nobody_holds_is_gone_at_once_without_a_garbage_collection(registry: Registry) -> None:
    gc.disable()
    try:
        handle = registry.load("tiny", build_linear)
        module = weakref.ref(handle.module)
        del handle
        assert module() is None
    finally:
        gc.enable()


def test_a_forgotten_model_is_built_again_with_the_same_result(registry: Registry) -> None:
    x = torch.tensor([[1.0, 2.0]])
    first = registry.load("tiny", build_linear).module(x)
    second = registry.load("tiny", build_linear).module(x)
    assert first.tolist() == [[1.5, 2.5, 3.5]]
    assert torch.equal(first, second)


def ask_at_once(registry: Registry, build: Any, count: int = 10) -> list[Any]:
    start = threading.Barrier(count)
    answers: list[Any] = []

    def ask() -> None:
        start.wait()
        try:
            answers.append(registry.load("tiny", build))
        except ValueError as error:
            answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_ten_threads_that_ask_at_once_build_one_model(registry: Registry) -> None:
    built: list[Path] = []

    def build(path: Path) -> nn.Module:
        built.append(path)
        threading.Event().wait(0.05)  # long enough for all the others to arrive
        return build_linear(path)

    answers = ask_at_once(registry, build)
    assert len(built) == 1
    assert len(answers) == 10
    assert len({id(answer) for answer in answers}) == 1


def test_a_build_that_fails_leaves_nothing_behind(registry: Registry) -> None:
    def fail(path: Path) -> nn.Module:
        raise ValueError("no such layer")

    assert [str(answer) for answer in ask_at_once(registry, fail)] == ["no such layer"] * 10
    gc.collect()  # the ten tracebacks
    assert len(registry._handles) == 0
    assert len(registry._builders) == 0
    assert registry.load("tiny", build_linear).module.bias.tolist() == [0.0, 1.0, 2.0]


def test_a_file_replaced_on_disk_is_a_new_model(registry: Registry, file: Path) -> None:
    old = registry.load("tiny", build_linear)
    save_file({"weight": torch.full((3, 2), 0.25), "bias": torch.arange(3.0)}, file)
    os.utime(file, (1, 1))  # file systems count time in steps that a test can fit into
    new = registry.load("tiny", build_linear)
    assert old.module.weight[0, 0].item() == 0.5
    assert new.module.weight[0, 0].item() == 0.25


def test_the_same_content_written_again_is_still_the_same_model(registry: Registry, file: Path) -> None:
    old = registry.load("tiny", build_linear)
    file.write_bytes(bytes(file.read_bytes()))
    os.utime(file, (1, 1))
    assert registry.load("tiny", build_linear) is old


def test_a_session_is_made_at_the_first_use_for_the_device_and_shared(registry: Registry, file: Path) -> None:
    made: list[tuple[Path, str]] = []

    def build(path: Path, device: torch.device) -> str:
        made.append((path, device.type))
        return "session"

    handle = registry.load_session("tiny", build)
    assert made == []
    registry.runtime.ready(handle)
    registry.runtime.ready(registry.load_session("tiny", build))
    assert handle.module == "session"
    assert made == [(file, "cpu")]


def write_onnx(path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Mul", ["x", "x"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "square", [value("x", onnx.TensorProto.FLOAT, [2])], [value("y", onnx.TensorProto.FLOAT, [2])]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def test_an_onnx_file_opens_as_an_onnxruntime_session(registry: Registry, file: Path) -> None:
    pytest.importorskip("onnxruntime")
    write_onnx(file)
    handle = registry.load_session("tiny")
    registry.runtime.ready(handle)
    (squares,) = handle.module.run(None, {"x": torch.tensor([3.0, -2.0]).numpy()})
    assert squares.tolist() == [9.0, 4.0]


def test_a_missing_onnxruntime_is_named_with_the_command_that_installs_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = registry.load_session("tiny")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"tiny\.safetensors needs .* `pip install onnxruntime`"):
        registry.runtime.ready(handle)


def test_a_file_that_is_no_onnx_model_is_named(registry: Registry, file: Path) -> None:
    pytest.importorskip("onnxruntime")
    handle = registry.load_session("tiny")
    with pytest.raises(WrongWeightsError, match=r"tiny\.safetensors is no ONNX model"):
        registry.runtime.ready(handle)


def test_a_file_with_the_right_size_and_the_wrong_content_is_refused_with_both_hashes(file: Path) -> None:
    expected = "0" * 64
    actual = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = Manifest((entry_of(file, sha256=expected, size=file.stat().st_size),))
    registry = Registry(TorchRuntime(model_folders={"": file.parent.parent}), manifest)
    with pytest.raises(WrongWeightsError) as caught:
        registry.load("tiny", build_linear)
    assert expected in str(caught.value)
    assert actual in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named_with_its_folder_size_licence_url_and_command(file: Path) -> None:
    manifest = Manifest((entry_of(Path("other.onnx"), "other", size=16_923_827),))
    registry = Registry(TorchRuntime(model_folders={"": file.parent.parent}), manifest)
    assert registry.find("other") is None
    with pytest.raises(MissingWeightsError) as caught:
        registry.load("other", build_linear)
    message = str(caught.value)
    for part in ("other.onnx", "16.9 MB", str(file.parent), "CC0-1.0", "https://example.org/tiny", "fetch other"):
        assert part in message


def test_an_unknown_id_is_answered_with_the_known_ones(registry: Registry) -> None:
    with pytest.raises(InputError, match=r"'huge'.*tiny"):
        registry.load("huge", build_linear)
