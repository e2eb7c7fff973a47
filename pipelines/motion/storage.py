"""Motions on disk: one safetensors file with JSON metadata, written all or nothing, read without trusting it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from safetensors.numpy import save as to_safetensors

from .. import __version__
from ..errors import InputError, LikenessError, UnsafeFileError
from ..files.names import file_in_folder
from ..files.safe_read import Header, TensorInfo, read_safetensors
from ..files.writing import IfExists, write_file
from .channels import ARKIT_NAMES
from .json_file import MAX_JSON_BYTES, motion_from_json, motion_to_json
from .live_link import MAX_CSV_BYTES, CsvOptions, motion_from_csv, motion_to_csv
from .motion import MAX_FRAMES, Motion

FORMAT, FORMAT_VERSION, CREATED_WITH = "likeness.motion", 1, f"ComfyUI-Likeness {__version__}"

#: What a file may hold at most; all of it is checked in the header, before any memory is taken.
MAX_FILE_BYTES, MAX_HEADER_BYTES = 2**30, 2**20
MAX_CHANNELS, MAX_COLUMNS = 64, 4096

Format = Literal["safetensors", "csv", "json"]

_EXTRA = "channels."


def save_motion(
    motion: Motion, folder: Path, name: str, form: Format = "safetensors", if_exists: IfExists = "number"
) -> Path:
    """Write a motion into a folder, which is made when missing, and return the file's path.

    form: "safetensors" keeps everything, "csv" is the layout of Apple's Live Link Face (see `motion_to_csv`), "json"
    is for other programs. if_exists: as in `write_file`. Raises InputError for another format or what the format
    cannot hold, UnsafeFileError for a name that leaves the folder.
    """
    if form not in get_args(Format):
        raise InputError(f"The format is {form!r}, it must be one of {', '.join(get_args(Format))}.")
    target = file_in_folder(folder, name, f".{form}")
    if form == "safetensors":
        data = _encode(motion)
    else:
        data = (motion_to_csv(motion) if form == "csv" else motion_to_json(motion)).encode()
    return write_file(data, target, if_exists)


def motion_hash(motion: Motion) -> str:
    """Hexadecimal sha256 of all that a motion holds: the same for the same motion, in every process."""
    # not of a file's bytes: safetensors writes its texts in any order
    digest = hashlib.sha256(f"{motion.fps!r} {len(motion)}".encode())
    digest.update(np.ascontiguousarray(motion.values).tobytes())
    for name in sorted(motion.channels):
        rows = motion.channels[name]
        digest.update(f"{name!r} {rows.shape}".encode())
        digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()


def load_motion(path: Path, csv: CsvOptions | None = None) -> tuple[Motion, str]:
    """Read a motion from a .safetensors, .csv or .json file that nobody vouches for, and what there is to say about it.

    csv: how to read a CSV file. Raises UnsafeFileError, naming file and fault, for a file that is none of ours, and
    InputError when it is missing or its text cannot be understood.
    """
    if path.suffix == ".safetensors":
        return _load_safetensors(path), ""
    if path.suffix not in (".csv", ".json"):
        raise InputError(f"{path.name} is no motion: .safetensors, .csv (Live Link Face) and .json are read.")
    text = _text_of(path, MAX_JSON_BYTES if path.suffix == ".json" else MAX_CSV_BYTES)
    try:
        return motion_from_json(text) if path.suffix == ".json" else motion_from_csv(text, csv or CsvOptions())
    except LikenessError as error:
        raise type(error)(f"{path.name}: {error}") from error


def _text_of(path: Path, most: int) -> str:
    try:
        if not path.is_file():
            raise InputError(f"There is no file {path}.")
        size = path.stat().st_size
        if size > most:
            raise UnsafeFileError(
                f"{path} is refused: it has {size} bytes, at most {most} are read. Save a longer motion as "
                "safetensors, or in parts."
            )
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is no UTF-8 text ({error.reason} at byte {error.start}).") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _encode(motion: Motion) -> bytes:
    if len(motion.channels) > MAX_CHANNELS:
        raise InputError(f"The motion has {len(motion.channels)} extra channels, a file holds at most {MAX_CHANNELS}.")
    names = list(motion.channels)
    tensors = {
        "blendshapes": motion.blendshapes,
        "rotation": motion.rotation,
        "translation": motion.translation,
        **{f"{_EXTRA}{index}": motion.channels[name] for index, name in enumerate(names)},
    }
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "created_with": CREATED_WITH,
        "motion": json.dumps({"fps": motion.fps, "names": list(ARKIT_NAMES), "channels": names}, ensure_ascii=False),
    }
    return to_safetensors({key: np.ascontiguousarray(value) for key, value in tensors.items()}, metadata=metadata)


def _load_safetensors(path: Path) -> Motion:
    header, read = read_safetensors(path, MAX_FILE_BYTES, MAX_HEADER_BYTES)
    try:
        fps, names = _read_meta(header)
        _check_layout(header, len(names))
        arrays = read()
        extra = {name: arrays[f"{_EXTRA}{index}"] for index, name in enumerate(names)}
        return Motion(fps, arrays["blendshapes"], arrays["rotation"], arrays["translation"], extra)
    except LikenessError as error:
        raise UnsafeFileError(f"{path} is refused: {error} Save the motion again, or get the file anew.") from error


def _read_meta(header: Header) -> tuple[float, list[str]]:
    if header.metadata.get("format") != FORMAT:
        raise InputError(f"its format is {header.metadata.get('format', 'not stated')!r}, a motion has {FORMAT!r}.")
    version = header.metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise InputError(f"its format version is {version[:20]!r}, this version of the pack reads {FORMAT_VERSION}.")
    try:
        meta: Any = json.loads(header.metadata.get("motion", ""))
    except (ValueError, RecursionError) as error:
        raise InputError("its description is no JSON.") from error
    fields = cast(dict[str, Any], meta) if isinstance(meta, dict) else {}
    fps, names = fields.get("fps"), fields.get("channels")
    if fields.get("names") != list(ARKIT_NAMES) or not isinstance(fps, (int, float)) or isinstance(fps, bool):
        raise InputError("its description lacks the frame rate or ARKit's channel names in their order.")
    texts = cast(list[Any], names) if isinstance(names, list) else [None]
    if not all(isinstance(name, str) and len(name) <= 200 for name in texts) or len(texts) > MAX_CHANNELS:
        raise InputError(f"its description lacks a list of at most {MAX_CHANNELS} extra channels.")
    if len(set(texts)) != len(texts):
        raise InputError("its description names an extra channel twice.")
    return float(fps), cast(list[str], texts)


def _check_layout(header: Header, extra: int) -> None:
    shapes = header.tensors.get("blendshapes")
    count = shapes.shape[0] if shapes is not None and len(shapes.shape) == 2 else 0
    if not 1 <= count <= MAX_FRAMES:
        raise InputError(f"its blendshapes have {count} frames, 1 to {MAX_FRAMES} are allowed.")
    wanted = {"blendshapes": len(ARKIT_NAMES), "rotation": 3, "translation": 3}
    wanted |= {f"{_EXTRA}{index}": -1 for index in range(extra)}
    for name, width in wanted.items():
        got = header.tensors.get(name)
        columns = got.shape[1] if got is not None and len(got.shape) == 2 else 0
        right = TensorInfo("F32", (count, width if width > 0 else min(max(columns, 1), MAX_COLUMNS)))
        if got != right:
            found = "missing" if got is None else f"{got.dtype} {got.shape}"
            raise InputError(f"its tensor {name!r} is {found}, {right.dtype} {right.shape} is needed.")
    strangers = sorted(set(header.tensors) - set(wanted))
    if strangers:
        raise InputError(f"it has {len(strangers)} tensor(s) that no motion has, such as {strangers[0][:80]!r}.")
