"""Which adapter files there are, and which the manifest knows and nobody has put there yet."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..pipelines.adapters.library import ADAPTER_FOLDERS, SUFFIXES
from ..pipelines.adapters.published import TOWER_FILES, published_files
from ..pipelines.errors import MissingWeightsError
from ..pipelines.weights import WeightsEntry, locate
from .comfy_runtime import shared_registry

#: In front of files that are not there.
MISSING = "(missing) "


def present_files() -> list[str]:
    """`folder/file` of every adapter in their folders, as ComfyUI's own cached lists give them."""
    manifest = shared_registry().manifest
    towers = [manifest.entry(weights_id) for weights_id in TOWER_FILES.values()]
    no_adapters = {place for entry in towers for place in (f"{entry.folder}/{entry.file}", *entry.aliases)}
    found = [
        f"{folder}/{name}"
        for folder in ADAPTER_FOLDERS
        if folder in folder_paths.folder_names_and_paths
        for name in folder_paths.get_filename_list(folder)
        if name.endswith(SUFFIXES)
    ]
    return [name for name in found if name not in no_adapters]


def known_files() -> dict[str, WeightsEntry]:
    """`folder/file` → entry of every published adapter."""
    manifest = shared_registry().manifest
    entries = [manifest.entry(weights_id) for weights_id in published_files()]
    return {f"{entry.folder}/{entry.file}": entry for entry in entries}


def choices() -> list[str]:
    """What Load Identity Adapter lists: files that are present, then known ones that are missing."""
    present = present_files()
    missing = [
        name for name, entry in known_files().items() if name not in present and not set(entry.aliases) & set(present)
    ]
    return [*present, *(f"{MISSING}{name}" for name in missing)]


def adapter_path(choice: str) -> Path:
    """The file of a choice.

    Raises MissingWeightsError: for a file that the manifest knows, with its size, licence and command; else with the
    files that there are.
    """
    name = choice.removeprefix(MISSING)
    folder, _, file = name.partition("/")
    found = folder_paths.get_full_path(folder, file) if folder in ADAPTER_FOLDERS else None
    if found is not None:
        return Path(found)
    entry = known_files().get(name)
    if entry is not None:
        return locate(entry, shared_registry().runtime)
    there = ", ".join(present_files()) or "none yet"
    raise MissingWeightsError(
        f"There is no adapter file {name!r}. Files present: {there}. Adapters belong into models/"
        f"{', models/'.join(ADAPTER_FOLDERS)}; press R after adding one."
    )
