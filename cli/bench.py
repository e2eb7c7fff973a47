"""./likeness bench: measure, print each figure beside its target, fail where one falls short."""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import asdict
from pathlib import Path

from ..benchmarks.figure import Figure, table
from .errors import UsageError
from .home import CHECKOUT, say


def main(arguments: list[str]) -> int:
    """Run the command; 0 when every figure reaches its target."""
    import torch

    options = _options(arguments)
    # Ratios of one thread hold on machines with any number of cores.
    torch.set_num_threads(1)
    measured: dict[str, list[Figure]] = {}
    for name in options.names or names():
        say(f"\n{name}: measuring ...")
        measured[name] = measure(name)
        print(table(measured[name]))
    if options.json:
        record = {name: [asdict(figure) | {"ok": figure.ok} for figure in found] for name, found in measured.items()}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    short = [f"{name}: {figure.name}" for name, found in measured.items() for figure in found if not figure.ok]
    print(f"\n{'All figures reach their targets.' if not short else 'Falls short: ' + '; '.join(short)}")
    return 1 if short else 0


def names() -> list[str]:
    """The benchmarks there are: every file of benchmarks/ that defines measure()."""
    files = sorted((CHECKOUT / "benchmarks").glob("*.py"))
    return [path.stem for path in files if "\ndef measure()" in path.read_text(encoding="utf-8")]


def measure(name: str) -> list[Figure]:
    """The figures of one benchmark. Raises UsageError for a name there is none of."""
    if name not in names():
        raise UsageError(f"There is no benchmark {name!r}; there are: {', '.join(names())}.")
    return list(importlib.import_module(f"...benchmarks.{name}", __name__).measure())


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./likeness bench", description="Measures on one thread; ratios are taken within one run."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which benchmark (all: {', '.join(names())})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser.parse_args(arguments)
