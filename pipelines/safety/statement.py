"""What was done to a picture: a statement of operations, as JSON that is read back without trusting it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from .. import __version__
from ..errors import InputError, UnsafeFileError

FORMAT, FORMAT_VERSION = "likeness.provenance", 1
CREATED_WITH = f"ComfyUI-Likeness {__version__}"

#: What a statement holds at most; checked when it is read, before anything is built of it.
MAX_TEXT_BYTES, MAX_OPERATIONS, MAX_ITEMS, MAX_TEXT = 2**20, 256, 512, 20_000

Setting = str | int | float | bool


@dataclass(frozen=True)
class Person:
    """Somebody whose likeness was put in. sources_sha256: of the reference photos, as the identity carries them."""

    name: str
    consent: str = ""
    sources_sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class UsedModel:
    """A network that took part, and the terms of its weights ("" when it says none).

    file: the name of the weights file, weights_id: what the manifest calls it, sha256: of its content; "" for a network
    as a whole, whose files follow, or where there is none.
    """

    name: str
    licence: str = ""
    file: str = ""
    weights_id: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Track:
    """Somebody in a video who was worked on. first_frame, last_frame: where, from 0. boxes: (x0, y0, x1, y1) px in the
    first and in the last of them."""

    number: int
    first_frame: int
    last_frame: int
    boxes: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Operation:
    """One step that concerns faces.

    node: id of the node. action: what it does, in words. settings: its plain inputs. people: whose likeness went in.
    models: what worked on it. faces: per picture of the input the boxes (x0, y0, x1, y1) px of the faces it was given.
    report: what the node said it did, with the backend it chose. tracks: the people of a video that it worked on.
    """

    node: str
    action: str
    settings: Mapping[str, Setting] = field(default_factory=dict[str, Setting])
    people: tuple[Person, ...] = ()
    models: tuple[UsedModel, ...] = ()
    faces: tuple[tuple[tuple[int, int, int, int], ...], ...] = ()
    report: str = ""
    tracks: tuple[Track, ...] = ()


@dataclass(frozen=True)
class Statement:
    """Operations from the first to the last. created_with: the program and its version."""

    operations: tuple[Operation, ...]
    created_with: str = CREATED_WITH

    def describe(self) -> str:
        """The statement for people, one line an operation."""
        if not self.operations:
            return f"Nothing of {self.created_with} was applied to a face."
        return "\n".join([f"Written by {self.created_with}:", *(_line(operation) for operation in self.operations)])


def _line(operation: Operation) -> str:
    parts = [operation.action]
    count = sum(len(boxes) for boxes in operation.faces)
    if count:
        parts.append(f"{count} face(s) in {sum(1 for boxes in operation.faces if boxes)} picture(s)")
    for person in operation.people:
        consent = f"consent: {person.consent}" if person.consent else "no consent note"
        parts.append(f"person {person.name!r} ({len(person.sources_sha256)} source(s), {consent})")
    if operation.tracks:
        frames = min(track.first_frame for track in operation.tracks), max(t.last_frame for t in operation.tracks)
        parts.append(f"{len(operation.tracks)} person(s) in frames {frames[0]} to {frames[1]} of a video")
    named = [model for model in operation.models if not model.file]
    parts += [f"by {model.name}" + (f" ({model.licence})" if model.licence else "") for model in named]
    files = [model.file for model in operation.models if model.file]
    parts += [f"from the file(s) {', '.join(files)}"] if files else []
    return f"- {'; '.join(parts)} [{operation.node}]"


def merge_statements(statements: Sequence[Statement]) -> Statement:
    """One statement of several, in their order, every operation once."""
    seen: dict[str, Operation] = {}
    for statement in statements:
        for operation in statement.operations:
            seen.setdefault(json.dumps(asdict(operation), sort_keys=True), operation)
    return Statement(tuple(seen.values()))


def to_json(statement: Statement) -> str:
    """The statement as one line of JSON. Raises InputError when it holds more than a file may."""
    fields = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(statement)}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_TEXT_BYTES or len(statement.operations) > MAX_OPERATIONS:
        raise InputError(
            f"The provenance has {len(statement.operations)} operation(s) and {len(text.encode())} bytes; "
            f"{MAX_OPERATIONS} and {MAX_TEXT_BYTES} are allowed. Save in between, or turn provenance off here."
        )
    return text


def from_json(text: str) -> Statement:
    """Read what `to_json` wrote. Raises UnsafeFileError for anything else, whoever wrote it."""
    if len(text) > MAX_TEXT_BYTES:
        raise UnsafeFileError(f"The provenance has {len(text)} characters, at most {MAX_TEXT_BYTES} are read.")
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnsafeFileError("The provenance is no JSON: the file was changed after it was written.") from error
    fields = _mapping(found, "provenance")
    if (fields.get("format"), fields.get("format_version")) != (FORMAT, FORMAT_VERSION):
        stated = str(fields.get("format"))[:40], str(fields.get("format_version"))[:10]
        raise UnsafeFileError(
            f"The provenance says format {stated[0]!r}, version {stated[1]!r}; this version reads {FORMAT!r}, "
            f"{FORMAT_VERSION}. Update the pack if the file is newer."
        )
    operations = tuple(_operation(item) for item in _items(fields.get("operations"), "operations", MAX_OPERATIONS))
    return Statement(operations, _text(fields.get("created_with"), "created_with"))


def _operation(value: Any) -> Operation:
    fields = _mapping(value, "operation")
    settings = _mapping(fields.get("settings"), "settings")
    if len(settings) > MAX_ITEMS or not all(isinstance(item, str | int | float) for item in settings.values()):
        raise UnsafeFileError("The settings of an operation are no plain values.")
    people = [_mapping(item, "person") for item in _items(fields.get("people"), "people")]
    models = [_mapping(item, "model") for item in _items(fields.get("models"), "models")]
    return Operation(
        node=_text(fields.get("node"), "node"),
        action=_text(fields.get("action"), "action"),
        settings={_text(key, "setting"): _setting(item) for key, item in settings.items()},
        people=tuple(
            Person(
                _text(person.get("name"), "name"),
                _text(person.get("consent"), "consent"),
                tuple(_text(item, "source") for item in _items(person.get("sources_sha256"), "sources_sha256")),
            )
            for person in people
        ),
        models=tuple(_model(item) for item in models),
        faces=tuple(
            tuple(_box(box) for box in _items(boxes, "faces")) for boxes in _items(fields.get("faces"), "faces", 2**16)
        ),
        report=_text(fields.get("report"), "report"),
        # the first versions wrote none
        tracks=tuple(_track(_mapping(item, "track")) for item in _items(fields.get("tracks", []), "tracks")),
    )


def _model(fields: Mapping[str, Any]) -> UsedModel:
    later = (_text(fields.get(name, ""), name) for name in ("file", "weights_id", "sha256"))
    return UsedModel(_text(fields.get("name"), "name"), _text(fields.get("licence"), "licence"), *later)


def _track(fields: Mapping[str, Any]) -> Track:
    numbers = [fields.get(name) for name in ("number", "first_frame", "last_frame")]
    if not all(type(number) is int and 0 <= number < 2**31 for number in numbers):
        raise UnsafeFileError("A track of the provenance has no whole numbers for who and when.")
    number, first, last = cast("list[int]", numbers)
    return Track(number, first, last, tuple(_box(box) for box in _items(fields.get("boxes"), "boxes of a track", 2)))


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnsafeFileError(f"The {what} of the provenance is no JSON object.")
    return cast("dict[str, Any]", value)


def _items(value: Any, what: str, most: int = MAX_ITEMS) -> list[Any]:
    if not isinstance(value, list) or len(cast("list[Any]", value)) > most:
        raise UnsafeFileError(f"The {what} of the provenance are no list of at most {most}.")
    return cast("list[Any]", value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise UnsafeFileError(f"The {what} of the provenance is no text of at most {MAX_TEXT} characters.")
    return value


def _setting(value: Setting) -> Setting:
    return _text(value, "setting") if isinstance(value, str) else value


def _box(value: Any) -> tuple[int, int, int, int]:
    numbers = _items(value, "box", 4)
    if len(numbers) != 4 or not all(type(number) is int and abs(number) < 2**31 for number in numbers):
        raise UnsafeFileError("A box of the provenance is not made of four whole numbers.")
    return (numbers[0], numbers[1], numbers[2], numbers[3])
