"""Hands a command line to the module of its command; each is imported only when it is asked for."""

from __future__ import annotations

import importlib
import logging
import os
import sys

from ..pipelines.errors import LikenessError
from .errors import CommandError
from .home import speak_plainly

MODULES = {
    "demo": "demo",
    "run": "run",
    "serve": "serve",
    "test": "testing",
    "lint": "lint",
    "bench": "bench",
    "sheets": "sheets",
    "perform": "perform",
    "parity": "parity",
    "doctor": "doctor",
    "fetch": "fetch",
}


def main(arguments: list[str]) -> int:
    """Run `arguments[0]` with the rest; errors become one message and an exit code."""
    speak_plainly()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        module = importlib.import_module(f".{MODULES[arguments[0]]}", __package__)
        return int(module.main(arguments[1:]))
    except CommandError as error:
        print(f"likeness {arguments[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except LikenessError as error:
        print(f"likeness {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # whoever read our output, as `head` does, has seen enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(f"\nlikeness {arguments[0]}: stopped.", file=sys.stderr)
        return 130
