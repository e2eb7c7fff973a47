"""Files of weights take no more memory than they have bytes, and a small one that says otherwise is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from likeness.pipelines.errors import UnsafeFileError, WrongWeightsError
from likeness.pipelines.files import described_sizes
from likeness.pipelines.files.checkpoint import read_checkpoint
from likeness.pipelines.files.described_sizes import MAX_DESCRIPTION_BYTES, MAX_STEPS

#: Pickles by hand: protocol 2 and the stop around the steps.
EMPTY_LIST, EMPTY_TABLE = b"]", b"}"


def pickled(steps: bytes) -> bytes:
    return b"\x80\2" + steps + b"."


def packed(folder: Path, description: bytes | None = None, method: int = zipfile.ZIP_STORED) -> Path:
    """A torch file with another description, or packed."""
    file = io.BytesIO()
    torch.save({"a": torch.ones(2, 3)}, file)
    path = folder / "a.pth"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name) if description is None or not name.endswith("data.pkl") else description
            new.writestr(name, content, method)
    return path


@pytest.mark.parametrize("in_zip", [True, False])
def test_a_file_with_many_tensors_is_read(tmp_path: Path, in_zip: bool) -> None:
    shared = torch.arange(4.0)
    tensors = {f"block.{index}.weight": torch.full((2,), float(index)) for index in range(500)} | {"tied": shared}
    content = {"state_dict": tensors, "ema": {"tied": shared, "scalar": torch.tensor(3.0)}, "epoch": 4}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=in_zip)
    found = read_checkpoint(tmp_path / "a.pth").tensors
    assert len(found) == 503
    assert torch.equal(found["ema.tied"], shared) and float(found["state_dict.block.7.weight"][1]) == 7


def test_a_packed_description_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path, pickled(EMPTY_TABLE) + bytes(20_000_000), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 30_000
    with pytest.raises(
        UnsafeFileError, match=r"a\.pth is refused: .*data\.pkl' in it unpacks from \d+ to 20000004 byt"
    ):
        read_checkpoint(path)


def test_members_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        numbers = next(member for member in archive.infolist() if member.filename.endswith("data/0"))
    # both sizes in the directory behind the members, where an entry has its name after 46 bytes
    at = data.rindex(numbers.filename.encode()) - 46
    grown = bytearray(data)
    grown[at + 20 : at + 28] = (len(data) - 60).to_bytes(4, "little") * 2
    path.write_bytes(grown)
    with pytest.raises(UnsafeFileError, match=rf"members are said to have \d+ bytes, the file has {len(data)}"):
        read_checkpoint(path)


def test_something_behind_the_end_of_the_zip_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path)
    data = bytearray(path.read_bytes())
    data[-2:] = (30).to_bytes(2, "little")
    path.write_bytes(data + b"c" * 30)
    with pytest.raises(UnsafeFileError, match="something stands behind its end"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["data.pkl", "DATA.PKL"])
def test_a_description_of_more_bytes_than_are_read_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"archive/{name}", bytes(MAX_DESCRIPTION_BYTES + 1))
    with pytest.raises(
        UnsafeFileError, match=rf"has {MAX_DESCRIPTION_BYTES + 1} bytes, at most {MAX_DESCRIPTION_BYTES}"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("in_zip", [True, False])
def test_a_description_of_more_steps_than_are_read_is_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_zip: bool
) -> None:
    assert MAX_STEPS == 2**20
    monkeypatch.setattr(described_sizes, "MAX_STEPS", 1000)
    description = pickled(EMPTY_LIST * 1000)
    path = packed(tmp_path, description) if in_zip else tmp_path / "b.pth"
    if not in_zip:
        path.write_bytes(description * 5)
    with pytest.raises(UnsafeFileError, match="has more than 1000 steps"):
        read_checkpoint(path)


def test_an_old_file_whose_description_has_no_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described_sizes, "MAX_DESCRIPTION_BYTES", 1000)
    (tmp_path / "a.pth").write_bytes(b"\x80\2" + b"X" + (5000).to_bytes(4, "little") + b"x" * 5000 + b".")
    with pytest.raises(UnsafeFileError, match="has more than 1000 bytes"):
        read_checkpoint(tmp_path / "a.pth")


def test_memory_that_a_number_asks_for_is_refused(tmp_path: Path) -> None:
    steps = b"c__builtin__\nbytearray\nJ" + (2**30).to_bytes(4, "little") + b"\x85R"
    with pytest.raises(UnsafeFileError, match="makes a bytearray"):
        read_checkpoint(packed(tmp_path, pickled(steps)))


def test_a_table_that_is_named_a_thousand_billion_times_is_refused(tmp_path: Path) -> None:
    inner: dict[str, object] = {"a": torch.ones(1)}
    for _ in range(20):
        inner = {"a": inner, "b": inner}
    torch.save(inner, tmp_path / "wide.pth")
    with pytest.raises(UnsafeFileError, match="name more than 200000 things"):
        read_checkpoint(tmp_path / "wide.pth")
    for _ in range(20):
        inner = {"a": inner}
    torch.save(inner, tmp_path / "deep.pth")
    with pytest.raises(UnsafeFileError, match="more than 32 deep"):
        read_checkpoint(tmp_path / "deep.pth")


def test_tensors_may_repeat_their_numbers_up_to_a_limit(tmp_path: Path) -> None:
    one = torch.ones(1)
    torch.save({"a": one.expand(2**28), "b": one.expand(2**28)}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").tensors["b"].shape == (2**28,)
    torch.save({"a": one.expand(2**28), "b": one.expand(2**28 + 3)}, tmp_path / "a.pth")
    with pytest.raises(
        UnsafeFileError, match=rf"up to 'b' \(268435459,\) .* {2**31 + 4} bytes more .* {2**31} are read"
    ):
        read_checkpoint(tmp_path / "a.pth")


def test_a_tensor_that_has_no_numbers_in_the_file_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3, device="meta")}, tmp_path / "a.pth")
    with pytest.raises(UnsafeFileError, match=r"its tensor 'a' \(3,\) is no plain table of numbers"):
        read_checkpoint(tmp_path / "a.pth")


def test_a_safetensors_header_that_is_too_large_or_lies_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes((MAX_DESCRIPTION_BYTES + 1).to_bytes(8, "little") + b"{" + bytes(MAX_DESCRIPTION_BYTES))
    with pytest.raises(UnsafeFileError, match=rf"has {MAX_DESCRIPTION_BYTES + 1} bytes, at most"):
        read_checkpoint(path)
    save_file({"a": torch.ones(16)}, path)
    data = path.read_bytes()
    for old, new in ((b"[16]", b"[99]"), (b"[0,64]", b"[0,65]"), (b"[0,64]", b"[1,64]")):
        assert old in data
        path.write_bytes(data.replace(old, new))
        with pytest.raises(WrongWeightsError, match="no complete safetensors file"):
            read_checkpoint(path)
