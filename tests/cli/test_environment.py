"""The launcher's environment is made once, completed, and repeated after an interruption. Real venvs, a local index."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from likeness.cli import environment
from likeness.cli.errors import CommandError


def wheel(folder: Path, name: str, version: str) -> None:
    """The smallest wheel that pip installs."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


class Machine:
    """A fresh machine: an empty home, an index with five packages, no active environment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.index = folder / "home", folder / "index"
        self.index.mkdir()
        for requirement in environment.TORCH:
            wheel(self.index, *requirement.split("=="))
        wheel(self.index, "forcomfyui", "1.0")
        wheel(self.index, "fortests", "1.0")
        self.comfy = self.file(folder / "comfy.txt", "torch\nforcomfyui>=1.0  # needed\n")
        monkeypatch.setattr(environment, "PACK_REQUIREMENTS", self.file(folder / "pack.txt", "# nothing\n"))
        monkeypatch.setattr(environment, "TEST_REQUIREMENTS", self.file(folder / "test.txt", "fortests\n"))
        monkeypatch.setattr(environment, "active_python", lambda: None)
        monkeypatch.setenv("LIKENESS_HOME", str(self.home))
        for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_CONFIG_FILE": "/none"}.items():
            monkeypatch.setenv(name, value)

    @staticmethod
    def file(path: Path, text: str) -> Path:
        path.write_text(text, "utf-8")
        return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def has(python: Path, package: str) -> bool:
    return subprocess.run([str(python), "-c", f"import {package}"], capture_output=True).returncode == 0


def test_environment_is_made_once_and_completed_for_the_tests(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    python = environment.prepare(machine.comfy, testing=False)
    assert [has(python, name) for name in ("torch", "torchaudio", "forcomfyui", "fortests")] == [
        True,
        True,
        True,
        False,
    ]
    kept = python.parent.parent / "kept"
    kept.touch()
    capsys.readouterr()

    assert environment.prepare(machine.comfy, testing=False) == python
    assert capsys.readouterr().out == ""

    assert environment.prepare(machine.comfy, testing=True) == python
    assert "Installing what the tests need" in capsys.readouterr().out
    assert has(python, "fortests") and kept.exists()

    # What has more than is asked for is complete.
    assert environment.prepare(machine.comfy, testing=False) == python
    assert environment.prepare(machine.comfy, testing=True) == python
    assert capsys.readouterr().out == ""

    # Without its marker an installation was interrupted.
    (python.parent.parent / environment.MARKER).unlink()
    environment.prepare(machine.comfy, testing=False)
    assert has(python, "forcomfyui") and not kept.exists()


def test_other_requirements_get_another_environment_and_comments_do_not(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(environment, "_complete_own", lambda folder, *rest: made.append(folder))
    same = machine.file(tmp_path / "same.txt", "# a comment\nforcomfyui>=1.0\n\ntorch\n")
    other = machine.file(tmp_path / "other.txt", "torch\nforcomfyui>=2.0\n")
    first, second, third = (environment.prepare(path, testing=False) for path in (machine.comfy, same, other))
    assert first == second != third
    assert made[0] == first.parent.parent


def test_failed_installation_is_reported_and_not_taken_for_complete(
    machine: Machine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    missing = machine.file(tmp_path / "missing.txt", "nowhere-to-be-found\n")
    with pytest.raises(CommandError, match=r"Installing torch .* failed .*pip's own message is above"):
        environment.prepare(missing, testing=False)
    assert "nowhere-to-be-found" in "".join(capfd.readouterr())
    assert not list(machine.home.glob(f"venv-*/{environment.MARKER}"))


def test_active_environment_keeps_what_it_has(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "mine")], check=True)
    python = environment.python_of(tmp_path / "mine")
    wheel(machine.index, "torch", "2.5.0")
    subprocess.run([str(python), "-m", "pip", "install", "-q", "torch==2.5.0"], check=True)
    monkeypatch.setattr(environment, "active_python", lambda: python)

    assert environment.prepare(machine.comfy, testing=False) == python
    assert has(python, "forcomfyui") and not has(python, "fortests")
    version = subprocess.run(
        [str(python), "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True, check=True
    )
    assert version.stdout.strip() == "2.5.0"
    capsys.readouterr()

    environment.prepare(machine.comfy, testing=False)
    assert capsys.readouterr().out == ""
    subprocess.run([str(python), "-m", "pip", "uninstall", "-q", "-y", "forcomfyui"], check=True)
    environment.prepare(machine.comfy, testing=False)
    assert has(python, "forcomfyui")
