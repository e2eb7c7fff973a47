"""Writing a file so that it is there completely or not at all."""

from __future__ import annotations

import itertools
import os
import stat
import tempfile
from pathlib import Path
from typing import Literal, get_args

from ..errors import InputError, UnsafeFileError

IfExists = Literal["number", "overwrite", "error"]


def write_file(data: bytes, target: Path, if_exists: IfExists = "number") -> Path:
    """Write bytes to a path whose folder is made when missing, and return the path that was written.

    if_exists: "number" writes name_2, name_3 and so on next to an older file, "overwrite" replaces it, "error" refuses.
    The file appears under its name only when it is complete. Raises UnsafeFileError for a file that is in the way, and
    InputError for another word in `if_exists` or when the disk refuses.
    """
    if if_exists not in get_args(IfExists):
        raise InputError(f"if_exists is {if_exists!r}, it must be one of {', '.join(get_args(IfExists))}.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _write(data, target, if_exists)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({len(data) / 1e6:.1f} MB): {error}. Check the free space and the rights of "
            "the folder; nothing half-written was left."
        ) from error


def _write(data: bytes, target: Path, if_exists: IfExists) -> Path:
    handle, temporary = tempfile.mkstemp(prefix=".likeness-", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path, reserved = _reserve(target, if_exists)
        try:
            os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            os.replace(temporary, path)
        except OSError:
            if reserved:
                path.unlink(missing_ok=True)
            raise
        return path
    finally:
        Path(temporary).unlink(missing_ok=True)


def _reserve(target: Path, if_exists: IfExists) -> tuple[Path, bool]:
    """The path to write to, and whether it was made now: a name taken exclusively is not shared by two writers."""
    for number in itertools.count(1):
        path = target if number == 1 else target.with_name(f"{target.stem}_{number}{target.suffix}")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path, True
        except FileExistsError as error:
            if path.is_dir() or if_exists == "error":
                raise UnsafeFileError(f"{path} exists. Choose another name, or allow overwriting a file.") from error
            if if_exists == "overwrite":
                return path, False
    raise AssertionError("counting does not end")
