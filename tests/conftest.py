"""Makes the checkout importable as the package `likeness`, whatever its folder is called."""

import importlib.util
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]

if "likeness" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "likeness", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["likeness"] = module
    spec.loader.exec_module(module)

torch.set_num_threads(1)

# the shared server of the tests that need a running ComfyUI
from likeness.tests.comfyui_server import comfyui  # noqa: E402, F401
