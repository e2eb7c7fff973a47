"""Our models under the memory manager of the real ComfyUI."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("comfy_runtime_cases.py")
NAMES = [
    node.name
    for path in (CASES, CASES.with_name("fetching_cases.py"))
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("case_")
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    comfyui = os.environ.get("COMFYUI_DIR", "")
    if not (Path(comfyui) / "comfy").is_dir():
        pytest.skip("COMFYUI_DIR names no ComfyUI: run `./likeness test`, which finds or installs one")
    base = tmp_path_factory.mktemp("comfyui")
    command = [sys.executable, str(CASES), comfyui, str(base)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.removeprefix("case_"))
def test_inside_comfyui(results: dict[str, str], name: str) -> None:
    assert results[name] == "", results[name]
