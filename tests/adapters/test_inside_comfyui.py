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
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, dict[str, str]]:
    """What the files that ran so far gave."""
    return {}


@pytest.mark.parametrize(("file", "name"), CASES)
def test_case(file: Path, name: str, outcomes: dict[Path, dict[str, str]], tmp_path: Path) -> None:
    if file not in outcomes:
        outcomes[file] = results(file, tmp_path)
    assert outcomes[file][name] == "", outcomes[file][name]
