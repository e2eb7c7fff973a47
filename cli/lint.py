"""./likeness lint: style of the whole checkout and types of the library."""

from __future__ import annotations

import subprocess
import sys

from .errors import UsageError
from .home import CHECKOUT, say


def main(arguments: list[str]) -> int:
    """Run both checks; 0 when both are clean."""
    if arguments:
        raise UsageError("lint takes no arguments.")
    checks = (
        ["ruff", "check", ".", "likeness"],
        ["pyright", "--pythonpath", sys.executable],
    )
    codes: list[int] = []
    for check in checks:
        say(f"$ {' '.join(check)}")
        codes.append(subprocess.call([sys.executable, "-m", *check], cwd=CHECKOUT))
    return max(codes)
