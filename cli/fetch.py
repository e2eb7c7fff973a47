"""./likeness fetch: download known weights files after the user has agreed to the licence of each."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from ..pipelines.runtime import TorchRuntime
from ..pipelines.weights import Manifest, WeightsEntry, find
from .errors import CommandError, UsageError
from .home import locked, say
from .run import chosen_comfyui

BLOCK = 1 << 20
ROOM = 1.05
TIMEOUT_S = 60


def main(arguments: list[str]) -> int:
    """Run the command; 0 when every file asked for is there in the end."""
    options = _options(arguments)
    manifest = Manifest.load()
    models = (options.models or chosen_comfyui().base / "models").expanduser().absolute()
    runtime = TorchRuntime(model_folders={"": models})
    optional = [entry for entry in manifest.entries if not entry.embedded]
    if not options.ids:
        for entry in optional:
            say(f"{'+' if find(entry, runtime) else '-'} {entry.id:30}{entry.size_text:>12}  {entry.licence}")
        say(f"Fetch with: ./likeness fetch ID ...      (+ is present in {models})")
        return 0
    for entry in _with_needs(manifest, options.ids):
        present = find(entry, runtime)
        if present or entry.embedded:
            say(f"{entry.id} is there: {present or entry.file}")
            continue
        _show(entry, models)
        if not (options.accept_licence or _agreed()):
            raise CommandError(f"{entry.id} was not fetched: its licence was not agreed to.")
        with locked("fetch"):
            path = download(entry, models / entry.folder, entry.urls)
        say(f"  wrote {path}")
    return 0


def download(entry: WeightsEntry, folder: Path, urls: Sequence[str]) -> Path:
    """Fetch a file from the first address that has it; it appears under its name only when its sha256 is right.

    Raises CommandError, with what each address answered, when none of them gives the file.
    """
    if entry.sha256 is None:
        raise CommandError(
            f"{entry.id} has no known sha256, so a download could not be checked. "
            f"Get {entry.file} from its publisher ({', '.join(urls) or entry.source}) and put it into {folder}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < (entry.size_bytes or 0) * ROOM:
        raise CommandError(f"{entry.file} needs {entry.size_text}, but only {free / 1e6:.0f} MB are free in {folder}.")
    partial = folder / f"{entry.file}.partial"
    answers: list[str] = []
    for url in urls:
        try:
            digest = _receive(url, partial, entry)
        except (OSError, urllib.error.URLError) as error:
            answers.append(f"  {url}: {error}")
            continue
        if digest == entry.sha256:
            partial.replace(folder / entry.file)
            return folder / entry.file
        answers.append(f"  {url}: another file, with sha256 {digest}, expected {entry.sha256}")
    partial.unlink(missing_ok=True)
    raise CommandError(
        f"{entry.file} could not be fetched:\n" + "\n".join(answers or ["  no address is known"]) + "\n"
        f"Get it yourself and put it into {folder}; it is recognised by its content."
    )


def _receive(url: str, partial: Path, entry: WeightsEntry) -> str:
    """Write the answer of `url` to `partial`; its sha256 comes back."""
    if not url.startswith(("https://", "file://")):
        raise OSError("not fetched over an unprotected connection")
    digest, received = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "ComfyUI-Likeness"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, partial.open("wb") as file:
        while block := answer.read(BLOCK):
            received += len(block)
            if entry.size_bytes is not None and received > entry.size_bytes:
                raise OSError(f"gave more than the {entry.size_bytes} bytes the file has")
            digest.update(block)
            file.write(block)
            if sys.stdout.isatty():
                print(f"\r  {received / 1e6:.0f} of {entry.size_text}", end="", flush=True)
    if sys.stdout.isatty():
        print()
    return digest.hexdigest()


def _with_needs(manifest: Manifest, ids: Sequence[str]) -> list[WeightsEntry]:
    """The entries asked for and those they are useless without, each once."""
    found: dict[str, WeightsEntry] = {}
    waiting = list(ids)
    known = {entry.id for entry in manifest.entries}
    while waiting:
        name = waiting.pop(0)
        if name not in known:
            raise UsageError(f"There are no weights {name!r}; ./likeness fetch lists what there is.")
        if name not in found:
            found[name] = manifest.entry(name)
            waiting += found[name].needs
    return list(found.values())


def _show(entry: WeightsEntry, models: Path) -> None:
    say(f"\n{entry.id}: {entry.file}, {entry.size_text}, goes to {models / entry.folder}")
    say(f"  licence         {entry.licence}")
    say(f"  commercial use  {entry.commercial_use}")
    if entry.territory:
        say(f"  not allowed in  {entry.territory}")
    say(f"  from            {' or '.join(entry.urls)}")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on. Read the licence and add --accept-licence.")
    return input("Do you agree to this licence? Type yes: ").strip().lower() == "yes"


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./likeness fetch", description="Downloads weights files of the manifest; without an ID lists them."
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="which files")
    parser.add_argument("--accept-licence", action="store_true", help="you have read the licences and agree")
    parser.add_argument("--models", type=Path, metavar="DIR", help="ComfyUI's models folder (default: the one found)")
    return parser.parse_args(arguments)
