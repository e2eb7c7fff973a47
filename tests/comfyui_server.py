"""The real ComfyUI on the CPU with only this pack, started once per test session, and a client for its HTTP API."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from likeness.cli.comfyui import pack_link

ROOT = Path(__file__).resolve().parents[1]

#: Nodes that only the tests have.
TEST_NODE_FILES = ("guard_nodes.py", "support_nodes.py", "tiny_model_nodes.py")
TEST_NODES = tuple(ROOT / "tests" / "workflows" / name for name in TEST_NODE_FILES)

START_LIMIT_S = 180
RUN_LIMIT_S = 300


def comfyui_folder() -> Path:
    """ComfyUI's source as the launcher gives it in COMFYUI_DIR; without it the test is skipped."""
    folder = os.environ.get("COMFYUI_DIR", "")
    if not folder or not (Path(folder) / "main.py").is_file():
        pytest.skip("COMFYUI_DIR does not name a ComfyUI folder: run the tests with `./likeness test`")
    return Path(folder)


class PromptFailed(Exception):
    """ComfyUI refused a prompt or a node raised; the message is what the user sees."""


@dataclass(frozen=True)
class ComfyServer:
    """A running ComfyUI. base: its base directory (input, output, models, user). log: what it prints.

    mirror_port: where it looks for weights before anywhere else; a test may serve some there.
    """

    url: str
    base: Path
    log: Path
    mirror_port: int = 0

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return json.loads(response.read())

    def get_bytes(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return response.read()

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            content = response.read()
        return json.loads(content) if content else None

    def run(self, prompt: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Queue an API prompt, wait, and return the outputs by node id. Raises PromptFailed."""
        try:
            answer = self.post("/prompt", {"prompt": prompt, "client_id": uuid.uuid4().hex})
        except urllib.error.HTTPError as error:
            raise PromptFailed(error.read().decode()) from error
        if answer.get("node_errors"):
            raise PromptFailed(json.dumps(answer["node_errors"]))
        return self.wait(answer["prompt_id"])

    def wait(self, prompt_id: str) -> dict[str, dict[str, Any]]:
        """The outputs by node id of a queued prompt. Raises PromptFailed."""
        end = time.monotonic() + RUN_LIMIT_S
        while time.monotonic() < end:
            history = self.get(f"/history/{prompt_id}")
            if prompt_id in history:
                return self._outputs(history[prompt_id])
            time.sleep(0.1)
        raise PromptFailed(f"prompt {prompt_id} did not end within {RUN_LIMIT_S} s:\n{self.log_tail()}")

    @staticmethod
    def _outputs(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
        for event, data in entry["status"]["messages"]:
            if event in ("execution_error", "execution_interrupted"):
                raise PromptFailed(data.get("exception_message", event))
        assert entry["status"]["status_str"] == "success", entry["status"]
        return entry["outputs"]

    def picture(self, found: dict[str, str]) -> bytes:
        """The file of an entry of an output's `images`."""
        return self.get_bytes("/view?" + urllib.parse.urlencode(found))

    def log_tail(self, characters: int = 4000) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-characters:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(base: Path) -> tuple[subprocess.Popen[bytes], ComfyServer]:
    for name in ("custom_nodes", "input", "output", "models", "user", "temp"):
        (base / name).mkdir(parents=True, exist_ok=True)
    pack_link(base / "custom_nodes")
    for nodes in TEST_NODES:
        shutil.copy(nodes, base / "custom_nodes")
    folder, port, mirror, log = comfyui_folder(), free_port(), free_port(), base / "server.log"
    command = [sys.executable, "-u", str(folder / "main.py"), "--cpu", "--listen", "127.0.0.1", "--port", str(port)]
    command += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:", "--base-directory", str(base)]
    command += ["--dont-print-server", "--cache-lru", "100"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    # weights come from this machine or from nowhere: nobody listens on port 9
    environment |= {"LIKENESS_MIRROR": f"http://127.0.0.1:{mirror}", "https_proxy": "http://127.0.0.1:9"}
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=base, stdout=output, stderr=subprocess.STDOUT, env=environment)
    return process, ComfyServer(f"http://127.0.0.1:{port}", base, log, mirror)


def _wait_until_ready(process: subprocess.Popen[bytes], server: ComfyServer) -> None:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"ComfyUI ended with {process.returncode}:\n{server.log_tail()}")
        with contextlib.suppress(OSError):
            server.get("/system_stats")
            return
        time.sleep(0.3)
    raise RuntimeError(f"ComfyUI did not answer within {START_LIMIT_S} s:\n{server.log_tail()}")


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """The running server with this pack and the test node in it."""
    process, server = _start(tmp_path_factory.mktemp("comfyui"))
    try:
        _wait_until_ready(process, server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
