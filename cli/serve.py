"""./likeness serve: ComfyUI with this pack, and the browser opened at it."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path

from .comfyui import ComfyUI, pack_link
from .errors import CommandError, UsageError
from .home import CHECKOUT, home, say
from .run import chosen_comfyui

DEFAULT_PORT = 8188
START_LIMIT_S = 300


def main(arguments: list[str]) -> int:
    """Run the command until it is stopped; ComfyUI's exit code comes back."""
    options, rest = _options(arguments)
    comfy = chosen_comfyui()
    port = free_port(options.port)
    command = server_command(comfy, port, options.cpu) + rest
    say(f"Starting ComfyUI {comfy.version} ({comfy.source}) ...")
    process = subprocess.Popen(command, cwd=comfy.folder)
    try:
        _wait(process, port)
        address = f"http://127.0.0.1:{port}"
        say(f"\nComfyUI with Likeness: {address}   (stop with Ctrl-C)")
        say("Workflows to start from: Templates > Extensions > ComfyUI-Likeness\n")
        if not options.no_browser:
            webbrowser.open(address)
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(process)


def server_command(comfy: ComfyUI, port: int, cpu: bool) -> list[str]:
    """How ComfyUI is started so that it has this pack, without changing anything in its folder."""
    command = [sys.executable, "-u", str(comfy.folder / "main.py"), "--listen", "127.0.0.1", "--port", str(port)]
    if comfy.base != comfy.folder:
        pack_link(comfy.base / "custom_nodes")
        command += ["--base-directory", str(comfy.base)]
    elif not _has_pack(comfy.folder / "custom_nodes"):
        folder = home() / "packs" / hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
        pack_link(folder)
        paths = folder.with_suffix(".yaml")
        # JSON is YAML, with the quotes that paths may need.
        paths.write_text(json.dumps({"likeness": {"custom_nodes": str(folder)}}), encoding="utf-8")
        command += ["--extra-model-paths-config", str(paths)]
    return command + (["--cpu"] if cpu or not _accelerated() else [])


def _has_pack(custom_nodes: Path) -> bool:
    return custom_nodes.is_dir() and any(entry.resolve() == CHECKOUT for entry in custom_nodes.iterdir())


def _accelerated() -> bool:
    import torch

    return bool(torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available())


def free_port(asked: int | None) -> int:
    """The port asked for; without one 8188, or any other where that is taken. Raises UsageError for a taken one."""
    for port in (asked,) if asked is not None else (DEFAULT_PORT, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise UsageError(f"Port {asked} is in use; choose another with --port, or leave it out for a free one.")


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise CommandError(f"ComfyUI ended with exit code {process.returncode} before it was ready; see its log.")
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system_stats", timeout=5).close()
            return
        time.sleep(0.3)
    raise CommandError(f"ComfyUI did not answer on port {port} within {START_LIMIT_S} s; see its log above.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()


def _options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="./likeness serve", description="Starts ComfyUI with this pack. Unknown options go to ComfyUI."
    )
    parser.add_argument("--port", type=int, help=f"the port (default: {DEFAULT_PORT}, or a free one where it is taken)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    parser.add_argument("--cpu", action="store_true", help="use no GPU")
    return parser.parse_known_args(arguments)
