"""The manifest of weights files: parse it, find a file where users and other packs keep it, verify it.

Nothing here downloads. What is missing is an error that says file, folder, size, licence and command.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from .errors import InputError, MissingWeightsError, WrongWeightsError

ROOT = Path(__file__).resolve().parents[1]

_LFS = b"version https://git-lfs.github.com/spec/"

#: The name of `record_path`.
RECORD = "fetched.json"

#: "yes" and "no" are what the licence says; "unknown" is a licence that does not say.
CommercialUse = Literal["yes", "no", "unknown"]


class ModelFolders(Protocol):
    """Whoever knows where weights lie: a `Runtime`."""

    def model_folders(self, folder: str) -> tuple[Path, ...]: ...


@dataclass(frozen=True)
class WeightsEntry:
    """One weights file.

    folder: where it belongs, a path below ComfyUI/models; of an `embedded` file, which arrives with the pack, a path
    below the pack. aliases: other places below ComfyUI/models where the same bytes lie, file name included.
    urls: where to get it, best first. size_bytes, sha256: of the whole file, None where no public source gives it.
    about_bytes: its rounded size where only that is published.
    territory: where the licence forbids its use ("" is nowhere). needs: ids of files it is useless without.
    used_by: node ids. source: where these facts come from.
    """

    id: str
    file: str
    folder: str
    aliases: tuple[str, ...]
    urls: tuple[str, ...]
    size_bytes: int | None
    sha256: str | None
    licence: str
    commercial_use: CommercialUse
    territory: str
    needs: tuple[str, ...]
    used_by: tuple[str, ...]
    embedded: bool
    source: str
    about_bytes: int | None = None

    @property
    def size_text(self) -> str:
        """The size as people read it: "16.9 MB", "about 157 MB"."""
        if self.size_bytes is None:
            return "size unknown" if self.about_bytes is None else f"about {self.about_bytes / 1e6:.0f} MB"
        return f"{self.size_bytes / 1e6:.1f} MB"


@dataclass(frozen=True)
class Archive:
    """A published zip of several weights files, for `fetch` only; the code asks for the files it contains.

    folder: where its files belong, below ComfyUI/models. contains: ids of the weights in it. The rest as in
    `WeightsEntry`.
    """

    id: str
    file: str
    folder: str
    urls: tuple[str, ...]
    size_bytes: int
    sha256: str
    licence: str
    commercial_use: CommercialUse
    contains: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Manifest:
    """The one list of weights files, and of the archives that some of them are published in."""

    entries: tuple[WeightsEntry, ...]
    archives: tuple[Archive, ...] = ()

    @staticmethod
    def load(path: Path = ROOT / "weights_manifest.json") -> Manifest:
        """Read a manifest: a JSON object {"weights": [entry, ...]} with the fields of `WeightsEntry`.

        path: the pack's own list unless given. Raises InputError for a file that is no manifest.
        """
        try:
            lists = json.loads(path.read_text(encoding="utf-8"))
            archives = tuple(_parse_archive(record) for record in lists.get("archives", ()))
            return Manifest(tuple(_parse(record) for record in lists["weights"]), archives)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise InputError(f"{path} is no weights manifest: {error!r}. Restore the file of the pack.") from error

    def entry(self, weights_id: str) -> WeightsEntry:
        """The entry of an id. Raises InputError, naming the nearest ids, for one that is not listed."""
        for entry in self.entries:
            if entry.id == weights_id:
                return entry
        known = difflib.get_close_matches(weights_id, [entry.id for entry in self.entries], n=5, cutoff=0.0)
        raise InputError(
            f"There are no weights with the id {weights_id!r}. Of the {len(self.entries)} that the manifest lists the "
            f"nearest are: {', '.join(known)}."
        )


def _parse(record: dict[str, Any]) -> WeightsEntry:
    return WeightsEntry(
        id=record["id"],
        file=record["file"],
        folder=record["folder"],
        aliases=tuple(record["aliases"]),
        urls=tuple(record["urls"]),
        size_bytes=record["bytes"],
        sha256=record["sha256"],
        licence=record["licence"],
        commercial_use=cast(CommercialUse, record["commercial_use"]),
        territory=record["territory"],
        needs=tuple(record["needs"]),
        used_by=tuple(record["used_by"]),
        embedded=record["embedded"],
        source=record["source"],
        about_bytes=record["about_bytes"],
    )


def _parse_archive(record: dict[str, Any]) -> Archive:
    names = ("id", "file", "folder", "sha256", "licence", "commercial_use", "source")
    return Archive(
        **{name: record[name] for name in names},
        urls=tuple(record["urls"]),
        size_bytes=record["bytes"],
        contains=tuple(record["contains"]),
    )


def target(entry: WeightsEntry | Archive, runtime: ModelFolders) -> Path:
    """Where a file that is missing belongs: the first of the user's folders for it."""
    folders = runtime.model_folders(entry.folder)
    folder = folders[0] if folders else Path("ComfyUI/models") / entry.folder
    return folder / entry.file


def record_path(runtime: ModelFolders) -> Path:
    """The file that keeps the hashes, at their first download, of weights whose publisher states none."""
    folders = runtime.model_folders("likeness")
    return (folders[0] if folders else Path("ComfyUI/models/likeness")) / RECORD


def as_recorded(entry: WeightsEntry, runtime: ModelFolders) -> WeightsEntry:
    """The entry with the size and sha256 of its first download where the manifest knows none.

    Raises InputError for a record that cannot be read: a hash that went missing must not pass for one never taken.
    """
    if entry.sha256 is not None or entry.embedded:
        return entry
    path = record_path(runtime)
    if not path.is_file():
        return entry
    try:
        known = json.loads(path.read_text(encoding="utf-8")).get(entry.id)
        return entry if known is None else replace(entry, size_bytes=known["bytes"], sha256=known["sha256"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error!r}): restore it, or delete it to trust the files anew.") from error


def places(entry: WeightsEntry, runtime: ModelFolders) -> tuple[Path, ...]:
    """Every path where a file may lie, in the order they are tried: its folder, then its aliases.

    Each is looked for in all of the user's model folders. An embedded file lies in one place only.
    """
    if entry.embedded:
        return (ROOT / entry.folder / entry.file,)
    below_models = (f"{entry.folder}/{entry.file}", *entry.aliases)
    paths = (
        folder / name
        for folder_name, _, name in (p.rpartition("/") for p in below_models)
        for folder in runtime.model_folders(folder_name)
    )
    return tuple(dict.fromkeys(paths))


def find(entry: WeightsEntry, runtime: ModelFolders) -> Path | None:
    """Where a weights file lies, or None. Its size is checked here, its content by `verify`.

    A file of another size is passed over where a right one lies further on in `places`. Raises WrongWeightsError, with
    both hashes, when there are only files of another size.
    """
    present = [path for path in places(entry, runtime) if path.is_file()]
    for path in present:
        if entry.size_bytes is None or path.stat().st_size == entry.size_bytes:
            return path
    if present:
        raise _wrong(entry, present[0])
    return None


def locate(entry: WeightsEntry, runtime: ModelFolders) -> Path:
    """`find`, but a file that is nowhere raises MissingWeightsError: what, where to, how large, which licence, how."""
    path = find(entry, runtime)
    if path is not None:
        return path
    if entry.embedded:
        raise MissingWeightsError(
            f"{entry.file} belongs to this pack but {ROOT / entry.folder} does not have it: "
            "the installation is incomplete. Install the pack again, or run `git checkout .` in its folder."
        )
    urls = " or ".join(entry.urls) or "its publisher"
    raise MissingWeightsError(
        f"{entry.file} ({entry.size_text}) is missing. It belongs into {target(entry, runtime).parent}. "
        f"Fetch it with `./likeness fetch {entry.id}`, or put it there yourself from {urls}. "
        f"Licence: {entry.licence} (commercial use: {entry.commercial_use})."
    )


def verify(entry: WeightsEntry, path: Path) -> str:
    """The sha256 of a file's content, which must be the manifest's where that gives one.

    The file is read once per (path, size, time of change). Raises WrongWeightsError with both hashes.
    """
    digest = content_hash(path)
    if entry.sha256 is not None and digest != entry.sha256:
        raise _wrong(entry, path)
    return digest


def content_hash(path: Path) -> str:
    """sha256 of a file in hex, remembered as long as its size and time of change stay the same."""
    stat = path.stat()
    return _content_hash(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _content_hash(path: str, size_bytes: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _wrong(entry: WeightsEntry, path: Path) -> WrongWeightsError:
    return WrongWeightsError(
        f"{path} has another content than {entry.id}: {path.stat().st_size} bytes with sha256 {content_hash(path)}, "
        f"expected {entry.size_bytes} bytes with sha256 {entry.sha256}. {_way_out(entry, path)}"
    )


def _way_out(entry: WeightsEntry, path: Path) -> str:
    if entry.embedded:
        return "Install the pack again, or run `git checkout .` in its folder."
    if is_lfs_pointer(path):
        return f"It is only a Git LFS pointer: run `git lfs pull`, or delete it and run `./likeness fetch {entry.id}`."
    return (
        f"Move it away and run `./likeness fetch {entry.id}`: it may be cut off, or another model of that name. "
        f"Where models/likeness/{RECORD} names it, its publisher states no hash: that of the first download counts."
    )


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is what Git leaves of a large file where Git LFS is not installed."""
    with path.open("rb") as file:
        return file.read(len(_LFS)) == _LFS
