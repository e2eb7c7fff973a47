"""A guard in the tests' ComfyUI: no Python code may reach another machine or write outside ComfyUI's own folders.

An audit hook refuses both in the moment they are tried, so that the workflow which tries fails. The nodes try it, to
prove that the guard stands. The hook sees what goes through Python; compiled code that opens files or sockets by itself
(FFmpeg in PyAV, onnxruntime, torch) does not pass it, and is not proven by it.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import folder_paths
from comfy_api.latest import ComfyExtension, io

#: ComfyUI's own folders (all of them lie below one in the tests), and devices.
ALLOWED = tuple(str(Path(folder).resolve()) + os.sep for folder in (folder_paths.base_path, "/dev", "/proc"))
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
LOCAL = ("127.0.0.1", "localhost", "::1", "", None)


class GuardedError(RuntimeError):
    """What a node of the pack must never try."""


def _refuse_write(path) -> None:
    if isinstance(path, (str, bytes, os.PathLike)):
        full = os.path.realpath(os.fsdecode(path))
        if not full.startswith(ALLOWED):
            raise GuardedError(f"written outside ComfyUI's folders: {full}")


def _guard(event: str, args: tuple) -> None:
    if event == "open":
        path, mode, flags = args
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITES):
            _refuse_write(path)
    elif event in ("os.mkdir", "os.rmdir", "os.remove", "os.truncate"):
        _refuse_write(args[0])
    elif event in ("os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile"):
        _refuse_write(args[1])
    elif event == "socket.connect":
        address = args[1]
        if isinstance(address, tuple) and address[0] not in LOCAL:
            raise GuardedError(f"connected to {address}")
    elif event == "socket.getaddrinfo" and args[0] not in (*LOCAL, "0.0.0.0", socket.gethostname()):
        raise GuardedError(f"asked for the address of {args[0]}")
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        _refuse_program(args)


def _refuse_program(args: tuple) -> None:
    program = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else str(args[0])
    # the interpreter itself, and what tells platforms and compilers apart
    if os.path.basename(program) not in (os.path.basename(sys.executable), "uname", "ldconfig", "gcc", "cc", "lscpu"):
        raise GuardedError(f"started {program}")


sys.addaudithook(_guard)


class Trespass(io.ComfyNode):
    """Tries what is forbidden."""

    @classmethod
    def define_schema(cls):
        kinds = ["write", "connect", "name", "program"]
        return io.Schema(
            node_id="LikenessTestTrespass",
            category="testing",
            is_output_node=True,
            inputs=[io.Combo.Input("kind", options=kinds)],
            outputs=[io.String.Output()],
        )

    @classmethod
    def execute(cls, kind):
        if kind == "write":
            Path.home().joinpath("likeness-was-here").write_text("x")
        elif kind == "connect":
            socket.socket().connect(("192.0.2.1", 80))
        elif kind == "name":
            socket.getaddrinfo("example.org", 80)
        else:
            os.system("true")
        return io.NodeOutput(kind)


class GuardNodes(ComfyExtension):
    async def get_node_list(self):
        return [Trespass]


async def comfy_entrypoint():
    return GuardNodes()
