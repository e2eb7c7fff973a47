"""A swapper's file whose map lies in another folder is refused before anything there is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.pipelines.errors import UnsafeFileError, WrongWeightsError
from likeness.pipelines.swap.emap import read_emap

onnx: Any = pytest.importorskip("onnx", reason="a swapper's map is read with onnx")


def write(folder: Path, **place: str) -> Path:
    """A model of a map that lies elsewhere."""
    model = onnx.ModelProto(ir_version=8)
    model.graph.name = "g"
    entry = model.graph.initializer.add(name="emap", data_type=onnx.TensorProto.FLOAT, dims=(512, 512))
    entry.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        entry.external_data.add(key=key, value=value)
    folder.mkdir(exist_ok=True)
    path = folder / "a.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_map_in_another_folder_is_refused_and_one_beside_its_file_is_read(tmp_path: Path) -> None:
    values = np.arange(512 * 512, dtype=np.float32).reshape(512, 512)
    (tmp_path / "secret.bin").write_bytes(values.tobytes())
    with pytest.raises(UnsafeFileError, match=r"'\.\./secret\.bin', outside its own folder"):
        read_emap(write(tmp_path / "models", location="../secret.bin"))
    (tmp_path / "models" / "own.bin").write_bytes(values.tobytes())
    assert np.array_equal(read_emap(write(tmp_path / "models", location="own.bin")), values)


@pytest.mark.parametrize("place", [{"length": str(2**50)}, {"offset": "-5"}, {"offset": str(2**70)}, {"length": "x"}])
def test_a_map_whose_place_is_nonsense_is_refused(tmp_path: Path, place: dict[str, str]) -> None:
    path = write(tmp_path, location="own.bin", **place)
    (tmp_path / "own.bin").write_bytes(bytes(2**20))
    with pytest.raises(WrongWeightsError, match="cannot be read for its map"):
        read_emap(path)
