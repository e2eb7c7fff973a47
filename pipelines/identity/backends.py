"""The ways to analyse faces, best first, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ..errors import InputError, MissingPackageError, MissingWeightsError
from ..registry import Registry
from .analysis import FaceAnalysis, load_embedded_analysis
from .insightface_backend import Pack, load_insightface_analysis


def _insightface(pack: str) -> Callable[[Registry], FaceAnalysis]:
    return lambda registry: load_insightface_analysis(registry, cast(Pack, pack))


#: Name -> loader, in the order in which `auto` tries them; behind the embedded one, what only serves one adapter.
BACKENDS: dict[str, Callable[[Registry], FaceAnalysis]] = {
    "antelopev2": _insightface("antelopev2"),
    "buffalo_l": _insightface("buffalo_l"),
    "embedded": load_embedded_analysis,
    "arc2face": _insightface("arc2face"),
}


def load_analysis(registry: Registry, backend: str = "auto") -> tuple[FaceAnalysis, str]:
    """Load a face analysis by name, or the best one that is present.

    backend: "auto" or a key of `BACKENDS`. Returns the analysis and a text: which it is, its recogniser with licence,
    and, for "auto", why each better one was passed over. Raises MissingWeightsError or MissingPackageError for a named
    one that lacks something, WrongWeightsError for broken files, InputError for another name.
    """
    if backend != "auto":
        if backend not in BACKENDS:
            raise InputError(f"There is no face analysis {backend!r}; there are auto, {', '.join(BACKENDS)}.")
        analysis = BACKENDS[backend](registry)
        return analysis, _describe(analysis)
    passed: list[str] = []
    for name, load in BACKENDS.items():
        try:
            analysis = load(registry)
        except (MissingWeightsError, MissingPackageError) as error:
            passed.append(f"Not {name}: {str(error).partition('. ')[0]}.")
        else:
            return analysis, "\n".join([_describe(analysis), *passed])
    raise MissingWeightsError("No face analysis can be loaded.\n" + "\n".join(passed))


def _describe(analysis: FaceAnalysis) -> str:
    recogniser = analysis.recogniser
    use = "commercial use allowed" if recogniser.commercial_use else "no commercial use"
    return (
        f"Face analysis: {analysis.name}. Recogniser: {recogniser.name}, {recogniser.dimension} numbers, "
        f"licence {recogniser.licence} ({use})."
    )
