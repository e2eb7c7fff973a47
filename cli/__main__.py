"""The commands, inside the environment: python cli/__main__.py COMMAND ... (normally started by ./likeness)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def _load_package() -> None:
    """Make the checkout importable as `likeness`, whatever its folder is called."""
    checkout = Path(__file__).resolve().parents[1]
    # The folder of this file must not answer for packages of the same names as our modules.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != checkout / "cli"]
    spec = importlib.util.spec_from_file_location(
        "likeness", checkout / "__init__.py", submodule_search_locations=[str(checkout)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{checkout} has no __init__.py: the checkout is incomplete")
    package = importlib.util.module_from_spec(spec)
    sys.modules["likeness"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    if "likeness" not in sys.modules:
        _load_package()
    from likeness.cli.commands import main

    sys.exit(main(sys.argv[1:]))
