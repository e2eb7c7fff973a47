"""pyproject, requirements and the checkout say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import likeness
from likeness import pipelines
from likeness.tests.comfyui_server import comfyui_folder

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "cli", "nodes", "pipelines")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def names(path: Path) -> set[str]:
    """The packages that a requirements file asks for."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return {re.split(r"[\s\[<>=!~;]", line)[0].lower().replace("_", "-") for line in lines if line}


def test_every_package_of_the_checkout_is_listed(project: dict[str, Any]) -> None:
    packages = set(project["tool"]["setuptools"]["packages"])
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            assert ".".join(("likeness", *init.parent.relative_to(ROOT).parts)) in packages


def test_versions_and_names_agree(project: dict[str, Any]) -> None:
    assert project["project"]["version"] == pipelines.__version__
    assert "comfyui" not in project["project"]["name"].lower()
    assert re.fullmatch(r">=\d+\.\d+\.\d+", project["tool"]["comfy"]["requires-comfyui"])
    # The web folder is registered by WEB_DIRECTORY; named twice, every script would be loaded twice.
    assert "web" not in project["tool"]["comfy"] and likeness.WEB_DIRECTORY == "./web"


def test_requirements_ask_for_nothing_that_comfyui_brings() -> None:
    assert not names(ROOT / "requirements.txt") & names(comfyui_folder() / "requirements.txt")
