"""What running a prompt gave: files, texts, times, or a message that names the node."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .workflow import Prompt


@dataclass(frozen=True)
class Outcome:
    """What a prompt gave. Node ids are those of the prompt."""

    outputs: dict[str, dict[str, Any]]
    files: tuple[tuple[str, Path], ...]
    texts: tuple[tuple[str, str], ...]
    seconds: dict[str, float]
    cached: frozenset[str]


@dataclass
class Watch:
    """Follows a prompt: when nodes start and end, and how far the running one is."""

    show: Callable[[str, float, bool], None]
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cached: set[str] = field(default_factory=set)

    def event(self, name: str, data: Any) -> None:
        if name == "execution_cached":
            self.cached.update(data["nodes"])
        if name != "progress_state":
            return
        for node_id, state in data["nodes"].items():
            if state["state"] == "running":
                self.started.setdefault(node_id, time.perf_counter())
                self.show(state["real_node_id"], state["value"] / max(state["max"], 1e-9), False)
            elif state["state"] == "finished" and node_id in self.started and node_id not in self.seconds:
                self.seconds[node_id] = time.perf_counter() - self.started[node_id]
                self.show(state["real_node_id"], 1.0, True)


def title_of(prompt: Prompt, node_id: str) -> str:
    """How a message names a node: its title and id."""
    node = prompt.get(node_id.split(".", 1)[0], {})
    title = node.get("_meta", {}).get("title") or node.get("class_type", "node")
    return f"{title} (node {node_id})"


def refusal(prompt: Prompt, error: Mapping[str, Any] | None, node_errors: Mapping[str, Any]) -> str:
    """What ComfyUI found wrong before it ran anything, by node."""
    lines = [
        f"  {title_of(prompt, node_id)}: {reason['message']}: {reason['details']}"
        for node_id, entry in node_errors.items()
        for reason in entry["errors"]
    ]
    if not lines and error is not None:
        lines = [f"  {error['message']} {error['details']}".rstrip()]
    return "ComfyUI refused the workflow:\n" + "\n".join(lines)


def failure(prompt: Prompt, data: Mapping[str, Any]) -> str:
    """The message of the node that failed, with a trace unless it is one of our own errors."""
    message = data["exception_message"].strip()
    kind = data["exception_type"].rsplit(".", 1)[-1]
    if kind.endswith("Error") and "pipelines.errors" in data["exception_type"]:
        return f"{title_of(prompt, data['node_id'])}: {message}"
    return f"{title_of(prompt, data['node_id'])}: {kind}: {message}\n" + "".join(data["traceback"]).rstrip()
