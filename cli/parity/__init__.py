"""./likeness parity DIR [--require NAME ...]: compare with the reference results in a folder."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from safetensors import SafetensorError

from ...pipelines.errors import LikenessError
from ..errors import CommandError
from ..run import chosen_comfyui
from . import adapters, alignment, embedded, lips, liveportrait
from .check import Check, Error

__all__ = ["CHECKS", "Check", "Error", "main"]

#: Every comparison there is, by the name of its reference file. A new method adds its module and one entry.
CHECKS: tuple[Check, ...] = (embedded.CHECK, alignment.CHECK, *adapters.CHECKS, liveportrait.CHECK, *lips.CHECKS)
#: Those that load ComfyUI into this process, for they compare its models.
INSIDE_COMFYUI = frozenset(check.name for check in adapters.MODELS)


def main(argv: list[str]) -> int:
    """Print the error of each quantity beside its tolerance. Returns 1 when one fails or a required one is missing."""
    parser = argparse.ArgumentParser(prog="likeness parity", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with reference files (.safetensors)")
    parser.add_argument("--require", nargs="+", default=[], metavar="NAME", help="names that must be there and pass")
    options = parser.parse_args(argv)
    if not options.folder.is_dir():
        raise CommandError(
            f"{options.folder} is no folder. Name the folder that holds the reference .safetensors files."
        )
    files = {path.stem: path for path in sorted(options.folder.glob("*.safetensors"))}
    if not files and not options.require:
        raise CommandError(f"{options.folder} has no .safetensors file, so there is nothing to compare with.")
    return _compare(files, options.require)


def _compare(files: dict[str, Path], required: list[str]) -> int:
    checks = {check.name: check for check in CHECKS}
    if INSIDE_COMFYUI & files.keys():
        os.environ["COMFYUI_DIR"] = str(chosen_comfyui().folder)
    problems: list[str] = []
    for name, path in files.items():
        if name in checks and not _run(checks[name], path):
            problems.append(f"{name}: differs from the reference")
    unbuilt = [name for name in files if name not in checks]
    if unbuilt:
        print(f"Not built yet, so not compared ({len(unbuilt)}): {', '.join(unbuilt)}")
    problems.extend(f"{name}: required, but its method is not built yet" for name in required if name not in checks)
    missing = [name for name in required if name in checks and name not in files]
    problems.extend(f"{name}: required, but there is no {name}.safetensors" for name in missing)
    for problem in problems:
        print(f"FAILED  {problem}")
    print(f"{len(files) - len(unbuilt)} of {len(files)} file(s) compared, {len(problems)} problem(s).")
    return 1 if problems else 0


def _run(check: Check, path: Path) -> bool:
    """Run one check and print its errors. False when one is out of tolerance or nothing could be compared."""
    print(f"{check.name}: {check.compares}")
    try:
        errors = check.run(path)
    except (KeyError, OSError, SafetensorError, LikenessError) as error:
        print(f"  could not be compared: {type(error).__name__}: {error}")
        return False
    for error in errors:
        verdict = "ok" if error.passed else "FAILED"
        print(f"  {error.quantity:<48} {error.error:10.3g}  at most {error.tolerance:g}  {verdict}")
    if not errors:
        print("  holds nothing that could be compared")
    return bool(errors) and all(error.passed for error in errors)
