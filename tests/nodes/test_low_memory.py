"""Our models under the memory manager of the real ComfyUI when it saves memory: `--lowvram` and `--novram`."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from likeness.tests.comfyui_server import comfyui_folder

CASES = Path(__file__).with_name("low_memory_cases.py")
NAMES = [
    node.name
    for node in ast.parse(CASES.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("case_")
]
FLAGS = ("--lowvram", "--novram")

each_flag = pytest.mark.parametrize("flag", FLAGS)
each_case = pytest.mark.parametrize("name", NAMES, ids=lambda name: name.removeprefix("case_"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comfyui")


@functools.cache
def results(base: Path, device: str, flag: str) -> dict[str, str]:
    """Case -> "" or its traceback, of one ComfyUI process."""
    command = [sys.executable, str(CASES), str(comfyui_folder()), str(base), device, flag]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.skipif(
    not hasattr(torch._C, "_acc") or not hasattr(torch._C._acc, "create_empty_tensor"),
    reason=f"torch {torch.__version__} cannot have a device that is written in Python",
)
@each_flag
@each_case
def test_on_a_second_device(base: Path, flag: str, name: str) -> None:
    assert results(base, "npu", flag)[name] == "", results(base, "npu", flag)[name]


@pytest.mark.skipif(
    torch.version.cuda is None or not torch.cuda.is_available(), reason="needs an NVIDIA card and its torch"
)
@each_flag
@each_case
def test_on_a_graphics_card(base: Path, flag: str, name: str) -> None:
    assert results(base, "cuda", flag)[name] == "", results(base, "cuda", flag)[name]
