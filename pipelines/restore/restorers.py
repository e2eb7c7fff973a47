"""Every way to make a face crisp, best first, behind one interface."""

from __future__ import annotations

from ..errors import InputError, WrongWeightsError
from ..registry import Registry
from .codeformer import CODEFORMER
from .gfpgan import GFPGAN_12, GFPGAN_13, GFPGAN_14
from .gpen import GPEN_256, GPEN_512, GPEN_1024, GPEN_2048
from .restoreformer import RESTOREFORMER, RESTOREFORMER_PLUS_PLUS
from .restorer import LoadedRestorer, Restorer
from .sharpen import SHARPEN

#: "auto" takes the first one that has a file; the last one always works.
RESTORERS: tuple[Restorer, ...] = (
    GFPGAN_14,
    CODEFORMER,
    RESTOREFORMER_PLUS_PLUS,
    GPEN_512,
    GPEN_1024,
    GPEN_2048,
    RESTOREFORMER,
    GFPGAN_13,
    GFPGAN_12,
    GPEN_256,
    SHARPEN,
)


def restorer_named(name: str) -> Restorer:
    """The entry of a name; raises InputError naming those there are."""
    for entry in RESTORERS:
        if entry.name == name:
            return entry
    raise InputError(f"There is no restorer {name!r}; there are {', '.join(entry.name for entry in RESTORERS)}.")


def load_restorer(registry: Registry, name: str = "auto") -> tuple[LoadedRestorer, str]:
    """Load a restorer by name, or the first of `RESTORERS` that has a file.

    Returns it and a text: which it is, its licence, and which others are there or missing. Raises MissingWeightsError
    for a named one without a file, WrongWeightsError for a broken one, InputError for another name.
    """
    entry = next(e for e in RESTORERS if _is_ready(e, registry)) if name == "auto" else restorer_named(name)
    loaded = entry.load(registry)
    dial = ", with fidelity" if entry.has_fidelity else ""
    lines = [f"Restorer: {entry.name}, {entry.title}, {entry.size} px{dial}. Licence {entry.licence}."]
    return loaded, "\n".join([*lines, *(_status(other, registry) for other in RESTORERS if other is not entry)])


def _is_ready(entry: Restorer, registry: Registry) -> bool:
    return entry.embedded is not None or bool(entry.present(registry))


def _status(entry: Restorer, registry: Registry) -> str:
    """One line of the list: present with its file, or missing with the file that is fetched first."""
    if entry.embedded is not None:
        return f"present: {entry.name} (no file needed)"
    try:
        present = entry.present(registry)
    except WrongWeightsError as error:
        return f"broken: {entry.name} ({error})"
    if present:
        return f"present: {entry.name} ({present[0][1].name})"
    records = [registry.manifest.entry(file.weights_id) for file in entry.files]
    names = " or ".join(f"{record.folder}/{record.file}" for record in records)
    return f"missing: {entry.name} ({names})"
