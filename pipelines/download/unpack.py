"""Zip archives, whose members stay in their folder and within their promised size, whatever the archive says."""

from __future__ import annotations

import errno
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import InputError, UnsafeFileError
from ..files.names import check_name

_BLOCK = 1 << 20
#: What zipfile raises for an archive that is damaged, of a kind it does not know, or has names that are no text.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError)
#: More members, and more bytes out than in, than any archive of weights has: these hardly compress.
_MOST_MEMBERS, _MOST_GROWTH = 64, 4


def unpack(archive: Path, folder: Path) -> tuple[Path, ...]:
    """Unpack a zip into a folder, without the folders that all of its members lie in.

    archive: the zip. folder: made when it is missing; what lies there stays, and a file of the same name with another
    content is an error. Returns the files in their order, each complete or not there. Raises UnsafeFileError for
    members that would lie elsewhere, links, encrypted or special members, names a system cannot keep, two members of
    one name, and for more members or bytes than weights have; then nothing was unpacked.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(archive, opened.infolist())
            temporary = folder / f".{archive.stem}.unpacking"
            shutil.rmtree(temporary, ignore_errors=True)
            try:
                _extract(archive, opened, members, temporary)
                for name in members:
                    _check_free(temporary / name, folder / name)
                return tuple(_move(temporary / name, folder / name) for name in members)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except _DAMAGED as error:
        raise UnsafeFileError(f"{archive} cannot be unpacked: {error}. Fetch it again.") from error
    except OSError as error:
        # a place before the archive's beginning; everything else is the disk's
        if error.errno != errno.EINVAL:
            raise
        raise UnsafeFileError(f"{archive} cannot be unpacked: {error}. Fetch it again.") from error


def _members(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Member by the path it gets below the folder, all of them checked."""
    if not all(info.filename for info in infos):
        raise _refused(archive, "one of its members has no name")
    files = [info for info in infos if not info.is_dir()]
    if len(infos) > _MOST_MEMBERS:
        raise _refused(archive, f"it has {len(infos)} members, at most {_MOST_MEMBERS} are unpacked")
    promised = sum(info.file_size for info in files)
    if promised > _MOST_GROWTH * archive.stat().st_size:
        raise _refused(archive, f"its {archive.stat().st_size} bytes are said to unpack to {promised}")
    paths = [_checked(archive, info) for info in files]
    common = min((len(path.parents) - 1 for path in paths), default=0)
    while common and len({path.parts[:common] for path in paths}) > 1:
        common -= 1
    members = {"/".join(path.parts[common:]): info for path, info in zip(paths, files, strict=True)}
    # case does not tell files apart on Windows and macOS
    if len({name.casefold() for name in members}) != len(files):
        raise _refused(archive, "two of its members have the same name")
    return members


def _checked(archive: Path, info: zipfile.ZipInfo) -> PurePosixPath:
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise _refused(archive, f"{name!r} is a link or a special file")
    if info.flag_bits & 1:
        raise _refused(archive, f"{name!r} is encrypted")
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or ".." in path.parts or not path.parts:
        raise _refused(archive, f"{name!r} would lie outside its folder")
    for part in path.parts:
        check_name(part)
    return path


def _extract(archive: Path, opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    for name, info in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with opened.open(info) as source, path.open("xb") as file:
            while block := source.read(_BLOCK):
                written += len(block)
                if written > info.file_size:
                    raise _refused(archive, f"{name!r} is larger than the {info.file_size} bytes it is said to have")
                file.write(block)
        if written != info.file_size:
            raise _refused(archive, f"{name!r} has {written} of the {info.file_size} bytes it is said to have")


def _check_free(path: Path, target: Path) -> None:
    if target.exists() and not _same(path, target):
        raise InputError(f"{target} is there with another content than in the archive. Move it away and try again.")


def _move(path: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return target


def _same(one: Path, other: Path) -> bool:
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(_BLOCK):
            if block != second.read(_BLOCK):
                return False
    return True


def _refused(archive: Path, why: str) -> UnsafeFileError:
    return UnsafeFileError(f"{archive} is not unpacked: {why}.")
