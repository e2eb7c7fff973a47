"""What the pack adds to ComfyUI's start: the real ComfyUI of the launcher, in a process of its own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from ..cli.run import chosen_comfyui
from .figure import Figure

CHECKOUT = Path(__file__).resolve().parents[1]
ROUNDS = 3

#: Arguments: ComfyUI's folder, a scratch folder, the pack's folder. Prints the seconds the pack took to load.
CHILD = """
import asyncio, logging, sys, time
comfyui, scratch, pack = sys.argv[1:]
sys.path.insert(0, comfyui)
import comfy.options
comfy.options.enable_args_parsing(False)
from comfy.cli_args import args
args.cpu, args.disable_api_nodes, args.base_directory = True, True, scratch
import nodes
asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
start = time.perf_counter()
loaded = asyncio.run(nodes.load_custom_node(pack, set(nodes.NODE_CLASS_MAPPINGS)))
seconds = time.perf_counter() - start
if not loaded:
    sys.exit("the pack did not load")
print(f"seconds={seconds}")
"""


def measure() -> list[Figure]:
    """Seconds from ComfyUI's call of the pack to its last node, median of three starts."""
    return [Figure("what the pack adds to ComfyUI's start", statistics.median(_starts()), 1.0, unit="s")]


def _starts() -> list[float]:
    comfy = chosen_comfyui()
    with tempfile.TemporaryDirectory(prefix="likeness-start-") as scratch:
        return [_start(str(comfy.folder), scratch) for _ in range(ROUNDS)]


def _start(comfyui: str, scratch: str) -> float:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, comfyui, scratch, str(CHECKOUT)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        if line.startswith("seconds="):
            return float(line.removeprefix("seconds="))
    raise RuntimeError(f"ComfyUI did not start with the pack: {done.stderr.strip()[-2000:]}")
