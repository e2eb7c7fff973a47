"""What can be done here: every choice of a backend that has an `auto`, made as the nodes make it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..audio.backends import LISTENERS
from ..audio.request import Request
from ..audio.speech_head_file import FOLDER, heads_in
from ..errors import LikenessError, MissingWeightsError
from ..identity.backends import load_analysis
from ..identity.parsing import PARSERS, load_parser
from ..lips.files import WHISPER_FILES
from ..lips.musetalk import chosen_version
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


def _lips(registry: Registry) -> tuple[Any, str]:
    """What `load_musetalk` would choose: its network takes too long to be read for an answer, and needs a VAE."""
    version = chosen_version(registry)
    registry.require(f"MuseTalk {version.name}", [[version.weights_id], WHISPER_FILES])
    licence = registry.manifest.entry(version.weights_id).licence
    return version, f"Lip sync: MuseTalk {version.name}, with a VAE of Stable Diffusion 1.5. Licence {licence}."


def _among(what: str, name: str, licence: str, registry: Registry, kinds: Sequence[Any]) -> str:
    absent = [kind.name for kind in kinds if registry.find(kind.weights_id) is None]
    return "\n".join(
        [f"{what}: {name}. Licence {licence}.", *(f"Not {other}: its file is missing." for other in absent)]
    )


def _hearing(registry: Registry) -> tuple[Any, str]:
    """Who hears a speech that comes with nothing else; speech heads are connected in the graph, so they are listed."""
    request = Request()
    best = next(entry for entry in LISTENERS if not entry.missing(request))
    passed = LISTENERS[: LISTENERS.index(best)]
    heads = ", ".join(heads_in(registry.runtime.model_folders(FOLDER))) or "none"
    lines = [f"Hears by {best.title}. Licence {best.licence}."]
    lines += [f"Not {entry.name}: {entry.missing(request)}." for entry in passed]
    return best, "\n".join([*lines, f"Speech heads here: {heads}."])


#: Capability -> the function whose `auto` chooses among its backends; it returns the backend and a report.
CAPABILITIES: dict[str, Callable[[Registry], tuple[Any, str]]] = {
    "find and tell apart faces": load_analysis,
    "swap faces": load_swapper,
    "animate portraits": load_renderer,
    "hear speech": _hearing,
    "restore faces": load_restorer,
    "tell the parts of a face apart": _parser,
    "see what hides a face": _occluder,
    "draw lips for a speech with a network": _lips,
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
