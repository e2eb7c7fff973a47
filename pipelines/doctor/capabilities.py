"""What can be done here: every choice of a backend that has an `auto`, made as the nodes make it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import LikenessError
from ..identity.backends import load_analysis
from ..registry import Registry
from ..render.animate import load_renderer
from ..restore.restorers import load_restorer
from ..swap.choice import load_swapper

#: Capability -> the function whose `auto` chooses among its backends; it returns the backend and a report.
CAPABILITIES: dict[str, Callable[[Registry], tuple[Any, str]]] = {
    "find and tell apart faces": load_analysis,
    "swap faces": load_swapper,
    "animate portraits": load_renderer,
    "restore faces": load_restorer,
}


def capabilities(registry: Registry) -> dict[str, dict[str, Any]]:
    """Capability -> {"works", "choice": the report's first line, "passed": why each better backend is not it}."""
    found: dict[str, dict[str, Any]] = {}
    for name, load in CAPABILITIES.items():
        try:
            lines = load(registry)[1].splitlines()
            found[name] = {"works": True, "choice": lines[0], "passed": lines[1:]}
        except LikenessError as error:
            found[name] = {"works": False, "choice": str(error), "passed": []}
    return found
