"""What is to be fetched, and what the user has to agree to before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, NotAgreedError
from ..weights import Archive, Manifest, ModelFolders, WeightsEntry, as_recorded, find, places

Published = WeightsEntry | Archive


def named(manifest: Manifest, weights_id: str) -> Published:
    """The weights or archive of an id. Raises InputError naming what there is."""
    for archive in manifest.archives:
        if archive.id == weights_id:
            return archive
    return manifest.entry(weights_id)


def with_needs(manifest: Manifest, ids: Sequence[str]) -> tuple[Published, ...]:
    """What is asked for and what that is useless without, each once; an archive brings the files it contains."""
    found: dict[str, Published] = {}
    waiting = list(ids)
    while waiting:
        one = named(manifest, waiting.pop(0))
        if one.id not in found:
            found[one.id] = one
            waiting += one.needs if isinstance(one, WeightsEntry) else ()
    brought = {name for one in found.values() if isinstance(one, Archive) for name in one.contains}
    return tuple(one for name, one in found.items() if name not in brought)


def present(one: Published, manifest: Manifest, runtime: ModelFolders) -> Path | None:
    """Where a file lies, or for an archive the folder of its files when all of them are there, else None.

    Raises WrongWeightsError for a file of another size.
    """
    if isinstance(one, WeightsEntry):
        return find(as_recorded(one, runtime), runtime)
    folders = runtime.model_folders(one.folder)
    entries = [manifest.entry(name) for name in one.contains]
    whole = [folder for folder in folders if all(_in(folder, entry, runtime) for entry in entries)]
    return whole[0] if whole else None


def _in(folder: Path, entry: WeightsEntry, runtime: ModelFolders) -> bool:
    return any(path.parent == folder and path.is_file() for path in places(entry, runtime))


def terms(one: Published) -> str:
    """What is agreed to: the licence, whether it allows commercial use, where it does not apply."""
    territory = one.territory if isinstance(one, WeightsEntry) else ""
    where = f"; not allowed in {territory}" if territory else ""
    return f"{one.licence} (commercial use: {one.commercial_use}{where})"


def check_agreed(one: Published, agreed: str) -> None:
    """Raise NotAgreedError unless exactly the terms of a file were agreed to."""
    if agreed != terms(one):
        raise NotAgreedError(
            f"{one.id} was not fetched: its licence was not agreed to. It is {terms(one)}; "
            f"{f'agreed to was {agreed!r}.' if agreed else 'agree to it first.'}"
        )


def size_text(one: Published) -> str:
    """The size as people read it."""
    return one.size_text if isinstance(one, WeightsEntry) else f"{one.size_bytes / 1e6:.1f} MB"


def check_can_fetch(one: Published) -> None:
    """Raise InputError for a file that arrives with the pack."""
    if isinstance(one, WeightsEntry) and one.embedded:
        raise InputError(f"{one.id} arrives with the pack; there is nothing to fetch.")
