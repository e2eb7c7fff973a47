"""The checkout that these tools lie in, as the package `likeness`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def map_package() -> None:
    """Make the checkout importable as `likeness`, whatever its folder is called."""
    if "likeness" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "likeness", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT} has no __init__.py: the checkout is incomplete")
    module = importlib.util.module_from_spec(spec)
    sys.modules["likeness"] = module
    spec.loader.exec_module(module)
