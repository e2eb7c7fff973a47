"""`--set "node.input=value"`: which node and input of a prompt are meant, and the value in the type the input has."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import UsageError
from .widgets import choices_of, input_names, is_widget, kind_of, options_of, specification, uploads
from .workflow import Definitions, Prompt


def apply_settings(prompt: Prompt, definitions: Definitions, settings: Sequence[str], input_folder: Path) -> None:
    """Change the prompt in place.

    settings: "node title or id.input=value" each. input_folder: where pictures that lie elsewhere are copied to.
    Raises UsageError for unknown or ambiguous nodes, unknown inputs and values of the wrong type.
    """
    for setting in settings:
        target, separator, text = setting.partition("=")
        if not separator or "." not in target:
            raise UsageError(f'--set {setting!r}: expected "node title or id.input=value", as in "3.strength=0.8".')
        node_id, name = _find(prompt, target)
        node = prompt[node_id]
        definition = definitions[node["class_type"]]
        spec = specification(definition, name, node["inputs"])
        if spec is None:
            has = ", ".join(input_names(definition, node["inputs"])) or "none"
            raise UsageError(f"--set {setting!r}: {_title(node)} (node {node_id}) has no input {name!r}, only: {has}.")
        if not is_widget(spec):
            raise UsageError(f"--set {setting!r}: {name} is a {kind_of(spec)}, which comes over a link only.")
        node["inputs"][name] = _value(setting, spec, text, input_folder)


def _find(prompt: Prompt, target: str) -> tuple[str, str]:
    """The node id and input of "title.input"; titles and inputs may hold dots themselves."""
    matches: list[tuple[str, str]] = []
    for node_id, node in prompt.items():
        for name in (node_id, _title(node)):
            if target.startswith(name + "."):
                matches.append((node_id, target[len(name) + 1 :]))
                break
    # The longest name wins, so that "Save Image.v2.x" finds a node of that title before "Save Image".
    shortest = min((len(name) for _, name in matches), default=0)
    matches = [match for match in matches if len(match[1]) == shortest]
    if not matches:
        there = "; ".join(f"{node_id} {_title(node)}" for node_id, node in prompt.items())
        raise UsageError(f"--set {target!r}: no node of that title or id. The workflow has: {there}.")
    if len(matches) > 1:
        ids = ", ".join(node_id for node_id, _ in matches)
        raise UsageError(f"--set {target!r}: {len(matches)} nodes have that title; use one of their ids: {ids}.")
    return matches[0]


def _title(node: Mapping[str, Any]) -> str:
    return str(node.get("_meta", {}).get("title") or node["class_type"])


def _value(setting: str, spec: Sequence[Any], text: str, input_folder: Path) -> Any:
    kind = kind_of(spec)
    try:
        if kind == "INT":
            return int(text)
        if kind == "FLOAT":
            return float(text)
    except ValueError as error:
        wanted = "whole number" if kind == "INT" else "number"
        raise UsageError(f"--set {setting!r}: {text!r} is no {wanted}.") from error
    if kind == "BOOLEAN":
        if text.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
            raise UsageError(f"--set {setting!r}: {text!r} is neither true nor false.")
        return text.lower() in ("true", "1", "yes", "on")
    if kind == "STRING":
        return text
    if uploads(spec):
        return _uploaded(setting, text, input_folder)
    if kind in ("COMBO", "COMFY_DYNAMICCOMBO_V3"):
        return _choice(setting, spec, text)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--set {setting!r}: a {kind} is given as JSON, and {text!r} is none ({error}).") from error
    return {"__value__": value} if isinstance(value, list) else value


def _choice(setting: str, spec: Sequence[Any], text: str) -> Any:
    choices = choices_of(spec)
    if options_of(spec).get("multiselect"):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return {"__value__": [_choice(setting, [choices, {}], part) for part in parts]}
    for choice in choices:
        if str(choice) == text:
            return choice
    if not choices and options_of(spec).get("remote"):
        return text
    known = ", ".join(map(str, choices)) or "nothing, there are no files for it"
    raise UsageError(f"--set {setting!r}: {text!r} is none of: {known}.")


def _uploaded(setting: str, text: str, input_folder: Path) -> str:
    """The name under which ComfyUI finds a picture; one that lies elsewhere is copied into the input folder.

    The copy is named after its content, so that the same picture is copied once and no other is overwritten.
    """
    bare = text.partition(" [")[0] if text.endswith("]") else text
    if not Path(bare).is_absolute() and (input_folder / bare).is_file():
        return text
    given = Path(text).expanduser()
    if not given.is_file():
        raise UsageError(f"--set {setting!r}: there is no file {text!r}, neither here nor in {input_folder}.")
    inside = given.resolve()
    if inside.is_relative_to(input_folder.resolve()):
        return inside.relative_to(input_folder.resolve()).as_posix()
    digest = hashlib.sha256(given.read_bytes()).hexdigest()[:12]
    stem = "".join(character if character.isalnum() or character in "-_" else "_" for character in given.stem)[:60]
    name = f"{stem}-{digest}{given.suffix.lower()}"
    if not (input_folder / name).exists():
        input_folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(given, input_folder / name)
    return name
