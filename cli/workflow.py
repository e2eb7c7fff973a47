"""Workflow as the ComfyUI page saves it -> prompt as ComfyUI's server runs it, from the node definitions alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import CommandError
from .widgets import widget_names, widget_values

Prompt = dict[str, dict[str, Any]]
Definitions = Mapping[str, Mapping[str, Any]]

MUTED, BYPASSED = 2, 4
VIRTUAL = {"Reroute", "PrimitiveNode", "Note", "MarkdownNote"}
# A subgraph's own inputs and outputs are nodes with these ids inside it.
SUBGRAPH_INPUT, SUBGRAPH_OUTPUT = "-10", "-20"


@dataclass(frozen=True)
class Value:
    """What an input resolves to when it is no link."""

    value: Any


@dataclass(frozen=True)
class Link:
    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(eq=False)
class Graph:
    """The workflow, or one use of a subgraph inside it. `path` is the prefix of its nodes' ids in the prompt."""

    nodes: dict[str, dict[str, Any]]
    links: dict[int, Link]
    path: str = ""
    parent: Graph | None = None
    host: dict[str, Any] = field(default_factory=dict)
    definition: dict[str, Any] = field(default_factory=dict)

    def id_of(self, node: Mapping[str, Any]) -> str:
        return f"{self.path}{node['id']}"


def load_workflow(path: Path) -> dict[str, Any]:
    """The JSON object in the file. Raises CommandError when there is none."""
    if not path.is_file():
        raise CommandError(f"There is no workflow file {path}.")
    try:
        workflow = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is no JSON file: {error}. Export the workflow from ComfyUI as .json.") from error
    if not isinstance(workflow, dict):
        raise CommandError(f"{path} holds a {type(workflow).__name__}, expected a workflow (a JSON object).")
    return workflow


def to_prompt(workflow: dict[str, Any], definitions: Definitions) -> Prompt:
    """The prompt of a workflow, as the page's own export gives it; a prompt is passed through.

    definitions: node type -> what the server's /object_info says of it.
    Raises CommandError for node types that are not defined, circular links and JSON that is neither form.
    """
    if isinstance(workflow.get("nodes"), list):
        return _Converter(workflow, definitions).prompt()
    prompt = workflow.get("prompt", workflow)
    if not prompt or not all(isinstance(node, dict) and "class_type" in node for node in prompt.values()):
        raise CommandError(
            "The JSON is neither a workflow (a list `nodes`) nor an API prompt (ids with `class_type`). "
            "Export it again from ComfyUI: Workflow > Export, or Export (API)."
        )
    unknown = {node["class_type"] for node in prompt.values()} - set(definitions)
    if unknown:
        raise CommandError(_unknown_message(sorted(f"{name!r}" for name in unknown)))
    return {node_id: {**node, "inputs": dict(node.get("inputs", {}))} for node_id, node in prompt.items()}


def _unknown_message(names: list[str]) -> str:
    return (
        f"This ComfyUI has no node of type {', '.join(names)}. Headless runs load ComfyUI's own nodes and Likeness; "
        "for workflows with nodes of other packs use ./likeness serve."
    )


class _Converter:
    def __init__(self, workflow: dict[str, Any], definitions: Definitions) -> None:
        self.definitions = definitions
        self.subgraphs = {item["id"]: item for item in (workflow.get("definitions") or {}).get("subgraphs") or []}
        self.root = _graph(workflow)
        self.instances: dict[tuple[int, str], Graph] = {}

    def prompt(self) -> Prompt:
        live = list(self._live(self.root, ()))
        unknown = [
            f"{node['type']!r} (node {graph.id_of(node)})"
            for graph, node in live
            if node["type"] not in self.definitions
        ]
        if unknown:
            raise CommandError(_unknown_message(unknown))
        prompt = {graph.id_of(node): self._entry(graph, node) for graph, node in live}
        for entry in prompt.values():
            for name, value in list(entry["inputs"].items()):
                if isinstance(value, list) and value[0] not in prompt:
                    del entry["inputs"][name]
        return prompt

    def _live(self, graph: Graph, inside: tuple[str, ...]) -> Iterator[tuple[Graph, dict[str, Any]]]:
        """Every node that runs, subgraphs opened."""
        for node in graph.nodes.values():
            if node.get("mode", 0) in (MUTED, BYPASSED) or node["type"] in VIRTUAL:
                continue
            if node["type"] not in self.subgraphs:
                yield graph, node
                continue
            if node["type"] in inside:
                raise CommandError(f"The subgraph of node {graph.id_of(node)} contains itself.")
            yield from self._live(self._open(graph, node), (*inside, node["type"]))

    def _open(self, graph: Graph, node: dict[str, Any]) -> Graph:
        key = (id(graph), str(node["id"]))
        if key not in self.instances:
            self.instances[key] = _graph(self.subgraphs[node["type"]], graph, node)
        return self.instances[key]

    def _entry(self, graph: Graph, node: dict[str, Any]) -> dict[str, Any]:
        definition = self.definitions[node["type"]]
        inputs = {name: _wrapped(value) for name, value in widget_values(node, definition).items()}
        for slot, entry in enumerate(node.get("inputs") or []):
            found = self._input(graph, node, slot, set())
            if isinstance(found, Value):
                inputs[entry["name"]] = _wrapped(found.value)
            elif found is not None:
                inputs[entry["name"]] = list(found)
        title = node.get("title") or definition.get("display_name") or node["type"]
        return {"inputs": inputs, "class_type": node["type"], "_meta": {"title": title}}

    def _input(
        self, graph: Graph, node: dict[str, Any], slot: int, seen: set[str], wanted: str | None = None
    ) -> Value | tuple[str, int] | None:
        """What arrives at an input: the output of a node that runs, a value, or nothing."""
        inputs = node.get("inputs") or []
        if slot >= len(inputs):
            return None
        entry = inputs[slot]
        mark = f"{graph.path}{node['id']}<{slot}"
        if mark in seen:
            raise CommandError(f"The links into node {graph.id_of(node)} (input {entry['name']}) go round in a circle.")
        seen.add(mark)
        link = graph.links.get(entry["link"]) if entry.get("link") is not None else None
        if link is None:
            return None
        if link.origin == SUBGRAPH_INPUT:
            return self._from_host(graph, link.origin_slot, seen)
        wanted = wanted or entry.get("type", "*")
        return self._output(graph, graph.nodes.get(link.origin), link.origin_slot, wanted, seen)

    def _from_host(self, graph: Graph, slot: int, seen: set[str]) -> Value | tuple[str, int] | None:
        """What arrives at an input of a subgraph, from the node that stands for it outside."""
        if graph.parent is None:
            return None
        name = graph.definition["inputs"][slot]["name"]
        for index, entry in enumerate(graph.host.get("inputs") or []):
            if entry["name"] == name and entry.get("link") is not None:
                return self._input(graph.parent, graph.host, index, seen)
        return self._promoted(graph, slot)

    def _promoted(self, graph: Graph, slot: int) -> Value | None:
        """The value of a widget that the subgraph shows on its outside, when it was saved there."""
        values = graph.host.get("widgets_values")
        if isinstance(values, dict):
            name = graph.definition["inputs"][slot]["name"]
            return Value(values[name]) if name in values else None
        shown = [index for index in range(len(graph.definition["inputs"])) if self._is_widget(graph, index)]
        if not values or slot not in shown or shown.index(slot) >= len(values):
            return None
        value = values[shown.index(slot)]
        return None if value is None else Value(value)

    def _is_widget(self, graph: Graph, slot: int) -> bool:
        """Whether an input of a subgraph ends in a widget of a node inside it."""
        for link in graph.links.values():
            if link.origin != SUBGRAPH_INPUT or link.origin_slot != slot or link.target not in graph.nodes:
                continue
            node = graph.nodes[link.target]
            entries = node.get("inputs") or []
            if link.target_slot >= len(entries):
                continue
            entry = entries[link.target_slot]
            if node["type"] in self.subgraphs:
                names = [item["name"] for item in self.subgraphs[node["type"]]["inputs"]]
                return entry["name"] in names and self._is_widget(self._open(graph, node), names.index(entry["name"]))
            return "widget" in entry or entry["name"] in widget_names(node, self.definitions.get(node["type"], {}))
        return False

    def _output(
        self, graph: Graph, node: dict[str, Any] | None, slot: int, wanted: str, seen: set[str]
    ) -> Value | tuple[str, int] | None:
        """What an output stands for, seen through bypassed and virtual nodes and into subgraphs."""
        if node is None or node.get("mode", 0) == MUTED:
            return None
        if node.get("mode", 0) == BYPASSED:
            through = _bypass(node, slot, wanted)
            return None if through is None else self._input(graph, node, through, seen)
        if node["type"] == "PrimitiveNode":
            values = node.get("widgets_values") or []
            return Value(values[0]) if values else None
        if node["type"] in VIRTUAL:
            return self._input(graph, node, slot, seen, wanted)
        if node["type"] not in self.subgraphs:
            return graph.id_of(node), slot
        inner = self._open(graph, node)
        for link in inner.links.values():
            if link.target == SUBGRAPH_OUTPUT and link.target_slot == slot:
                if link.origin == SUBGRAPH_INPUT:
                    return self._from_host(inner, link.origin_slot, seen)
                return self._output(inner, inner.nodes.get(link.origin), link.origin_slot, wanted, seen)
        return None


def _graph(saved: dict[str, Any], parent: Graph | None = None, host: dict[str, Any] | None = None) -> Graph:
    links: dict[int, Link] = {}
    for link in saved.get("links") or []:
        if isinstance(link, dict):
            ends = (str(link["origin_id"]), link["origin_slot"], str(link["target_id"]), link["target_slot"])
            links[link["id"]] = Link(*ends)
        else:
            links[link[0]] = Link(str(link[1]), link[2], str(link[3]), link[4])
    nodes = {str(node["id"]): node for node in saved["nodes"]}
    if parent is None or host is None:
        return Graph(nodes, links)
    return Graph(nodes, links, f"{parent.id_of(host)}:", parent, host, saved)


def _bypass(node: Mapping[str, Any], slot: int, wanted: str) -> int | None:
    """The input that a bypassed node passes on to its output `slot`."""
    inputs = node.get("inputs") or []
    types = [str(entry.get("type", "*")) for entry in inputs]
    if not types:
        return None
    if wanted in ("*", ""):
        return slot if slot < len(types) else 0
    given = str(node["outputs"][slot].get("type", "*"))
    fits = [_connects(kind, given) and _connects(kind, wanted) for kind in types]
    if slot < len(types) and fits[slot]:
        return slot
    if wanted in types:
        return types.index(wanted)
    return fits.index(True) if True in fits else None


def _connects(one: str, other: str) -> bool:
    if "*" in (one, other) or "" in (one, other):
        return True
    return bool(set(one.lower().split(",")) & set(other.lower().split(",")))


def _wrapped(value: Any) -> Any:
    """A list as a value: bare, the server would read it as a link."""
    return {"__value__": value} if isinstance(value, list) else value
