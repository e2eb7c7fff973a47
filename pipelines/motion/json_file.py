"""Motions as JSON: our own layout, and what NVIDIA's Audio2Face writes."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np

from ..errors import InputError, UnsafeFileError
from ..face import FloatArray
from .channels import ARKIT_NAMES, INDEX, channel_called
from .gaps import fill_gaps
from .motion import MAX_FRAMES, Motion, checked_fps
from .smoothing import limit

FORMAT = "likeness.motion"

#: What a text may hold at most, counted before it is parsed: an hour at 60 frames per second has 100 MB, 648 000 lists
#: and 12.5 million numbers. Parsed, the most that is read takes about a gigabyte.
MAX_JSON_BYTES, MAX_JSON_LISTS, MAX_JSON_VALUES = 2**27, 2**20, 2**24


def motion_to_json(motion: Motion) -> str:
    """A motion as text: fps, names, blendshapes (T lists of 52), rotation, translation and extra channels.

    Numbers have five decimals.
    """
    content = {
        "format": FORMAT,
        "fps": motion.fps,
        "names": list(ARKIT_NAMES),
        "blendshapes": _rounded(motion.blendshapes),
        "rotation": _rounded(motion.rotation),
        "translation": _rounded(motion.translation),
        "channels": {name: _rounded(values) for name, values in motion.channels.items()},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _rounded(values: FloatArray) -> list[list[float]]:
    return np.round(values.astype(np.float64), 5).tolist()


def motion_from_json(text: str) -> tuple[Motion, str]:
    """A motion from our JSON or Audio2Face's, and what was filled, clamped or left out.

    Names may come in any order and spelling that `channel_called` knows. null or NaN is a gap and filled from the
    frames around it. Raises InputError, saying what is missing, for text that is no motion, and UnsafeFileError for
    text with more lists or numbers than are read.
    """
    _check_counts(text)
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"This is no JSON ({str(error)[:120]}).") from error
    if not isinstance(content, dict):
        raise InputError("This JSON is a list or a single value, not an object with names and blendshapes.")
    fields = cast(dict[str, Any], content)
    names = fields.get("names", fields.get("facsNames"))
    rows = _table(fields.get("blendshapes", fields.get("weightMat")), "blendshapes")
    fps = fields.get("fps", fields.get("exportFps"))
    if isinstance(fps, bool) or not isinstance(fps, (int, float)):
        raise InputError(f"The frame rate is {str(fps)[:40]!r}: write it as a number named fps.")
    if not isinstance(names, list) or len(cast(list[Any], names)) != rows.shape[1]:
        raise InputError(f"There is no list `names` with one name for each of the {rows.shape[1]} columns.")
    return _assembled(fields, [str(name) for name in cast(list[Any], names)], rows, checked_fps(fps))


def _check_counts(text: str) -> None:
    """Refuse text whose values would take far more memory than itself."""
    lists = text.count("[") + text.count("{")
    values = text.count(",") + lists
    if lists > MAX_JSON_LISTS or values > MAX_JSON_VALUES:
        raise UnsafeFileError(
            f"This JSON has {lists} lists and {values} values; {MAX_JSON_LISTS} and {MAX_JSON_VALUES} are read, an "
            "hour at 60 frames per second. Save a longer motion as safetensors, or in parts."
        )


def _assembled(fields: dict[str, Any], names: list[str], rows: FloatArray, fps: float) -> tuple[Motion, str]:
    shapes = np.zeros((len(rows), len(ARKIT_NAMES)), np.float32)
    unknown: list[str] = []
    for column, name in enumerate(names):
        channel = channel_called(name)
        if channel in INDEX:
            shapes[:, INDEX[channel]] = rows[:, column]
        else:
            unknown.append(name)
    if len(unknown) == len(names):
        raise InputError(f"None of the {len(names)} names is a channel of ARKit: {', '.join(names[:4])[:120]}.")
    zeros = np.zeros((len(rows), 3), np.float32)
    parts = [shapes] + [_table(fields[key], key) if key in fields else zeros for key in ("rotation", "translation")]
    extra: Any = fields.get("channels", {})
    if not isinstance(extra, dict):
        raise InputError("`channels` is no object of names and tables.")
    channels = {str(key): _table(value, str(key)) for key, value in cast(dict[Any, Any], extra).items()}
    tables = [*parts, *channels.values()]
    if any(len(table) != len(rows) for table in tables):
        raise InputError(f"The tables have {', '.join(str(len(table)) for table in tables)} rows instead of the same.")
    known = np.logical_and.reduce([np.isfinite(table).all(1) for table in tables])
    filled = [fill_gaps(table, known) for table in tables]
    motion = Motion(fps, filled[0], filled[1], filled[2], dict(zip(channels, filled[3:], strict=True)))
    motion, limited = limit(motion)
    notes = (
        [f"{len(unknown)} column(s) are no channel and were left out: {', '.join(unknown[:6])[:120]}"]
        if unknown
        else []
    )
    if not known.all():
        notes.append(f"{int((~known).sum())} frame(s) without numbers were filled from those around them.")
    return motion, "\n".join([*notes, *([limited.text] if limited.text else [])])


def _table(value: Any, name: str) -> FloatArray:
    """(T, D) from lists of equally many numbers or null."""
    rows = cast(list[Any], value) if isinstance(value, list) else []
    if not 1 <= len(rows) <= MAX_FRAMES:
        raise InputError(f"{name[:60]!r} is no list of 1 to {MAX_FRAMES} frames.")
    try:
        table = np.array(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name[:60]!r} is no table of numbers with rows of the same length.") from error
    if table.ndim != 2 or not all(isinstance(row, list) for row in rows):
        raise InputError(f"{name[:60]!r} has the shape {table.shape}; a list of lists of numbers is needed.")
    return table
