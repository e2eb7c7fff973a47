"""Cases that need ComfyUI's modules run in a process of their own: they change global state, and so do its imports.

A file of cases has functions `case_<sentence>` and ends in `run(globals())`; a test file makes one test of each by
`case_names` and `results`, which runs all files in one process. `python <cases file> COMFYUI_DIR BASE_DIR [CASE ...]`
prints {case: "" or the traceback} last.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 1200


def case_names(cases: Path) -> list[str]:
    tree = ast.parse(cases.read_text(encoding="utf-8"))
    return [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("case_")]


def results(files: list[Path], base: Path) -> dict[str, dict[str, str]]:
    """Run every case of the files, by the file's name; skips the test when COMFYUI_DIR names no ComfyUI."""
    import pytest

    comfyui = os.environ.get("COMFYUI_DIR", "")
    if not (Path(comfyui) / "comfy").is_dir():
        pytest.skip("COMFYUI_DIR names no ComfyUI: run `./likeness test`, which finds or installs one")
    command = [sys.executable, __file__, comfyui, str(base), *map(str, files)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def start(comfyui: Path, base: Path) -> None:
    """ComfyUI on the CPU and the pack as `likeness`, before either is imported."""
    sys.path.insert(0, str(comfyui))
    os.chdir(base)
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    args.base_directory = str(base)
    args.use_pytorch_cross_attention = True
    _import_pack()


def _import_pack() -> None:
    import torch

    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location(
        "likeness", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    pack = importlib.util.module_from_spec(spec)
    sys.modules["likeness"] = pack
    spec.loader.exec_module(pack)
    # the package of the nodes would import every node: the cases need single modules of it
    nodes = type(sys)("likeness.nodes")
    nodes.__path__ = [str(ROOT / "nodes")]
    sys.modules["likeness.nodes"] = nodes


def run(names: dict[str, Any]) -> None:
    """Run the cases among a module's globals, after `start`; argv[3:] picks some."""
    from likeness.tests.case_outcomes import outcomes

    print(json.dumps(outcomes(names, only=sys.argv[3:])))


def run_files(files: list[Path]) -> None:
    """Run all cases of several files and print them by the file's name."""
    start(Path(sys.argv[1]), Path(sys.argv[2]))
    from likeness.tests.case_outcomes import outcomes

    sys.path.insert(0, str(Path(__file__).parent))
    print(json.dumps({file.name: outcomes(vars(importlib.import_module(file.stem))) for file in files}))


if __name__ == "__main__":
    run_files([Path(name) for name in sys.argv[3:]])
