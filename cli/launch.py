"""What happens before the environment exists: find ComfyUI, install, start again inside (standard library only)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from . import comfyui, environment
from .errors import CommandError
from .home import CHECKOUT, speak_plainly

# Command, whether it needs the test extras, what it does.
COMMANDS: dict[str, tuple[bool, str]] = {
    "demo": (False, "swap a face between two photos in the real ComfyUI and write picture, contact sheet and report"),
    "run": (False, "run a workflow without a browser: run WORKFLOW.json [--set NODE.INPUT=VALUE] [--out DIR]"),
    "serve": (False, "start ComfyUI with this pack and open the browser"),
    "test": (True, "run the test suite; arguments go to pytest"),
    "lint": (True, "check style and types"),
    "bench": (False, "measure what is fast and good: bench [NAME ...]"),
    "sheets": (False, "draw what every expression slider does: sheets FOLDER [SLIDER ...]"),
    "perform": (False, "let portraits act through a round of expressions: perform FILE.webp [--portrait PHOTO]"),
    "parity": (False, "compare with reference results: parity DIR [--require NAME ...]"),
    "doctor": (False, "say what is installed, found and missing"),
    "fetch": (False, "download weights after you agree to their licence: fetch ID ..."),
}


def usage() -> str:
    """The text of --help."""
    lines = ["usage: ./likeness COMMAND [arguments]      (python likeness COMMAND on Windows)", ""]
    lines += [f"  {name:8}{text}" for name, (_, text) in COMMANDS.items()]
    lines += ["", "./likeness COMMAND --help explains a command. What is installed goes to $LIKENESS_HOME"]
    lines += ["(default: `likeness` in your cache folder) or into the active virtual environment. ComfyUI comes from"]
    lines += ["$COMFYUI_DIR, from around this pack when it lies in custom_nodes, or downloaded."]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run one command in a complete environment; its exit code comes back."""
    speak_plainly()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        print(f"There is no command {arguments[0]!r}.\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        comfy = comfyui.find_or_install(environment.pip_command)
        python = environment.prepare(comfy.requirements, testing=COMMANDS[arguments[0]][0])
    except CommandError as error:
        print(f"likeness: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nlikeness: stopped; what was installed so far is completed by the next run.", file=sys.stderr)
        return 130
    return _start(python, arguments)


def _start(python: Path, arguments: list[str]) -> int:
    """Become the command inside the environment (a child of it on Windows, whose exec would leave the terminal)."""
    reached = os.path.normpath(Path(os.environ.get("PWD") or os.getcwd(), sys.argv[0]).parent)
    os.environ.setdefault("LIKENESS_REACHED", reached)
    command = [str(python), str(CHECKOUT / "cli" / "__main__.py"), *arguments]
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.call(command)
