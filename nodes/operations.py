"""What the nodes of a graph did to faces: noted when they run, gathered by the node that saves the result.

A picture is a plain tensor that any node may copy or change, so the notes do not travel with it: they are kept by what
the node and everything before it in the graph are, and found again by walking up from the node that saves.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from comfy_api.latest import io

from ..pipelines.face import Faces
from ..pipelines.identity.identity import Identity
from ..pipelines.safety.statement import MAX_ITEMS, Operation, Person, Statement, merge_statements
from .contents import held
from .protection import refuse_protected
from .used_models import used_models
from .witness import Witness, watching

#: Schema options of a node with `concerns_faces`.
CONCERNS_FACES: dict[str, Any] = {"hidden": [io.Hidden.unique_id, io.Hidden.dynprompt]}

#: Notes that are kept; the ones not used for longest are dropped. Each takes a few kilobytes.
_MAX_NOTES = 4096
#: Of one note: faces of a picture, pictures, characters of the node's report.
_MAX_BOXES_PER_PICTURE, _MAX_PICTURES, _MAX_REPORT = 64, 1000, 4000

_notes: OrderedDict[str, Operation] = OrderedDict()
_lock = threading.Lock()


#: The faces that a node is about to change, of its inputs.
Touched = Callable[[Mapping[str, Any]], Faces | None]


def _given_faces(inputs: Mapping[str, Any]) -> Faces | None:
    return inputs.get("faces")


def concerns_faces(
    action: str, refuses: bool = True, touched: Touched = _given_faces
) -> Callable[[Callable[..., io.NodeOutput]], Callable[..., io.NodeOutput]]:
    """Decorator of `execute`, below classmethod, for nodes that put a likeness into something, change or make one.

    It notes what ran for the statement of a file: settings, people, models and faces. refuses: protected people among
    the inputs (identities wherever they are in them, and faces with their image) and among the identities that come
    out; not for what only makes a face clearer. touched: the faces of `image` that are changed; none at all, and the
    node is neither noted nor refused.
    """

    def decorate(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
        @functools.wraps(execute)
        def run(cls: type[io.ComfyNode], **inputs: Any) -> io.NodeOutput:
            faces = touched(inputs)
            if touched is not _given_faces and not faces:
                return execute(cls, **inputs)
            if refuses:
                refuse_protected(_people(inputs), inputs.get("image"), faces)
            with watching() as witness:
                output = execute(cls, **inputs)
            if refuses:
                refuse_protected(_people(output.args))
            hidden = getattr(cls, "hidden", None)
            # outside a graph, as in a script, there is no node that saves and would ask
            if hidden is not None and hidden.dynprompt is not None:
                note = _operation(cls, action, inputs, faces, output, witness)
                _keep(_signature(hidden.dynprompt, hidden.unique_id), note)
            return output

        return run

    return decorate


def statement_of(dynprompt: Any, node: str, of_file: Callable[[Mapping[str, Any]], Statement | None]) -> Statement:
    """All that was noted before a node of a graph, first things first.

    of_file: the statement of the file that a node of ComfyUI loads, given the node; None when it carries none.
    """
    found: list[Statement] = []
    for name in _before(dynprompt, node):
        noted = _noted(_signature(dynprompt, name))
        loaded = of_file(dynprompt.get_node(name))
        found += [part for part in (loaded, Statement((noted,)) if noted else None) if part is not None]
    return merge_statements(found)


def _keep(key: str, operation: Operation) -> None:
    with _lock:
        _notes[key] = operation
        _notes.move_to_end(key)
        while len(_notes) > _MAX_NOTES:
            _notes.popitem(last=False)


def _noted(key: str) -> Operation | None:
    with _lock:
        if key in _notes:
            _notes.move_to_end(key)
        return _notes.get(key)


def _links(inputs: Mapping[str, Any], dynprompt: Any) -> Iterator[tuple[str, str]]:
    """(name of the input, node it comes from) of everything that is wired."""
    for name, value in inputs.items():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and dynprompt.has_node(value[0]):
            yield name, value[0]


def _before(dynprompt: Any, node: str) -> list[str]:
    """The nodes a node depends on, each once, every one after those it depends on itself."""
    order: dict[str, None] = {}
    stack: list[tuple[str, bool]] = [(node, False)]
    seen: set[str] = set()
    while stack:
        name, done = stack.pop()
        if done:
            order[name] = None
        elif name not in seen:
            seen.add(name)
            stack.append((name, True))
            stack += [(before, False) for _, before in _links(dynprompt.get_node(name)["inputs"], dynprompt)]
    order.pop(node)
    return list(order)


def _signature(dynprompt: Any, node: str) -> str:
    """A hash of what a node is: its kind, its settings and, through its wires, everything before it."""
    hashes: dict[str, str] = {}
    for name in [*_before(dynprompt, node), node]:
        entry = dynprompt.get_node(name)
        wired = {key: hashes[before] for key, before in _links(entry["inputs"], dynprompt)}
        plain = {key: value for key, value in entry["inputs"].items() if key not in wired}
        # which output of the node before is wired says something too
        slots = {key: entry["inputs"][key][1] for key in wired}
        text = json.dumps([entry["class_type"], plain, slots, wired], sort_keys=True, default=str)
        hashes[name] = hashlib.sha256(text.encode()).hexdigest()
    return hashes[node]


def _operation(
    node: type[io.ComfyNode],
    action: str,
    inputs: Mapping[str, Any],
    faces: Faces | None,
    output: io.NodeOutput,
    witness: Witness,
) -> Operation:
    schema = node.SCHEMA
    reports = [str(value) for given, value in zip(schema.outputs, output.args, strict=False) if given.id == "report"]
    return Operation(
        node=schema.node_id,
        action=action,
        settings={name: value for name, value in _flat(inputs) if isinstance(value, str | int | float)},
        people=tuple(map(_person, _people([inputs, output.args])))[:MAX_ITEMS],
        models=used_models([inputs, *witness.took_part.values()]),
        faces=() if faces is None else _boxes(faces),
        report="".join(reports)[:_MAX_REPORT],
        tracks=tuple(track for work in witness.works for track in work.tracks()),
    )


def _flat(inputs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield from _flat({str(index): item for index, item in enumerate(value)}, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _people(values: Any) -> list[Identity]:
    return [value for value in held(values) if isinstance(value, Identity)]


def _person(identity: Identity) -> Person:
    return Person(identity.name, identity.consent, tuple(identity.sources_sha256))


def _boxes(faces: Faces) -> tuple[tuple[tuple[int, int, int, int], ...], ...]:
    return tuple(
        tuple(_whole(face.bbox_xyxy) for face in frame[:_MAX_BOXES_PER_PICTURE])
        for frame in faces.frames[:_MAX_PICTURES]
    )


def _whole(box: Any) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    return x0, y0, x1, y1
