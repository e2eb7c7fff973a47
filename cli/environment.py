"""The Python environment the commands run in: the active one, or one of our own, made once (standard library only)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .errors import CommandError
from .home import CHECKOUT, home, locked, remove, say

# These three wheels belong together, on CPU and on CUDA machines.
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")
PACK_REQUIREMENTS = CHECKOUT / "requirements.txt"
TEST_REQUIREMENTS = CHECKOUT / "requirements-test.txt"
MARKER = "likeness-installed.json"


def active_python() -> Path | None:
    """The interpreter of the virtual environment that is active, or None."""
    folder = os.environ.get("VIRTUAL_ENV")
    if folder and python_of(Path(folder)).exists():
        return python_of(Path(folder))
    if sys.prefix != sys.base_prefix:
        return Path(sys.executable)
    return None


def python_of(folder: Path) -> Path:
    """The interpreter of the virtual environment in `folder`."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(comfy_requirements: Path, testing: bool) -> Path:
    """The interpreter that has everything the commands need; installs what is missing, once.

    comfy_requirements: ComfyUI's requirements.txt. testing: also what the tests need.
    Raises CommandError when an installation fails, with the way out.
    """
    wanted = _wanted(comfy_requirements, testing)
    active = active_python()
    if active is not None:
        return _complete_active(active, comfy_requirements, wanted, testing)
    folder = home() / f"venv-{wanted['base']}"
    if _installed(folder / MARKER, wanted):
        return python_of(folder)
    with locked("environment"):
        _complete_own(folder, comfy_requirements, wanted, testing)
    return python_of(folder)


def pip_command() -> list[str]:
    """A pip to download with, before the environment exists."""
    for python in (active_python(), Path(sys.executable)):
        if python is not None and _answers([str(python), "-m", "pip", "--version"]):
            return [str(python), "-m", "pip"]
    folder = home() / f"pip-{platform.python_version()}"
    with locked("pip"):
        if not _answers([str(python_of(folder)), "-m", "pip", "--version"]):
            _make_venv(folder)
    return [str(python_of(folder)), "-m", "pip"]


def _wanted(comfy_requirements: Path, testing: bool) -> dict[str, str]:
    """The state of a finished installation: hashes of what went into it."""
    base = [f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine(), *TORCH]
    base += [_requirements(PACK_REQUIREMENTS), _requirements(comfy_requirements)]
    wanted = {"base": _digest(base)}
    if testing:
        wanted["test"] = _digest([_requirements(TEST_REQUIREMENTS)])
    return wanted


def _requirements(path: Path) -> str:
    """The requirements of a file without comments, order and blank lines."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in path.read_text(encoding="utf-8").splitlines())
    return "\n".join(sorted(line for line in lines if line))


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _installed(marker: Path, wanted: dict[str, str]) -> bool:
    """Whether the marker says that all that is wanted was installed to the end (more may have been)."""
    if not marker.exists():
        return False
    state: dict[str, str] = json.loads(marker.read_text(encoding="utf-8"))
    return all(state.get(key) == value for key, value in wanted.items())


def _write_marker(marker: Path, wanted: dict[str, str]) -> None:
    marker.parent.mkdir(parents=True, exist_ok=True)
    state: dict[str, str] = json.loads(marker.read_text(encoding="utf-8")) if marker.exists() else {}
    kept = state if state.get("base") == wanted["base"] else {}
    partial = marker.with_suffix(".partial")
    partial.write_text(json.dumps({**kept, **wanted}), encoding="utf-8")
    partial.replace(marker)


def _complete_own(folder: Path, comfy_requirements: Path, wanted: dict[str, str], testing: bool) -> None:
    marker = folder / MARKER
    if _installed(marker, wanted):
        return
    if not _installed(marker, {"base": wanted["base"]}):
        remove(folder)
        say(f"Making a Python environment for Likeness in {folder} (once; torch alone is up to 3 GB)")
        _make_venv(folder)
        base = ["-r", str(comfy_requirements), "-r", str(PACK_REQUIREMENTS)]
        _install(python_of(folder), "torch and what ComfyUI and Likeness need", [*TORCH, *base])
        _write_marker(marker, {"base": wanted["base"]})
    if testing:
        _install(python_of(folder), "what the tests need", ["-r", str(TEST_REQUIREMENTS)])
    _write_marker(marker, wanted)


def _complete_active(python: Path, comfy_requirements: Path, wanted: dict[str, str], testing: bool) -> Path:
    """Install into the active environment only what is missing there."""
    if not _has_torch(python):
        _install(python, "torch (the active environment has none)", list(TORCH))
    version = subprocess.run([str(python), "-c", _SITE], capture_output=True, text=True, check=True).stdout.split("\n")
    state = {**wanted, "base": _digest([wanted["base"], *version])}
    marker = home() / "active" / f"{_digest([str(python)])}.json"
    if _installed(marker, state):
        return python
    files = [comfy_requirements, PACK_REQUIREMENTS] + ([TEST_REQUIREMENTS] if testing else [])
    arguments = [part for path in files for part in ("-r", str(path))]
    with locked("environment"):
        _install(python, f"what is missing in the active environment {python.parent.parent}", arguments)
    after = subprocess.run([str(python), "-c", _SITE], capture_output=True, text=True, check=True).stdout.split("\n")
    _write_marker(marker, {**wanted, "base": _digest([wanted["base"], *after])})
    return python


# An installation or removal changes the time of the folder, so that the answer is asked for again.
_SITE = "import sysconfig,os; p=sysconfig.get_path('purelib'); print(p); print(os.stat(p).st_mtime_ns)"


def _has_torch(python: Path) -> bool:
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    return _answers([str(python), "-c", probe])


def _answers(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _make_venv(folder: Path) -> None:
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], capture_output=True, text=True)
    if made.returncode:
        remove(folder)
        detail = (made.stdout + made.stderr).strip()
        raise CommandError(
            f"Python could not make a virtual environment in {folder}:\n{detail}\n"
            "On Debian and Ubuntu: apt-get install python3-venv. Or activate an environment of yours and try again."
        )


def _install(python: Path, what: str, arguments: list[str]) -> None:
    """Run pip (or uv, where an environment has no pip) with its progress on the terminal."""
    if _answers([str(python), "-m", "pip", "--version"]):
        command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    elif shutil.which("uv"):
        command = ["uv", "pip", "install", "--python", str(python)]
    else:
        raise CommandError(f"{python} has no pip, and uv is not on PATH. Run: {python} -m ensurepip")
    say(f"Installing {what} ...")
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    process = subprocess.Popen(
        [*command, *arguments], stdout=None if sys.stdout.isatty() else subprocess.PIPE, text=True, env=environment
    )
    for line in process.stdout or ():
        if not line.startswith("Requirement already satisfied") and "━" not in line:
            say(f"  {line.rstrip()}")
    if process.wait():
        raise CommandError(
            f"Installing {what} failed (exit code {process.returncode}); pip's own message is above.\n"
            f"The command was: {' '.join([*command, *arguments])}\n"
            "Check the network, the disk space (about 8 GB) and that a package index is reachable, then run this again."
        )
