"""What a server keeps: the resident size of the real ComfyUI over 200 executions of the example workflows.

Workflows that name large models which are not here are left out and named. Every execution computes anew: between two
runs of a workflow ComfyUI has run all the others, and it forgets what the current one does not use.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..cli.home import say
from ..cli.run import chosen_comfyui
from ..cli.serve import free_port, server_command
from ..cli.workflow import load_workflow, to_prompt
from ..pipelines.errors import MissingWeightsError
from .figure import Figure

FOLDER = Path(__file__).resolve().parents[1] / "example_workflows"
EXECUTIONS, SETTLED = 200, 20
LIMIT_S = 300
#: Makes the file that other workflows read.
FIRST = "save_an_identity"

Prompt = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Server:
    """A running ComfyUI of our own."""

    process: subprocess.Popen[bytes]
    url: str

    def ask(self, path: str, body: Any = None) -> Any:
        """The JSON that the server answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def run(self, prompt: Prompt) -> None:
        """Execute a prompt to its end; raises MissingWeightsError where it lacks a model, RuntimeError otherwise."""
        prompt_id = self.ask("/prompt", {"prompt": prompt, "client_id": uuid.uuid4().hex})["prompt_id"]
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            entry = self.ask(f"/history/{prompt_id}").get(prompt_id)
            if entry is not None:
                if entry["status"]["status_str"] != "success":
                    raise _failure(entry["status"]["messages"][-1][1])
                return
            time.sleep(0.05)
        raise RuntimeError(f"a workflow did not end within {LIMIT_S} s")

    def resident_bytes(self) -> int:
        """What the process has in RAM."""
        import psutil

        return int(psutil.Process(self.process.pid).memory_info().rss)


def _failure(message: dict[str, Any]) -> Exception:
    kind = MissingWeightsError if message["exception_type"].endswith(".MissingWeightsError") else RuntimeError
    return kind(f"{message['node_type']}: {message['exception_message']}")


def measure() -> list[Figure]:
    """Growth of the server between its 20th and its 200th execution."""
    with tempfile.TemporaryDirectory(prefix="likeness-memory-") as base:
        server = _start(Path(base))
        try:
            names, prompts = _runnable(server)
            say(f"  {len(prompts)} workflows: {', '.join(names)}")
            sizes = _run_all(server, prompts)
        finally:
            server.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(20)
    return _figures(sizes, len(prompts))


def _figures(sizes: list[int], workflows: int) -> list[Figure]:
    """sizes: after each execution, as `_run_all` gives them; the rounds of each workflow are told for information."""
    settled, last = sizes[SETTLED - 1], sizes[-1]
    rounds = [sizes[first:-1:workflows] for first in range(workflows)]
    drift = statistics.median(one[-1] / one[0] for one in rounds)
    return [
        Figure(f"resident size after execution {SETTLED}", settled / 2**20, unit="MiB"),
        Figure(f"resident size after execution {EXECUTIONS}", last / 2**20, unit="MiB"),
        Figure(f"growth from execution {SETTLED} to {EXECUTIONS}", (last / settled - 1) * 100, 3.0, unit="%"),
        Figure(
            f"growth of {workflows} workflows from their first round to their last, median", (drift - 1) * 100, unit="%"
        ),
        Figure("largest resident size after an execution", max(sizes) / 2**20, unit="MiB"),
    ]


def _run_all(server: Server, prompts: list[Prompt]) -> list[int]:
    """The resident size after each execution; the last one runs the workflow of the settled one."""
    sizes: list[int] = []
    for number in range(EXECUTIONS):
        index = SETTLED - 1 if number == EXECUTIONS - 1 else number
        server.run(_anew(prompts[index % len(prompts)], number))
        sizes.append(server.resident_bytes())
        if (number + 1) % 20 == 0:
            say(f"  after {number + 1} executions {sizes[-1] / 2**20:.0f} MiB")
    return sizes


def _anew(prompt: Prompt, number: int) -> Prompt:
    """The prompt with another seed where it has one, as the page sends it."""
    return {
        key: node | {"inputs": {n: number if n in ("seed", "noise_seed") else v for n, v in node["inputs"].items()}}
        for key, node in prompt.items()
    }


def _runnable(server: Server) -> tuple[list[str], list[Prompt]]:
    """The workflows that this ComfyUI accepts: nothing they name is missing."""
    definitions = server.ask("/object_info")
    names = sorted((path.stem for path in FOLDER.glob("*.json")), key=lambda name: (name != FIRST, name))
    found: list[tuple[str, Prompt]] = []
    for name in names:
        prompt = to_prompt(load_workflow(FOLDER / f"{name}.json"), definitions)
        try:
            server.run(prompt)
            found.append((name, prompt))
        except (urllib.error.HTTPError, MissingWeightsError):
            say(f"  {name} is left out: it names models that are not here")
        definitions = server.ask("/object_info")  # files that it saved can be chosen now
    return [name for name, _ in found], [prompt for _, prompt in found]


def _start(base: Path) -> Server:
    for name in ("custom_nodes", "input", "output", "models", "user", "temp"):
        (base / name).mkdir(parents=True)
    comfy, port = replace(chosen_comfyui(), base=base), free_port(0)
    command = [*server_command(comfy, port, cpu=True), "--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
    with open(base / "server.log", "wb") as log:
        process = subprocess.Popen(command, cwd=base, stdout=log, stderr=subprocess.STDOUT)
    server = Server(process, f"http://127.0.0.1:{port}")
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError):
            server.ask("/system_stats")
            return server
        time.sleep(0.3)
    raise RuntimeError(f"ComfyUI did not start: {(base / 'server.log').read_text(errors='replace')[-2000:]}")
