"""What a server keeps: the resident size of the real ComfyUI over 200 executions of the example workflows.

All of them take part, on the CPU, which takes a quarter of an hour. What is small are the models, as in the tests:
checkpoints, ControlNets, CLIP, CLIP Vision and audio encoders of the true layout with few or narrow layers; the files
of adapters, speech heads and lips, and the EVA02 tower, with published names and small tensors; a face parser of its
true size. All their numbers are random. LivePortrait's networks and the recognisers that need InsightFace's files
give way to arithmetic of the same inputs and outputs. Latents have a quarter of their sides, samplers take two steps.
Everything else, sound, videos and pictures included, is as the workflows have it.

Every execution computes anew: between two runs of a workflow ComfyUI has run all the others, and it forgets what the
current one does not use.
"""

from __future__ import annotations

import json
import shutil
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
from ..tests.workflows.tiny_prompts import with_tiny_models
from ..tests.workflows.tiny_weights import write_tiny_weights
from .figure import Figure

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "example_workflows"
#: The nodes that stand in for the loaders of large models, and for core's landmarker.
STAND_INS = tuple(ROOT / "tests" / "workflows" / name for name in ("support_nodes.py", "tiny_model_nodes.py"))
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
        """Execute a prompt to its end; raises RuntimeError where it is refused, a node fails, or it takes too long."""
        try:
            answer = self.ask("/prompt", {"prompt": prompt, "client_id": uuid.uuid4().hex})
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode(errors="replace")) from error
        if answer["node_errors"]:
            raise RuntimeError(json.dumps(answer["node_errors"]))
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            entry = self.ask(f"/history/{answer['prompt_id']}").get(answer["prompt_id"])
            if entry is not None:
                if entry["status"]["status_str"] != "success":
                    message = entry["status"]["messages"][-1][1]
                    raise RuntimeError(f"{message['node_type']}: {message['exception_message']}")
                return
            time.sleep(0.05)
        raise RuntimeError(f"it did not end within {LIMIT_S} s")

    def resident_bytes(self) -> int:
        """What the process has in RAM."""
        import psutil

        return int(psutil.Process(self.process.pid).memory_info().rss)


def measure() -> list[Figure]:
    """Growth of the server between its 20th and its 200th execution."""
    with tempfile.TemporaryDirectory(prefix="likeness-memory-") as base:
        server = _start(Path(base))
        try:
            prompts, left_out = _runnable(server)
            sizes = _run_all(server, prompts)
        finally:
            server.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(20)
    return [Figure("example workflows that cannot take part", left_out, 0), *_figures(sizes, len(prompts))]


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


def _runnable(server: Server) -> tuple[list[Prompt], int]:
    """Every workflow after its first run, and how many did not survive it; why is said."""
    definitions = server.ask("/object_info")
    names = sorted((path.stem for path in FOLDER.glob("*.json")), key=lambda name: (name != FIRST, name))
    found: list[Prompt] = []
    for name in names:
        prompt = with_tiny_models(to_prompt(load_workflow(FOLDER / f"{name}.json"), definitions))
        began = time.monotonic()
        try:
            server.run(prompt)
        except RuntimeError as error:
            say(f"  {name} is left out: {error}")
        else:
            say(f"  {name}: {time.monotonic() - began:.1f} s")
            found.append(prompt)
        definitions = server.ask("/object_info")  # files that it saved can be chosen now
    return found, len(names) - len(found)


def _start(base: Path) -> Server:
    for name in ("custom_nodes", "input", "output", "models", "user", "temp"):
        (base / name).mkdir(parents=True)
    for nodes in STAND_INS:
        shutil.copy(nodes, base / "custom_nodes")
    write_tiny_weights(base / "models")
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
