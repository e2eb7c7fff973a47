"""The widgets of a node: which inputs have one, in which order their values are saved, what one defaults to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"
# Types the page draws a widget for; any other type is a socket, unless its definition names a `widgetType`.
WIDGET_TYPES = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "MARKDOWN", "TEXTAREA", "COLOR", "COLORS", "CURVE"}
WIDGET_TYPES |= {"RANGE", "BOUNDING_BOX", "BOUNDING_BOXES", "PAINTER", "WEBCAM", "LOAD_3D", DYNAMIC_COMBO}
UPLOADS = ("image_upload", "video_upload", "animated_image_upload", "mesh_upload", "file_upload", "audio_upload")
ZEROS: dict[str, Any] = {"INT": 0, "FLOAT": 0, "BOOLEAN": False, "STRING": "", "COLOR": "#ffffff"}

# Name and specification of one input, or no name for a slot of the page's own (an upload button, what follows a seed).
Slot = tuple[str | None, Sequence[Any]]


def widget_values(node: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """Input name -> value of every widget of a saved node, defaults where the file holds none."""
    saved = node.get("widgets_values") or []
    if isinstance(saved, dict):
        return {name: saved.get(name, default_of(spec)) for name, spec in _slots(definition, node, saved) if name}
    reader = _Reader(list(saved))
    return dict(reader.read(_inputs(definition), _converted(node)))


def widget_names(node: Mapping[str, Any], definition: Mapping[str, Any]) -> set[str]:
    """The inputs of a saved node that have a widget."""
    return set(widget_values(node, definition))


def specification(definition: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> Sequence[Any] | None:
    """The specification of an input, dynamic ones ("mode.steps", "more.t0") included; None where the node has none.

    values: the node's present inputs, which say what a dynamic combo has chosen.
    """
    return dict(_expand(_inputs(definition), "", values)).get(name)


def input_names(definition: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Every input a node has with its present values."""
    return [name for name, _ in _expand(_inputs(definition), "", values)]


def kind_of(spec: Sequence[Any]) -> str:
    """The type of an input; a plain list of options is a COMBO."""
    options = options_of(spec)
    kind = "COMBO" if isinstance(spec[0], (list, tuple)) else str(spec[0])
    return kind if kind in WIDGET_TYPES or "widgetType" not in options else str(options["widgetType"])


def options_of(spec: Sequence[Any]) -> Mapping[str, Any]:
    return spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}


def is_widget(spec: Sequence[Any]) -> bool:
    """Whether the page draws a widget for this input."""
    options = options_of(spec)
    if options.get("forceInput") or options.get("rawLink"):
        return False
    return "widgetType" in options or kind_of(spec) in WIDGET_TYPES


def choices_of(spec: Sequence[Any]) -> list[Any]:
    """The values a combo can take."""
    if isinstance(spec[0], (list, tuple)):
        return list(spec[0])
    options = options_of(spec).get("options") or []
    return [option["key"] if isinstance(option, Mapping) and "key" in option else option for option in options]


def default_of(spec: Sequence[Any]) -> Any:
    """The value of a widget nobody touched."""
    options = options_of(spec)
    if "default" in options:
        return options["default"]
    if options.get("multiselect"):
        return []
    choices = choices_of(spec)
    return choices[0] if choices else ZEROS.get(kind_of(spec))


def uploads(spec: Sequence[Any]) -> bool:
    """Whether a value of this input is a file in ComfyUI's input folder."""
    return any(options_of(spec).get(name) for name in UPLOADS)


class _Reader:
    """Hands out saved values in the order of the widgets."""

    def __init__(self, saved: list[Any]) -> None:
        self.saved = saved
        self.at = 0

    def _next(self, default: Any) -> Any:
        value = self.saved[self.at] if self.at < len(self.saved) else default
        self.at += 1
        return value

    def read(self, inputs: Mapping[str, Any], converted: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, spec in _ordered(inputs):
            full = f"{prefix}{name}"
            if name is None:
                self._next(None)
                continue
            if not is_widget(spec) and full not in converted:
                continue
            value = self._next(default_of(spec))
            yield full, value
            for _ in range(_followers(name, spec)):
                self._next(None)
            if kind_of(spec) == DYNAMIC_COMBO:
                yield from self.read(_chosen(spec, value), converted, f"{full}.")


def _slots(definition: Mapping[str, Any], node: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Slot]:
    converted = _converted(node)
    for name, spec in _expand(_inputs(definition), "", values):
        if is_widget(spec) or name in converted:
            yield name, spec


def _converted(node: Mapping[str, Any]) -> set[str]:
    """Inputs the file itself shows to have a widget (types drawn by a script of their pack)."""
    return {entry["widget"]["name"] for entry in node.get("inputs") or [] if isinstance(entry.get("widget"), dict)}


def _inputs(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    return definition.get("input") or {}


def _ordered(inputs: Mapping[str, Any]) -> Iterator[Slot]:
    """Required inputs, the page's upload button, optional inputs."""
    required: Mapping[str, Any] = inputs.get("required") or {}
    yield from required.items()
    if any(uploads(spec) for spec in required.values()):
        yield None, ()
    yield from (inputs.get("optional") or {}).items()


def _followers(name: str, spec: Sequence[Any]) -> int:
    """How many values the page saves after this one for "control after generate"."""
    kind = kind_of(spec)
    control = options_of(spec).get("control_after_generate", kind == "INT" and name in ("seed", "noise_seed"))
    if not control:
        return 0
    return 2 if kind == "COMBO" else 1


def _chosen(spec: Sequence[Any], value: Any) -> Mapping[str, Any]:
    """The inputs that belong to the chosen option of a dynamic combo."""
    for option in options_of(spec).get("options", []):
        if option["key"] == value:
            inputs: Mapping[str, Any] = option["inputs"]
            return inputs
    return {}


def _expand(inputs: Mapping[str, Any], prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    for name, spec in _ordered(inputs):
        if name is None:
            continue
        full = prefix + name
        if kind_of(spec) == AUTOGROW:
            yield from _grown(full, options_of(spec)["template"])
            continue
        yield full, spec
        if kind_of(spec) == DYNAMIC_COMBO:
            yield from _expand(_chosen(spec, values.get(full)), f"{full}.", values)


def _grown(full: str, template: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    inputs = {**template["input"].get("required", {}), **template["input"].get("optional", {})}
    spec = next(iter(inputs.values()))
    names = template.get("names") or [f"{template['prefix']}{index}" for index in range(template["max"])]
    for name in names:
        yield f"{full}.{name}", spec
