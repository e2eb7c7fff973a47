"""Names that become file names: what is allowed, and why a name is refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ..errors import UnsafeFileError

MAX_NAME_LENGTH = 80
SUFFIX = ".safetensors"

#: A file name may have 255 bytes; a number and the suffix come after the name.
_MAX_NAME_BYTES = 200

_FORBIDDEN = set('<>:"/\\|?*')

#: Devices of Windows, whatever follows a dot; a share or a synchronised folder brings them to other systems too.
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"
}


def check_name(name: str) -> str:
    """A name that is safe as a file name on every system, in composed Unicode (NFC).

    Raises UnsafeFileError saying what is wrong: empty, too long, separators or characters that Windows forbids,
    control or invisible characters, a dot or blank at either end, a device name such as "con" or "nul.txt".
    """
    composed = unicodedata.normalize("NFC", name)
    problem = _problem(composed)
    if problem:
        raise UnsafeFileError(
            f"The name {name[:MAX_NAME_LENGTH]!r} cannot be used for a file: {problem}. "
            "Use letters, digits, spaces, '-' and '_'."
        )
    return composed


def _problem(name: str) -> str:
    if not name:
        return "it is empty"
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for letter in name):
        return "it has control or invisible characters"
    if len(name) > MAX_NAME_LENGTH or len(name.encode()) > _MAX_NAME_BYTES:
        return f"it has {len(name)} characters ({len(name.encode())} bytes), at most {MAX_NAME_LENGTH} are allowed"
    forbidden = sorted(_FORBIDDEN.intersection(name))
    if forbidden:
        return f"it contains {' '.join(forbidden)}"
    if name != name.strip(". \u00a0") or name != name.strip():
        return "it begins or ends with a dot or a blank"
    if name.split(".")[0].rstrip().upper() in _DEVICES:
        return f"{name.split('.')[0].rstrip()!r} is a device name on Windows"
    return ""


def file_in_folder(folder: Path, name: str, suffix: str = SUFFIX) -> Path:
    """The path of a named file in a folder: concretely folder / (name + suffix); the name may have it already.

    Raises UnsafeFileError for a name that `check_name` refuses, and for a link that leads out of the folder.
    """
    path = folder / (check_name(name.removesuffix(suffix)) + suffix)
    if path.resolve().parent != folder.resolve():
        raise UnsafeFileError(f"{path} is a link to {path.resolve()}, out of its folder. Copy the file there instead.")
    return path


def names_in_folder(folder: Path) -> tuple[str, ...]:
    """Sorted names, without suffix, of the files in a folder that `file_in_folder` accepts; none without the folder."""
    if not folder.is_dir():
        return ()
    found = (path.name.removesuffix(SUFFIX) for path in folder.iterdir() if path.name.endswith(SUFFIX))
    return tuple(sorted((name for name in found if not _problem(name)), key=str.casefold))
