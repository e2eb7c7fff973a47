"""Adapters inside the real ComfyUI: every case of the `*_cases.py` files beside this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.tests.adapters.comfy_process import case_names, results

FILES = sorted(Path(__file__).parent.glob("*_cases.py"))
CASES = [
    pytest.param(file, name, id=f"{file.stem.removesuffix('_cases')}-{name.removeprefix('case_')}")
    for file in FILES
    for name in case_names(file)
]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What the files gave whose cases are asked for."""
    asked = {item.callspec.params["file"] for item in request.session.items if item.path == Path(__file__)}
    return results(sorted(asked), tmp_path_factory.mktemp("comfyui"))


@pytest.mark.parametrize(("file", "name"), CASES)
def test_case(file: Path, name: str, outcomes: dict[str, dict[str, str]]) -> None:
    assert outcomes[file.name][name] == "", outcomes[file.name][name]
