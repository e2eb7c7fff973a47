"""./likeness fetch: download known weights files after the user has agreed to the licence of each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..pipelines.download.fetch import addresses, fetch
from ..pipelines.download.terms import Published, check_can_fetch, named, present, size_text, terms, with_needs
from ..pipelines.errors import InputError
from ..pipelines.runtime import TorchRuntime
from ..pipelines.weights import Manifest, WeightsEntry, target
from .errors import CommandError, UsageError
from .home import say
from .model_folders import runtime_of
from .run import chosen_comfyui


def main(arguments: list[str]) -> int:
    """Run the command; 0 when every file asked for is there in the end."""
    options = _options(arguments)
    manifest = Manifest.load()
    runtime = TorchRuntime(model_folders={"": options.models}) if options.models else runtime_of(chosen_comfyui())
    if not options.ids:
        _list(manifest, runtime)
        return 0
    try:
        wanted = with_needs(manifest, options.ids)
        for weights_id in options.ids:
            check_can_fetch(named(manifest, weights_id))
    except InputError as error:
        raise UsageError(f"{error} ./likeness fetch lists what there is.") from error
    missing = _missing(wanted, manifest, runtime)
    agreed = _agreements(missing, runtime, options.accept)
    for one in missing:
        say(f"\nFetching {one.file} ...")
        path = fetch(one, manifest, runtime, agreed[one.id], _Progress(one))
        say(f"  wrote {path}")
    return 0


class _Progress:
    """One line on the terminal; nothing where there is none, so that logs stay short."""

    def __init__(self, one: Published) -> None:
        self._size = size_text(one)
        self._shown = -1

    def __call__(self, done: int, total: int | None) -> None:
        if sys.stdout.isatty() and done // 1_000_000 != self._shown:
            self._shown = done // 1_000_000
            end = "\n" if done == total else ""
            print(f"\r  {done / 1e6:.0f} MB of {self._size}  ", end=end, flush=True)


def _list(manifest: Manifest, runtime: TorchRuntime) -> None:
    for one in (*manifest.archives, *(entry for entry in manifest.entries if not entry.embedded)):
        mark = "+" if present(one, manifest, runtime) else "-"
        say(f"{mark} {one.id:34}{size_text(one):>14}  {one.licence}")
    say("Fetch with: ./likeness fetch ID ...      (+ is present)")


def _missing(wanted: Sequence[Published], manifest: Manifest, runtime: TorchRuntime) -> list[Published]:
    missing: list[Published] = []
    for one in wanted:
        there = isinstance(one, WeightsEntry) and one.embedded
        path = None if there else present(one, manifest, runtime)
        if there or path:
            say(f"{one.id} is there: {path or one.file}")
        else:
            missing.append(one)
    return missing


def _agreements(missing: Sequence[Published], runtime: TorchRuntime, accept: bool) -> dict[str, str]:
    """Id -> the terms agreed to; every licence is shown with its files and asked for once."""
    by_terms: dict[str, list[Published]] = {}
    for one in missing:
        by_terms.setdefault(terms(one), []).append(one)
    for text, files in by_terms.items():
        for one in files:
            say(f"\n{one.id}: {size_text(one)}, goes to {target(one, runtime)}")
            say(f"  from     {' or '.join(url for url, _ in addresses(one))}")
            if one.sha256 is None:
                say("  its publisher states no hash: that of this download is recorded and checked ever after")
        say(f"  licence  {text}")
        if not (accept or _agreed()):
            raise CommandError(f"{', '.join(one.id for one in files)} not fetched: the licence was not agreed to.")
    return {one.id: text for text, files in by_terms.items() for one in files}


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on. Read the licence above and add --accept to agree to it.")
    return input("Do you agree to this licence? Type yes: ").strip().lower() == "yes"


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./likeness fetch",
        description="Downloads weights files of the manifest; without an ID lists them. An interrupted download "
        "goes on where it stopped. LIKENESS_MIRROR: copies of a models folder to look in first (BASE/folder/file); "
        "HF_ENDPOINT: another address for huggingface.co; https_proxy: a proxy.",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="which files or archives")
    parser.add_argument(
        "--accept", "--accept-licence", action="store_true", help="you have read the licences and agree (for scripts)"
    )
    parser.add_argument("--models", type=_folder, metavar="DIR", help="a models folder (default: ComfyUI's)")
    return parser.parse_args(arguments)


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()
