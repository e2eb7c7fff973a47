"""./likeness doctor: what is installed, what it can do, what is missing or in the way."""

from __future__ import annotations

import argparse
import json

from ..pipelines.doctor.checkup import examine
from ..pipelines.doctor.text import as_text
from ..pipelines.registry import Registry
from .home import home
from .model_folders import runtime_of
from .run import chosen_comfyui


def main(arguments: list[str]) -> int:
    """Run the command; 1 when something keeps the pack from working as it should."""
    parser = argparse.ArgumentParser(
        prog="./likeness doctor", description="Says what is installed, what it can do, and what is missing."
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--quick", action="store_true", help="compare the sizes of weights files, not their contents")
    options = parser.parse_args(arguments)
    comfy = chosen_comfyui()
    host = {"version": comfy.version, "in": str(comfy.folder), "found as": comfy.source, "launcher's home": str(home())}
    registry = Registry(runtime_of(comfy))
    found = examine(registry, [comfy.base / "custom_nodes"], host, check_contents=not options.quick)
    print(json.dumps(found, indent=2) if options.json else as_text(found))
    return 1 if found["problems"] else 0
