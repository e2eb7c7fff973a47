"""The weights of the manifest as they lie on this disk: present, elsewhere, wrong, twice, or missing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..download.terms import Published, present, size_text, terms
from ..errors import LikenessError, WrongWeightsError
from ..weights import (
    Manifest,
    ModelFolders,
    WeightsEntry,
    as_recorded,
    content_hash,
    find,
    is_lfs_pointer,
    places,
    target,
    verify,
)  # fmt: skip

#: Files looked at below the model folders before the search ends: somebody may name a whole disk.
_MOST_FILES = 50_000
_SMALL = 1024
#: How far a file may be from a size that is only published rounded.
_ROUNDED = 0.1


@dataclass(frozen=True)
class Found:
    """A file below the model folders."""

    path: Path
    size: int


def weights_state(manifest: Manifest, runtime: ModelFolders, check_contents: bool) -> dict[str, dict[str, Any]]:
    """Id -> everything about each file: its state, where it lies or belongs, size, licence, command.

    state: "present", "elsewhere" (found under an alias and used there), "wrong", "missing". check_contents: also read
    every present file and compare its sha256; otherwise only sizes are compared.
    """
    return {entry.id: _state(entry, runtime, check_contents) for entry in manifest.entries if not entry.embedded} | {
        archive.id: _about(archive, target(archive, runtime))
        | {"state": "archive", "path": str(present(archive, manifest, runtime) or "") or None}
        for archive in manifest.archives
    }


def _about(one: Published, path: Path) -> dict[str, Any]:
    return {
        "file": one.file,
        "target": str(path),
        "size": size_text(one),
        "bytes": one.size_bytes,
        "sha256": one.sha256,
        "licence": terms(one),
        "command": f"./likeness fetch {one.id}",
        "used_by": list(one.used_by) if isinstance(one, WeightsEntry) else [],
    }


def _state(entry: WeightsEntry, runtime: ModelFolders, check_contents: bool) -> dict[str, Any]:
    entry = as_recorded(entry, runtime)
    about = _about(entry, target(entry, runtime))
    try:
        path = find(entry, runtime)
        if path is not None and (check_contents or path.stat().st_size < _SMALL):
            verify(entry, path)
    except WrongWeightsError as error:
        return about | {"state": "wrong", "path": None, "problem": str(error)}
    if path is None:
        return about | {"state": "missing", "path": None}
    own = {folder / entry.file for folder in runtime.model_folders(entry.folder)}
    found = about | {"state": "present" if path in own else "elsewhere", "path": str(path)}
    size = path.stat().st_size
    if entry.size_bytes is None and entry.about_bytes and abs(size / entry.about_bytes - 1) > _ROUNDED:
        problem = f"{path} has {size / 1e6:.1f} MB, published are {entry.size_text}: it may be cut off. Its command is "
        return found | {"problem": f"{problem}`./likeness fetch {entry.id}`, after it was moved away."}
    return found


def oddities(manifest: Manifest, runtime: ModelFolders, check_contents: bool) -> list[str]:
    """What should be tidied: known files where nobody looks, the same content twice, pointers, unfinished downloads.

    check_contents: also read the files whose size is that of a known file; without it only the latter two are found.
    """
    entries = [entry for entry in manifest.entries if not entry.embedded]
    known = {(entry.size_bytes, entry.sha256): entry for entry in entries if entry.sha256 and entry.size_bytes}
    sizes = {size for size, _ in known}
    expected = {_key(path): entry for entry in entries for path in places(entry, runtime)}
    copies: dict[str, list[Path]] = {}
    notes: list[str] = []
    for file in _files(_roots(entries, runtime)):
        if file.path.name.endswith(".partial"):
            notes.append(f"{file.path} is an unfinished download ({file.size / 1e6:.1f} MB); fetch goes on with it.")
        elif 0 < file.size < _SMALL and is_lfs_pointer(file.path):
            notes.append(f"{file.path} is only a Git LFS pointer, not the file: run `git lfs pull` or download it.")
        elif check_contents and file.size in sizes:
            entry = known.get((file.size, content_hash(file.path)))
            if entry is not None:
                copies.setdefault(entry.id, []).append(file.path)
                if _key(file.path) not in expected:
                    notes.append(
                        f"{file.path} is {entry.id}, where nobody looks for it: move it to {target(entry, runtime)}."
                    )
    for weights_id, paths in copies.items():
        if len(paths) > 1:
            size = paths[0].stat().st_size / 1e6
            notes.append(f"{weights_id} ({size:.1f} MB) is there {len(paths)} times: {', '.join(map(str, paths))}.")
    return notes


def embedded_problems(manifest: Manifest, runtime: ModelFolders) -> list[str]:
    """What is wrong with the files that arrive with the pack."""
    problems: list[str] = []
    for entry in manifest.entries:
        if entry.embedded:
            (path,) = places(entry, runtime)
            try:
                if not path.is_file():
                    problems.append(
                        f"{path} is missing: run `git checkout .` in the pack's folder, or install it again."
                    )
                else:
                    verify(entry, path)
            except LikenessError as error:
                problems.append(str(error))
    return problems


def _roots(entries: Iterable[WeightsEntry], runtime: ModelFolders) -> list[Path]:
    names = {name.partition("/")[0] for entry in entries for name in (entry.folder, *entry.aliases)}
    folders = [folder for name in ("", *sorted(names)) for folder in runtime.model_folders(name)]
    return list(dict.fromkeys(folders))


def _files(roots: Iterable[Path]) -> Iterator[Found]:
    """Every file below the roots once, links to folders not followed twice."""
    seen: set[str] = set()
    count = 0
    for root in roots:
        for folder, folders, names in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            for name in sorted(names):
                path = Path(folder, name)
                count += 1
                if count > _MOST_FILES:
                    return
                if path.is_file():
                    yield Found(path, path.stat().st_size)


def _key(path: Path) -> str:
    return os.path.normcase(os.path.abspath(path))
