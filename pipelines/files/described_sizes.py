"""How large files of weights say that they are, checked before a library believes them.

A file of weights is a short description (the pickle of a torch file, the header of safetensors) and the numbers. The
numbers are read in place and can be no more than the file has. The description becomes objects, many times its size.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from pickletools import genops
from typing import BinaryIO

from ..errors import LikenessError, UnsafeFileError, WrongWeightsError

#: A tensor takes about 250 bytes and 40 steps of a description: some twenty thousand tensors, where published files
#: have a few thousand at most. The objects that a hostile one makes of so many steps take half a gigabyte.
MAX_DESCRIPTION_BYTES, MAX_STEPS = 2**23, 2**20
#: What a torch file from before zips begins with: magic number, protocol, system, tables, names of storages.
_OLD_PICKLES = 5
_ZIP, _ZIP_END, _ZIP_END_BYTES = b"PK\3\4", b"PK\5\6", 22


def check_torch_file(path: Path) -> bool:
    """Refuse a torch file that would take more memory than its size; return whether torch takes it for a zip.

    Raises UnsafeFileError for packed members, members that together are larger than the file, something behind the
    zip's end (which readers do not find in the same way), or a description that is too large or makes memory from a
    number; WrongWeightsError for a zip that is cut off.
    """
    with path.open("rb") as file:
        in_zip = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        if in_zip:
            _check_zip(path, file)
        else:
            start = file.read(MAX_DESCRIPTION_BYTES)
            _check_pickles(path, start, _OLD_PICKLES, len(start) < path.stat().st_size)
    return in_zip


def check_header(path: Path) -> None:
    """Refuse a safetensors file with a header above the limit. Raises UnsafeFileError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if MAX_DESCRIPTION_BYTES < length <= path.stat().st_size - 8:  # else it is cut off, as its reader says
        raise _too_large(path, f"{length} bytes")


def _check_zip(path: Path, file: BinaryIO) -> None:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(path, size, members)
            # torch finds members whatever the case of their names
            for member in [found for found in members if found.filename.casefold().endswith(".pkl")]:
                if member.file_size > MAX_DESCRIPTION_BYTES:
                    raise _too_large(path, f"{member.file_size} bytes")
                _check_pickles(path, archive.read(member), 1, False)
        file.seek(-_ZIP_END_BYTES, io.SEEK_END)
        if file.read(len(_ZIP_END)) != _ZIP_END:
            raise _refusal(path, "something stands behind its end")
    except LikenessError:
        raise
    except (zipfile.BadZipFile, struct.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise _broken(path, str(error)) from error


def _check_members(path: Path, size: int, members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise _refusal(
                path,
                f"{member.filename[:80]!r} in it unpacks from {member.compress_size} to {member.file_size} bytes, and "
                "torch packs nothing",
            )
    total = sum(member.file_size for member in members)
    if total > size:
        raise _refusal(path, f"its {len(members)} members are said to have {total} bytes, the file has {size}")


def _check_pickles(path: Path, data: bytes, count: int, is_part: bool) -> None:
    """Walk through the steps of pickles one after the other, running none of them. is_part: there is more of it."""
    file, steps = io.BytesIO(data), 0
    try:
        for _ in range(count):
            for step, argument, _ in genops(file):
                steps += 1
                if steps > MAX_STEPS:
                    raise _too_large(path, f"more than {MAX_STEPS} steps")
                if step.name == "GLOBAL" and str(argument).endswith("bytearray"):
                    raise _refusal(path, "it makes a bytearray, which takes as much memory as a number says")
    except LikenessError:
        raise
    except ValueError as error:
        # where the steps make no sense torch stops as well, and says what it is
        if is_part and file.tell() == len(data):
            raise _too_large(path, f"more than {len(data)} bytes") from error


def _too_large(path: Path, found: str) -> UnsafeFileError:
    most = f"{MAX_DESCRIPTION_BYTES} bytes and {MAX_STEPS} steps"
    return _refusal(path, f"the description of its tensors has {found}, at most {most} are read")


def _broken(path: Path, fault: str) -> WrongWeightsError:
    size = path.stat().st_size
    return WrongWeightsError(f"{path.name} ({size} bytes) is no complete torch file ({fault}): download it again.")


def _refusal(path: Path, fault: str) -> UnsafeFileError:
    return UnsafeFileError(
        f"{path.name} is refused: {fault}. Get the file from its publisher again, or a .safetensors of it."
    )
