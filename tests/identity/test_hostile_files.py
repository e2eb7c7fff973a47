"""Identity files that somebody damaged or made to harm: refused with a clear text, never believed."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from likeness.pipelines.errors import LikenessError, UnsafeFileError
from likeness.pipelines.identity.identity import Identity
from likeness.pipelines.identity.storage import MAX_FILE_BYTES, load_identity, save_identity

Maker = Callable[..., Identity]
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def saved(tmp_path: Path, make_identity: Maker) -> Path:
    return save_identity(make_identity(references=1), tmp_path)


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write(path: Path, header: Any, body: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 200, 5000, -1])
def test_a_truncated_file_is_refused(saved: Path, kept: int) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[:kept])
    with pytest.raises(UnsafeFileError, match="is refused"):
        load_identity(saved)


def test_a_pickle_under_our_name_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "ada.safetensors"
    path.write_bytes(pickle.dumps({"crops": [1, 2, 3]}) * 50)
    with pytest.raises(UnsafeFileError, match="no safetensors file"):
        load_identity(path)


def test_another_program_s_safetensors_file_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    save_file({"lora_up": np.zeros((4, 4), np.float32)}, str(path))
    with pytest.raises(UnsafeFileError, match="format is 'not stated'"):
        load_identity(path)


def test_a_file_of_a_later_format_says_so(saved: Path) -> None:
    header, body = parts(saved)
    header["__metadata__"]["format_version"] = "2"
    with pytest.raises(UnsafeFileError, match="version is '2'"):
        load_identity(write(saved, header, body))


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(UnsafeFileError, match=f"{MAX_FILE_BYTES + 1} bytes"):
        load_identity(path)


@pytest.mark.parametrize("length", [0, 1, 2**20 + 1, 2**40, 2**63, 2**64 - 1])
def test_a_header_of_absurd_length_is_refused(saved: Path, length: int) -> None:
    saved.write_bytes(struct.pack("<Q", length) + saved.read_bytes()[8:])
    with pytest.raises(UnsafeFileError, match=f"said to have {length}"):
        load_identity(saved)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b"{}" + b" " * 10,
        b"nonsense",
        b'{"a":1,"a":2}',
        b"\xff\xfe{}",
        b"[]",
        b"NaN",
        b"1" * 10_000,
        b'{"__metadata__":{"format":3}}',
        b'{"__metadata__":[]}',
        b'{"weights":{"dtype":"F32"}}',
        b'{"weights":{"dtype":"F32","shape":[1e400],"data_offsets":[0,4]}}',
        b'{"weights":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}',
        b'{"weights":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}}',
        b'{"weights":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
        b'{"weights":{"dtype":"F32","shape":[281474976710656,281474976710656],"data_offsets":[0,4]}}',
    ],
)
def test_a_malformed_header_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(UnsafeFileError, match="is refused"):
        load_identity(write(tmp_path / "bad.safetensors", header, b"\0\0\0\0"))


def test_tensors_that_overlap_or_leave_gaps_are_refused(saved: Path) -> None:
    header, body = parts(saved)
    landmarks = header["landmarks"]["data_offsets"]
    header["weights"]["data_offsets"] = [landmarks[0], landmarks[0] + 4]
    with pytest.raises(UnsafeFileError, match="overlaps another or leaves a gap"):
        load_identity(write(saved, header, body))


def rewritten(
    make_identity: Maker, path: Path, change: Callable[[dict[str, np.ndarray], dict[str, Any]], None]
) -> Path:
    """A well-formed file whose tensors and description were changed."""
    source = save_identity(make_identity(references=2), path)
    with safe_open(str(source), "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = dict(file.metadata())
    described = json.loads(metadata["identity"])
    change(tensors, described)
    metadata["identity"] = json.dumps(described)
    save_file(tensors, str(source), metadata=metadata)
    return source


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t, d: t["vectors.0"].fill(np.nan), "not finite"),
        (lambda t, d: t["landmarks"].__setitem__((0, 0, 0), np.inf), "finite"),
        (lambda t, d: t["weights"].fill(-1), "not negative"),
        (lambda t, d: t["weights"].fill(0), "sum to 1"),
        (lambda t, d: t.__setitem__("weights", np.ones(0, np.float32)), "references are allowed"),
        (lambda t, d: t.__setitem__("weights", np.ones(5000, np.float32)), "references are allowed"),
        (lambda t, d: t.__setitem__("crops", np.zeros((2, 64, 64, 3), np.uint8)), "crops"),
        (lambda t, d: t.__setitem__("landmarks", np.zeros((2, 468, 3), np.float32)), "landmarks"),
        (lambda t, d: t.__setitem__("landmarks", np.zeros((2, 478, 3), np.uint8)), "landmarks"),
        (lambda t, d: t.__setitem__("vectors.0", np.zeros((2, 9), np.float32)), "vectors.0"),
        (lambda t, d: t.__setitem__("more", np.zeros(1, np.float32)), "no identity has"),
        (lambda t, d: t.pop("crops"), "missing"),
        (lambda t, d: d.update(name=7), "name"),
        (lambda t, d: d.update(consent="x" * 30_000), "consent"),
        (lambda t, d: d.update(sources_sha256=["x"]), "sources"),
        (lambda t, d: d.update(sources_sha256=["0" * 64] * 5), "5 sources"),
        (lambda t, d: d.update(encoders=[{"name": "tiny"}]), "licence"),
        (lambda t, d: d.update(encoders=[{"name": "t", "licence": "", "dimension": 10**9}]), "dimension"),
        (lambda t, d: d.update(encoders=[{"name": "t", "licence": "", "dimension": 4}] * 2), "vectors.1"),
        (lambda t, d: d.update(encoders=list(range(99))), "at most 16"),
        (lambda t, d: d.clear(), "name"),
    ],
)
def test_a_well_formed_file_with_wrong_content_is_refused(
    change: Callable[[dict[str, np.ndarray], dict[str, Any]], None], says: str, tmp_path: Path, make_identity: Maker
) -> None:
    with pytest.raises(UnsafeFileError, match=says) as caught:
        load_identity(rewritten(make_identity, tmp_path, change))
    assert "Ada.safetensors" in str(caught.value)


@given(data=st.data())
@FUZZ
def test_a_damaged_file_is_refused_or_still_an_identity(
    data: st.DataObject, tmp_path: Path, make_identity: Maker
) -> None:
    good = tmp_path / "good.safetensors"
    if not good.exists():
        save_identity(make_identity(references=1), tmp_path, "good")
    damaged = bytearray(good.read_bytes())
    header = struct.unpack("<Q", damaged[:8])[0] + 8
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(st.integers(0, header), st.integers(0, len(damaged) - 1)))
        damaged[place] = data.draw(st.integers(0, 255))
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(bytes(damaged[: data.draw(st.one_of(st.none(), st.integers(0, len(damaged))))]))
    try:
        identity = load_identity(bad)
    except LikenessError as error:
        assert "bad.safetensors" in str(error)
    else:
        assert len(identity) == 1 and np.isfinite(identity.raw(identity.encoders[0])).all()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["F32", "U8", "weights", "crops"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["__metadata__", "weights", "crops", "dtype", "shape", "data_offsets", "format", "identity"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(header=JSON, body=st.binary(max_size=32))
@FUZZ
def test_no_header_makes_the_reader_fail_in_another_way(header: Any, body: bytes, tmp_path: Path) -> None:
    with pytest.raises(LikenessError):
        load_identity(write(tmp_path / "fuzz.safetensors", header, body))
