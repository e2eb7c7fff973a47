"""Identity files: what is written comes back, and nothing else is believed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from likeness.pipelines.errors import InputError, UnsafeFileError
from likeness.pipelines.files import writing
from likeness.pipelines.files.names import check_name, names_in_folder
from likeness.pipelines.identity.identity import Identity
from likeness.pipelines.identity.storage import load_identity, save_identity

Maker = Callable[..., Identity]
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def saved(tmp_path: Path, make_identity: Maker) -> Path:
    return save_identity(make_identity(references=1), tmp_path)


def test_what_is_saved_comes_back_exactly(tmp_path: Path, make_identity: Maker) -> None:
    made = make_identity("Grace Hopper", 3, encoders={"dlib_resnet_128": 128, "arcface_glintr100": 512}, consent="né ✓")
    path = save_identity(made, tmp_path / "new" / "folder")
    back = load_identity(path)
    assert path == tmp_path / "new" / "folder" / "Grace Hopper.safetensors"
    assert (back.name, back.consent, back.sources_sha256) == (made.name, made.consent, made.sources_sha256)
    assert back.encoders == ("dlib_resnet_128", "arcface_glintr100")
    assert torch.equal(back.crops, made.crops)
    assert np.array_equal(back.landmarks, made.landmarks)
    assert np.allclose(back.weights, made.weights, atol=1e-7)
    for mine, theirs in zip(back.vectors, made.vectors, strict=True):
        assert np.array_equal(mine.raw, theirs.raw) and mine.licence == theirs.licence


def test_the_file_is_an_ordinary_safetensors_file_that_says_what_it_is(saved: Path) -> None:
    with safe_open(str(saved), "np") as file:
        metadata = file.metadata()
        assert sorted(file.keys()) == ["crops", "landmarks", "vectors.0", "weights"]
    assert metadata["format"] == "likeness.identity" and metadata["format_version"] == "1"
    assert metadata["created_with"].startswith("ComfyUI-Likeness ")
    described = json.loads(metadata["identity"])
    assert described["encoders"] == [{"name": "tiny", "licence": "CC0", "dimension": 4}]
    assert len(described["sources_sha256"][0]) == 64


def test_an_older_file_is_never_overwritten_unless_asked(tmp_path: Path, make_identity: Maker) -> None:
    first, second = make_identity(seed=1), make_identity(seed=2)
    paths = [save_identity(first, tmp_path, "ada"), *(save_identity(second, tmp_path, "ada") for _ in range(2))]
    assert [path.name for path in paths] == ["ada.safetensors", "ada_2.safetensors", "ada_3.safetensors"]
    assert torch.equal(load_identity(paths[0]).crops, first.crops)
    with pytest.raises(UnsafeFileError, match="exists"):
        save_identity(second, tmp_path, "ada", if_exists="error")
    assert save_identity(second, tmp_path, "ada", if_exists="overwrite") == paths[0]
    assert torch.equal(load_identity(paths[0]).crops, second.crops)
    assert names_in_folder(tmp_path) == ("ada", "ada_2", "ada_3")


def test_nothing_half_written_is_left_when_the_disk_is_full(
    tmp_path: Path, make_identity: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(InputError, match=r"ada\.safetensors cannot be written .*No space"):
        save_identity(make_identity(), tmp_path, "ada")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_last_step_fails(
    tmp_path: Path, make_identity: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_source: str, _target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    kept = save_identity(make_identity(seed=1), tmp_path, "ada")
    monkeypatch.setattr(writing.os, "replace", refused)
    for if_exists in ("number", "overwrite"):
        with pytest.raises(InputError, match="Permission denied"):
            save_identity(make_identity(seed=2), tmp_path, "ada", if_exists)
    assert list(tmp_path.iterdir()) == [kept] and torch.equal(load_identity(kept).crops, make_identity(seed=1).crops)


def test_a_folder_or_file_in_the_way_is_named(tmp_path: Path, make_identity: Maker) -> None:
    (tmp_path / "ada.safetensors").mkdir()
    with pytest.raises(UnsafeFileError, match="exists"):
        save_identity(make_identity(), tmp_path, "ada", "overwrite")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"):
        save_identity(make_identity(), tmp_path / "file", "ada")
    with pytest.raises(InputError, match="if_exists is 'replace'"):
        save_identity(make_identity(), tmp_path, "ada", "replace")  # type: ignore[arg-type]


def test_ten_writers_of_one_name_make_ten_files(tmp_path: Path, make_identity: Maker) -> None:
    identity = make_identity(references=1)
    with ThreadPoolExecutor(10) as pool:
        paths = list(pool.map(lambda _: save_identity(identity, tmp_path, "ada"), range(10)))
    assert len(set(paths)) == 10 and sorted(tmp_path.iterdir()) == sorted(paths)
    assert all(load_identity(path).name == "Ada" for path in paths)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../ada",
        "..",
        ".",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "C:ada",
        "~\n",
        "ada\x00",
        "ada\u202egnp",
        "ada ",
        " ada",
        "ada.",
        ".hidden",
        "con",
        "NUL.txt",
        "Lpt9",
        "com¹",
        "CONIN$",
        "con .x",
        "a" * 81,
        "語" * 70,
        "what?",
        "a|b",
        "a*",
        "\ud800",
        "\u2028",
    ],
)
def test_names_that_could_leave_the_folder_or_break_a_system_are_refused(
    name: str, tmp_path: Path, make_identity: Maker
) -> None:
    with pytest.raises(UnsafeFileError, match="name"):
        save_identity(make_identity(), tmp_path, name or "x/")
    with pytest.raises(UnsafeFileError):
        check_name(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Ada", "Zoë-2_b", "李小龙", "dr. who", "a.b", "contact", "O'Neil (young)"])
def test_ordinary_names_of_any_script_are_kept(name: str, tmp_path: Path, make_identity: Maker) -> None:
    path = save_identity(make_identity(references=1), tmp_path, name)
    assert path.name == f"{name}.safetensors" and load_identity(path).name == "Ada"


@given(st.text(max_size=30))
@FUZZ
def test_an_accepted_name_stays_directly_in_its_folder(name: str) -> None:
    try:
        accepted = check_name(name)
    except UnsafeFileError:
        return
    path = Path("/folder") / f"{accepted}.safetensors"
    assert path.parent == Path("/folder") and os.path.normpath(path) == str(path) and check_name(accepted) == accepted


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_out_of_the_folder_is_not_written_through(tmp_path: Path, make_identity: Maker) -> None:
    outside = tmp_path / "outside.safetensors"
    outside.write_bytes(b"mine")
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "ada.safetensors").symlink_to(outside)
    with pytest.raises(UnsafeFileError, match="link"):
        save_identity(make_identity(), folder, "ada", if_exists="overwrite")
    assert outside.read_bytes() == b"mine"


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nobody.safetensors", tmp_path):
        with pytest.raises(InputError, match="no file"):
            load_identity(path)
