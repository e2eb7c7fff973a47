"""What can be done here: every choice of a backend that has an `auto`, made as the nodes make it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import LikenessError, MissingWeightsError
from ..identity.backends import load_analysis
from ..identity.parsing import PARSERS, load_parser
from ..registry import Registry
from ..render.animate import load_renderer
from ..restore.restorers import load_restorer
from ..swap.choice import load_swapper
from ..swap.occluders import OCCLUDERS, load_occluder


def _parser(registry: Registry) -> tuple[Any, str]:
    parser = load_parser(registry)
    return parser, _among("Face parser", parser.name, parser.licence, registry, PARSERS)


def _occluder(registry: Registry) -> tuple[Any, str]:
    occluder = load_occluder(registry)
    return occluder, _among("Occluder", occluder.name, occluder.licence, registry, OCCLUDERS)


def _among(what: str, name: str, licence: str, registry: Registry, kinds: Sequence[Any]) -> str:
    absent = [kind.name for kind in kinds if registry.find(kind.weights_id) is None]
    return "\n".join(
        [f"{what}: {name}. Licence {licence}.", *(f"Not {other}: its file is missing." for other in absent)]
    )


#: Capability -> the function whose `auto` chooses among its backends; it returns the backend and a report.
CAPABILITIES: dict[str, Callable[[Registry], tuple[Any, str]]] = {
    "find and tell apart faces": load_analysis,
    "swap faces": load_swapper,
    "animate portraits": load_renderer,
    "restore faces": load_restorer,
    "tell the parts of a face apart": _parser,
    "see what hides a face": _occluder,
}


def capabilities(registry: Registry) -> dict[str, dict[str, Any]]:
    """Capability -> {"works", "choice": the report's first line, "passed": why each better backend is not it}.

    `works` is None where a file is needed that is not here: that is no fault of the installation.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, load in CAPABILITIES.items():
        try:
            lines = load(registry)[1].splitlines()
            found[name] = {"works": True, "choice": lines[0], "passed": lines[1:]}
        except MissingWeightsError as error:
            found[name] = {"works": None, "choice": str(error), "passed": []}
        except LikenessError as error:
            found[name] = {"works": False, "choice": str(error), "passed": []}
    return found
