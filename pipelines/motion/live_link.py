"""Motions as CSV in the layout of Apple's Live Link Face app, read from whatever spreadsheets made of it."""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, UnsafeFileError
from ..face import FloatArray
from .channels import ARKIT_NAMES, ROTATION_NAMES, TRANSLATION_NAMES, VALUE_INDEX, VALUE_NAMES, channel_called
from .gaps import Flags, fill_gaps
from .live_link_time import frame_times, rate_of, timecode
from .motion import MAX_FRAMES, Motion, checked_fps, motion_from_values
from .smoothing import limit
from .timing import interpolated

#: What a file and one row of it may hold: two hours at 60 frames per second are 250 MB, a row has about 600 bytes. Rows
#: become numbers one by one, so reading takes little more memory than the text and its numbers.
MAX_CSV_BYTES, MAX_ROW_CHARACTERS = 2**28, 2**16

#: Columns of the app after the blendshapes. Heads and eyes are in radians there.
HEAD_COLUMNS = ("HeadYaw", "HeadPitch", "HeadRoll")
EYE_COLUMNS = ("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll")
PLACE_COLUMNS = ("HeadX", "HeadY", "HeadZ")

#: How far an eye is turned when its look channel is 1: what a comfortable glance reaches.
FULL_GAZE_RAD = math.radians(30)

#: Apple's mouthClose takes jawOpen back, so lips touch where both are as large; of a jaw that is open by less than this
#: it is a share of this, because the quotient of two values near 0 is noise.
LEAST_JAW = 0.05

_TIME, _COUNT = "timecode", "blendshapecount"


@dataclass(frozen=True)
class CsvOptions:
    """How to read a CSV file. fps: frames per second, 0 takes the rate from the time codes. flip_head: turn yaw and
    roll round, for apps and mirrored recordings that count them the other way."""

    fps: float = 0.0
    flip_head: bool = False


def motion_to_csv(motion: Motion) -> str:
    """A motion as the app writes it: time code, 61, 52 blendshapes, head yaw, pitch, roll, six eye angles (radians).

    Places are added as HeadX, HeadY, HeadZ where there are any. Eye angles come from the look channels. mouthClose, the
    share of the lips' gap that is closed, is written as Apple's, concretely mouthClose * max(jawOpen, 0.05). Raises
    InputError for extra channels, which this layout has no place for.
    """
    if motion.channels:
        raise InputError(
            f"A CSV file cannot hold the extra channel(s) {', '.join(motion.channels)}: save as safetensors or json."
        )
    moved = bool(motion.translation.any())
    names = [name[0].upper() + name[1:] for name in ARKIT_NAMES]
    header = ["Timecode", "BlendShapeCount", *names, *HEAD_COLUMNS, *EYE_COLUMNS, *(PLACE_COLUMNS if moved else ())]
    order = [VALUE_INDEX[name[0].lower() + name[1:]] for name in HEAD_COLUMNS]
    values = motion.values
    values[:, VALUE_INDEX["mouthClose"]] *= np.maximum(motion.channel("jawOpen"), LEAST_JAW)
    table = np.concatenate([values[:, : len(ARKIT_NAMES)], values[:, order], _eye_angles(motion)], 1)
    if moved:
        table = np.concatenate([table, motion.translation], 1)
    lines = [",".join(header)]
    for index, row in enumerate(table.tolist()):
        lines.append(f"{timecode(index, motion.fps)},61," + ",".join(f"{value:.7g}" for value in row))
    return "\n".join(lines) + "\n"


def _eye_angles(motion: Motion) -> FloatArray:
    """(T, 6) yaw, pitch, roll of the person's left, then right eye; positive as for the head."""
    angles = np.zeros((len(motion), 6), np.float32)
    for column, (side, outwards) in enumerate((("Left", 1.0), ("Right", -1.0))):
        turn = motion.channel(f"eyeLookOut{side}") - motion.channel(f"eyeLookIn{side}")
        angles[:, 3 * column] = outwards * turn * FULL_GAZE_RAD
        lift = motion.channel(f"eyeLookDown{side}") - motion.channel(f"eyeLookUp{side}")
        angles[:, 3 * column + 1] = lift * FULL_GAZE_RAD
    return angles


def motion_from_csv(text: str, options: CsvOptions) -> tuple[Motion, str]:
    """A motion from CSV, and what was filled, clamped, missing or left out.

    Columns may come in any order and spelling that `channel_called` knows, and be missing (then 0); separators may be
    commas, semicolons or tabs, decimals points or commas. Rows without numbers are gaps, filled from those around them;
    uneven time codes are laid on an even grid. Apple's mouthClose becomes the share of the lips' gap that is closed,
    concretely min(mouthClose / max(jawOpen, 0.05), 1). Raises InputError, naming row and column, for text that is no
    number, no known column, no rows or too many, UnsafeFileError for a row that is too long.
    """
    header, rows = _read(text)
    columns, unknown = _columns(header)
    table, codes = _numbers(rows, columns, header)
    values = np.zeros((len(table), len(VALUE_NAMES)), np.float32)
    values[:, list(columns)] = table
    known: Flags = np.asarray(np.isfinite(table).all(1))
    if not known.any():
        raise InputError(f"None of the {len(table)} row(s) has numbers in all of its {len(columns)} channel columns.")
    values = fill_gaps(values, known)
    if options.flip_head:
        values[:, [VALUE_INDEX["headYaw"], VALUE_INDEX["headRoll"]]] *= -1
    lost = int((~known).sum())
    fps, values, even = _on_even_times(codes, values, options.fps)
    apple, limited = limit(motion_from_values(fps, values))
    motion = _closing_a_share(apple)
    notes = [even] if even else []
    if lost:
        notes.append(f"{lost} of {len(table)} row(s) without numbers were filled from those around them.")
    absent = [name for name in (*ARKIT_NAMES, *ROTATION_NAMES) if VALUE_INDEX[name] not in columns]
    if absent:
        notes.append(f"{len(absent)} channel(s) have no column and are 0: {', '.join(absent[:6])}.")
    if unknown:
        notes.append(f"{len(unknown)} column(s) were left out: {', '.join(unknown[:6])[:120]}.")
    return motion, "\n".join([*notes, *([limited.text] if limited.text else [])])


def _closing_a_share(apple: Motion) -> Motion:
    """A motion of Apple's with the share of the gap between the lips that is closed, as renderers read mouthClose."""
    values = apple.values
    share = apple.channel("mouthClose") / np.maximum(apple.channel("jawOpen"), LEAST_JAW)
    values[:, VALUE_INDEX["mouthClose"]] = share.clip(-1, 1)
    return apple.with_values(values)


def _read(text: str) -> tuple[list[str], Iterator[list[str]]]:
    """The header, and the rows one by one as they are asked for."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max((";", "\t", ","), key=first.count)
    lines = _filled_lines(text, separator)
    header = [name.strip() for name in next(lines, [])]
    if not header:
        raise InputError(f"There are 0 row(s) below the header, 1 to {MAX_FRAMES} are read.")
    return header, (_of_width(line, len(header), number) for number, line in enumerate(lines, 2))


def _filled_lines(text: str, separator: str) -> Iterator[list[str]]:
    try:
        for line in _lines(text):
            # each by itself: a quote that is never closed must not gather the rest of the file in one row
            fields = next(csv.reader([line], delimiter=separator))
            if any(fields):
                yield fields
    except csv.Error as error:
        raise InputError(f"This is no CSV ({error}).") from error


def _lines(text: str) -> Iterator[str]:
    for found in re.finditer(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+", text):
        if found.end() - found.start() > MAX_ROW_CHARACTERS:
            raise UnsafeFileError(
                f"A row has {found.end() - found.start()} characters, at most {MAX_ROW_CHARACTERS} are read: the file "
                "has lost its line ends, or is no recording of Live Link Face."
            )
        yield found[0]


def _of_width(line: list[str], width: int, number: int) -> list[str]:
    """A row with as many fields as the header, decimals split at their comma put together again."""
    if len(line) <= width:
        return line + [""] * (width - len(line))
    if len(line) == 2 * width - 2:  # time code and count are whole, all others were cut in two
        pairs = line[2:]
        return line[:2] + [f"{whole}.{part}" for whole, part in zip(pairs[::2], pairs[1::2], strict=True)]
    if not any(line[width:]):
        return line[:width]
    raise InputError(f"Row {number} has {len(line)} fields, the header {width}: save it with points as decimals.")


def _columns(header: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """Column of `Motion.values` -> column of the file, and the names that are nothing of ours."""
    columns: dict[int, int] = {}
    unknown: list[str] = []
    for index, name in enumerate(header):
        channel = channel_called(name)
        if channel is not None:
            if VALUE_INDEX[channel] in columns:
                raise InputError(f"The channel {channel} has two columns; the second is column {index + 1}.")
            columns[VALUE_INDEX[channel]] = index
        elif name.casefold() not in (_TIME, _COUNT) and name not in EYE_COLUMNS and name:
            unknown.append(name)
    if not any(VALUE_NAMES[index] not in TRANSLATION_NAMES for index in columns):
        raise InputError(
            f"No column is a channel of ARKit; the header begins with {', '.join(header[:4])[:120]!r}. Names "
            "such as EyeBlinkLeft or JawOpen are needed, as Live Link Face writes them."
        )
    return columns, unknown


def _numbers(
    rows: Iterable[Sequence[str]], columns: dict[int, int], header: Sequence[str]
) -> tuple[FloatArray, list[str]]:
    """(rows, columns) and the rows' time codes, where there is such a column."""
    wanted = list(columns.values())
    coded = next((index for index, name in enumerate(header) if name.casefold() == _TIME), None)
    table, codes = array("f"), list[str]()
    for number, row in enumerate(rows):
        if number == MAX_FRAMES:
            raise InputError(f"There are more rows below the header than the {MAX_FRAMES} that are read.")
        fields = [row[column] for column in wanted]
        try:
            table.extend([float(field) for field in fields])
        except ValueError:
            table.extend(
                [_number(field, number + 2, header[column]) for field, column in zip(fields, wanted, strict=True)]
            )
        if coded is not None:
            codes.append(row[coded])
    if not table:
        raise InputError(f"There are 0 row(s) below the header, 1 to {MAX_FRAMES} are read.")
    return np.asarray(table, np.float32).reshape(-1, len(wanted)), codes


def _number(field: str, row: int, column: str) -> float:
    text = field.strip().replace(",", ".")
    if not text or text.casefold() in ("null", "none", "-"):
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"Row {row}, column {column!r} has {field[:40]!r}, which is no number.") from error


def _on_even_times(codes: Sequence[str], values: FloatArray, asked_fps: float) -> tuple[float, FloatArray, str]:
    """Frame rate, values at even times, and what was done about it."""
    rate = rate_of(codes)
    if rate is None:
        said = "" if asked_fps else "There are no usable time codes: 60 frames per second are assumed."
        return checked_fps(asked_fps or 60.0), values, said
    fps = checked_fps(asked_fps or rate)
    at = frame_times(codes, rate) * rate
    if abs(at - np.arange(len(at))).max() < 0.5:
        return fps, values, ""
    count = round(float(at[-1])) + 1
    if count > MAX_FRAMES:
        raise InputError(
            f"The time codes span {at[-1] / rate:.0f} s, which is {count} frames; {MAX_FRAMES} are allowed."
        )
    frames = np.interp(np.arange(count), at, np.arange(len(at)))
    return fps, interpolated(values, frames), f"{len(codes)} row(s) at uneven times were laid on {count} even frames."
