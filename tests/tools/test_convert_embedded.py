"""The readers of the conversion tool: exact on small files written here, clear about files they do not know."""

from __future__ import annotations

import importlib
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])
    return importlib.import_module


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def test_the_canonical_mesh_comes_out_of_its_protocol_buffer(tool) -> None:
    vertices = np.arange(468 * 5, dtype=np.float32) / 7
    triangles = [[0, 1, 2], [2, 300, 467]]
    mesh = varint(1 << 3) + varint(0)
    mesh += b"".join(varint(3 << 3 | 5) + struct.pack("<f", value) for value in vertices)
    mesh += b"".join(varint(4 << 3) + varint(index) for row in triangles for index in row)
    weight = varint(1 << 3) + varint(300) + varint(2 << 3 | 5) + struct.pack("<f", 0.25)
    found = tool("canonical_reader").canonical_mesh(message(1, mesh) + message(2, weight))
    assert torch.equal(found["points"], torch.from_numpy(vertices.reshape(468, 5)[:, :3].copy()))
    assert torch.equal(found["uv"], torch.from_numpy(vertices.reshape(468, 5)[:, 3:].copy()))
    assert found["triangles"].tolist() == triangles
    assert found["pose_points"].tolist() == [300] and found["pose_weights"].tolist() == [0.25]


def test_dlibs_convolutions_are_read_in_order_with_their_affine_layers_folded_in(tool) -> None:
    reader = tool("dlib_reader")
    random = np.random.RandomState(0)
    data, layers = b"head", []
    for channels_in, channels, kernel in reader.CONVOLUTIONS[:2]:
        values = random.rand(channels * channels_in * kernel**2 + channels).astype("<f4")
        affine = random.rand(2 * channels).astype("<f4")
        layers.append((values, affine, (channels, channels_in, kernel, kernel)))
        for array in (values, affine):
            sizes = len(array).to_bytes(2, "little") if len(array) > 255 else bytes([len(array)])
            data += b"\x01\x02" + bytes([len(sizes)]) + sizes + b"\x01\x01" * 3 + array.tobytes() + b"between"
    found = reader.read_identity_network(data)
    for values, affine, shape in layers:
        channels, count = shape[0], int(np.prod(shape))
        weight, bias = next(found), next(found)
        gain, offset = affine[:channels], affine[channels:]
        assert np.allclose(weight, values[:count].reshape(shape) * gain[:, None, None, None], rtol=1e-3, atol=1e-4)
        assert np.allclose(bias, values[count:] * gain + offset, rtol=1e-6)
    with pytest.raises(ValueError, match="not dlib's 128-d face network"):
        next(found)


def test_a_file_that_is_no_tflite_is_refused(tool) -> None:
    with pytest.raises(ValueError, match="Not a .tflite file"):
        tool("tflite_reader").read_graph(b"\x00" * 64)


def test_a_network_whose_tensors_have_other_sizes_is_refused_by_layer(tool) -> None:
    convert = tool("convert_embedded")
    network = torch.nn.Linear(3, 2)
    state = convert.fill(network, iter([np.ones((2, 1, 1, 3), np.float16), np.zeros(2, np.float16)]))
    assert state["weight"].shape == (2, 3) and state["weight"].dtype == torch.float16
    with pytest.raises(ValueError, match="weight has shape"):
        convert.fill(network, iter([np.ones((3, 3), np.float16), np.zeros(2, np.float16)]))
    with pytest.raises(ValueError, match="shorter"):
        convert.fill(network, iter([np.ones((2, 3), np.float16)]))


def test_an_original_with_another_hash_is_refused(tool, tmp_path: Path) -> None:
    import zipfile

    convert = tool("convert_embedded")
    wheel, member, _, _ = convert.INPUTS["blazeface_back"]
    with zipfile.ZipFile(tmp_path / wheel, "w") as archive:
        archive.writestr(member, b"something else")
    with pytest.raises(ValueError, match="has sha256 .* expected e376cf6b"):
        convert.original(tmp_path, "blazeface_back")
