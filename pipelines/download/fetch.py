"""Fetch one known file: mirrors in order, size and hash checked, under its name only when it is right."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import urllib.parse
from collections.abc import Generator
from pathlib import Path
from typing import IO

from ..errors import DownloadError
from ..files.writing import write_file
from ..weights import (
    Archive,
    Manifest,
    ModelFolders,
    WeightsEntry,
    as_recorded,
    content_hash,
    record_path,
    target,
    verify,
)
from .terms import Published, check_agreed, check_can_fetch, size_text
from .transfer import Expected, Patience, Report, discard, finish, receive
from .unpack import unpack

#: Addresses of copies of a models folder, tried first: BASE/<folder>/<file>. The user's own, so http is allowed.
MIRROR = "LIKENESS_MIRROR"
#: Another address for https://huggingface.co, as Hugging Face's own tools read it.
HUGGING_FACE = "HF_ENDPOINT"

#: Free space asked for, in units of the file: an archive lies beside what it unpacks to.
_ROOM, _ROOM_ARCHIVE = 1.02, 2.3
_LOCKED_BYTE = 1 << 40
_PATIENCE = Patience()


def fetch(
    one: Published,
    manifest: Manifest,
    runtime: ModelFolders,
    agreed: str,
    report: Report,
    patience: Patience = _PATIENCE,
) -> Path:
    """Bring a file, or the files of an archive, to its place, and return that file or the archive's folder.

    agreed: the text of `terms` that the user has agreed to. report: see `transfer.Report`. An interrupted fetch goes
    on where it stopped when it is called again. Raises NotAgreedError, and DownloadError with what each address
    answered, what to get by hand, and where to put it; then nothing lies under the file's name.
    """
    check_can_fetch(one)
    check_agreed(one, agreed)
    path = target(one, runtime)
    entry = as_recorded(one, runtime) if isinstance(one, WeightsEntry) else one
    _make_room(entry, path.parent)
    with _claimed(path.with_name(f"{path.name}.partial"), one.id) as partial:
        if path.exists():
            raise DownloadError(f"{path} exists already. Move it away to fetch {one.id} anew.")
        used = _from_first(entry, path, partial, report, patience)
        digest = content_hash(partial)
        if isinstance(entry, Archive):
            return _unpacked(entry, manifest, partial, path)
        if entry.sha256 is None:
            _record(entry, runtime, digest, partial.stat().st_size, used)
        finish(partial, path)
    return path


def addresses(one: Published) -> tuple[tuple[str, bool], ...]:
    """Where a file is looked for, best first, each with whether an unprotected connection is allowed."""
    mirrors = [base.rstrip("/") for base in os.environ.get(MIRROR, "").replace(",", " ").split()]
    # what cannot be checked against a hash must come over a protected connection, or not over a network at all
    found = [(f"{base}/{one.folder}/{one.file}", one.sha256 is not None or _on_this_machine(base)) for base in mirrors]
    endpoint = os.environ.get(HUGGING_FACE, "").rstrip("/")
    hub = "https://huggingface.co/"
    found += [(f"{endpoint}/{url.removeprefix(hub)}", False) for url in one.urls if endpoint and url.startswith(hub)]
    return tuple(dict.fromkeys([*found, *((url, False) for url in one.urls)]))


def _on_this_machine(url: str) -> bool:
    try:
        return urllib.parse.urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    except ValueError:  # no address at all: asking for it says so
        return False


def _from_first(one: Published, path: Path, partial: Path, report: Report, patience: Patience) -> str:
    """Fill `partial` with the right content and return the address that gave it."""
    about = one.about_bytes if isinstance(one, WeightsEntry) else None
    expected = Expected(one.size_bytes, one.sha256, about)
    answers: list[str] = []
    for url, unprotected in addresses(one):
        # what an earlier try or another address began may not fit: then once more from the start
        for _ in range(2 if partial.exists() and partial.stat().st_size else 1):
            try:
                receive(url, partial, expected, report, patience, unprotected)
            except DownloadError as error:
                answers.append(str(error))
                break
            digest = content_hash(partial)
            if one.sha256 in (None, digest):
                return url
            answers.append(f"{url} gave another file: sha256 {digest}, expected {one.sha256}")
            discard(partial)
    raise DownloadError(_by_hand(one, path, answers))


def _by_hand(one: Published, path: Path, answers: list[str]) -> str:
    tried = "".join(f"\n  {answer}" for answer in answers)
    sources = " or ".join(one.urls) or "its publisher"
    checked = f" Its sha256 is {one.sha256}." if one.sha256 else ""
    place = f"unpack it into {path.parent}" if isinstance(one, Archive) else f"put it at {path}"
    return (
        f"{one.file} could not be fetched:{tried}\n"
        f"What has arrived is kept, and the next fetch goes on from there. Without a network: get it on another "
        f"machine ({size_text(one)}) from {sources} and {place}.{checked}"
    )


def _make_room(one: Published, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DownloadError(f"{folder} cannot be made: {error}. Check the rights of the models folder.") from error
    size = one.size_bytes or (one.about_bytes if isinstance(one, WeightsEntry) else None) or 0
    begun = folder / f"{one.file}.partial"
    needed = size * (_ROOM_ARCHIVE if isinstance(one, Archive) else _ROOM)
    needed -= begun.stat().st_size if begun.exists() else 0
    if free < needed:
        raise DownloadError(
            f"{one.file} needs {needed / 1e6:.0f} MB, but only {free / 1e6:.0f} MB are free in {folder}. "
            "Make room, or let extra_model_paths.yaml name a folder on another disk."
        )


def _unpacked(one: Archive, manifest: Manifest, partial: Path, path: Path) -> Path:
    files = unpack(partial, path.parent)
    known = {name: entry for entry in map(manifest.entry, one.contains) for name in (_own_name(entry), *entry.aliases)}
    for file in files:
        entry = known.get(f"{one.folder}/{file.relative_to(path.parent).as_posix()}")
        if entry is not None:
            verify(entry, file)
    discard(partial)
    return path.parent


def _own_name(entry: WeightsEntry) -> str:
    return f"{entry.folder}/{entry.file}"


def _record(entry: WeightsEntry, runtime: ModelFolders, digest: str, size: int, url: str) -> None:
    """Keep the hash of a first download of a file whose publisher states none."""
    path = record_path(runtime)
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known[entry.id] = {"sha256": digest, "bytes": size, "url": url}
    write_file((json.dumps(known, indent=1, sort_keys=True) + "\n").encode(), path, "overwrite")


@contextlib.contextmanager
def _claimed(partial: Path, weights_id: str) -> Generator[Path, None, None]:
    """Keep other processes from fetching the same file at the same time."""
    lock = partial.with_name(f"{partial.name}.lock")
    with lock.open("a+b") as file:
        if not _lock(file):
            raise DownloadError(f"{weights_id} is being fetched by another process into {partial}; wait for it.")
        try:
            yield partial
        finally:
            if sys.platform != "win32":  # where an open file keeps its name
                lock.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
