"""ONNX files whose weights lie elsewhere: beside the model they are fine, anywhere else they are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.errors import UnsafeFileError, WrongWeightsError
from likeness.pipelines.files.onnx_data import check_external_data, external_locations
from likeness.pipelines.registry import open_onnx_session

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
VALUES = np.arange(300, dtype=np.float32)


def model(folder: Path, location: str | None, place: str = "initializer") -> Path:
    """y = x + 300 numbers, which lie at a location outside the file (inside it for None)."""
    from onnx import TensorProto, helper

    weights = helper.make_tensor("w", TensorProto.FLOAT, [300], VALUES.tobytes(), raw=True)
    if location is not None:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "1200")):
            weights.external_data.add(key=key, value=value)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [300]) for name in ("x", "y")]
    add = helper.make_node("Add", ["x", "w"], ["y"])
    if place == "initializer":
        graph = helper.make_graph([add], "g", ends[:1], ends[1:], [weights])
    else:
        constant = helper.make_node("Constant", [], ["w"], value=weights)
        graph = helper.make_graph([constant, add], "g", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    made.ir_version = 8
    path = folder / "models" / "m.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(made.SerializeToString())
    return path


def test_weights_inside_the_file_and_beside_it_are_opened(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    zero = np.zeros(300, dtype=np.float32)
    for location in (None, "m.onnx.data"):
        path = model(tmp_path, location)
        (path.parent / "m.onnx.data").write_bytes(VALUES.tobytes())
        assert external_locations(path) == ((location,) if location else ())
        session = open_onnx_session(path, torch.device("cpu"))
        assert (session.run(None, {"x": zero})[0] == VALUES).all()


@pytest.mark.parametrize("place", ["initializer", "constant"])
@pytest.mark.parametrize(
    "location", ["../secret.bin", "a/../../secret.bin", "/etc/passwd", "C:\\x.bin", "..\\secret.bin", "\\\\host\\x.bin"]
)
def test_weights_outside_the_model_s_folder_are_refused_by_name(tmp_path: Path, location: str, place: str) -> None:
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    with pytest.raises(UnsafeFileError, match="outside its own folder"):
        open_onnx_session(model(tmp_path, location, place), torch.device("cpu"))


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path, "m.bin")
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    try:
        (path.parent / "m.bin").symlink_to(tmp_path / "secret.bin")
    except OSError:
        pytest.skip("links cannot be made here")
    with pytest.raises(UnsafeFileError, match="outside its own folder"):
        check_external_data(path)


@pytest.mark.parametrize("cut", [1, 40, 700])
def test_a_truncated_model_is_named_with_its_size(tmp_path: Path, cut: int) -> None:
    path = model(tmp_path, None)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(WrongWeightsError, match=r"m\.onnx is no ONNX model, or a truncated one \(\d+ bytes"):
        check_external_data(path)


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x0b\x0c", b"\x3a\x05\x2a\x03\x6a\x01\x0a", b"\x3a" * 3])
def test_what_is_no_protobuf_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    with pytest.raises(WrongWeightsError):
        check_external_data(path)
