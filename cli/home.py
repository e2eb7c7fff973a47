"""The folder that keeps what the launcher installs, and the locks around it (standard library only)."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parents[1]


def home() -> Path:
    """$LIKENESS_HOME, or the folder `likeness` in the user's cache folder of this platform."""
    asked = os.environ.get("LIKENESS_HOME")
    if asked:
        return Path(asked).expanduser().absolute()
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "likeness"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "likeness"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "likeness"


def speak_plainly() -> None:
    """Let a terminal that lacks a character show a substitute instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(text: str) -> None:
    """One line of progress for the reader of the terminal."""
    print(text, flush=True)


def remove(folder: Path) -> None:
    """Delete a folder of ours if it is there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name` under the home folder; a second process waits and says so."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+b") as file:
        if not _try_lock(file):
            say(f"Another likeness command is at work in {folder}; waiting for it ...")
            while not _try_lock(file):
                time.sleep(0.5)
        try:
            yield
        finally:
            _unlock(file)


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)
