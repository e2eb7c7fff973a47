"""./likeness run: a workflow, with values set from the command line, in the real ComfyUI without a browser."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from pathlib import Path

from . import comfyui
from .comfyui import ComfyUI
from .errors import CommandError
from .headless import Headless
from .outcome import Outcome, title_of
from .progress import Bar
from .settings import apply_settings
from .workflow import Prompt, load_workflow, to_prompt


def main(arguments: list[str]) -> int:
    """Run the command; 0 when every output was made."""
    options = _options(arguments)
    logging.getLogger().setLevel(logging.INFO if options.verbose else logging.WARNING)
    workflow = load_workflow(options.workflow)
    began = time.perf_counter()
    runner = Headless(chosen_comfyui(), options.out, options.cpu)
    try:
        prompt = to_prompt(workflow, runner.definitions)
        apply_settings(prompt, runner.definitions, options.set, runner.input)
        if options.save_api:
            options.save_api.write_text(json.dumps(prompt, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        outcome = run_shown(runner, prompt)
        report(prompt, keep_previews(outcome, options.out))
    finally:
        runner.close()
    print(f"done in {time.perf_counter() - began:.1f} s")
    return 0


def chosen_comfyui() -> ComfyUI:
    """The ComfyUI the launcher found or installed."""
    comfy = comfyui.find()
    if comfy is None:
        raise CommandError("No ComfyUI was found. Start through ./likeness, which gets one, or set COMFYUI_DIR.")
    return comfy


def run_shown(runner: Headless, prompt: Prompt) -> Outcome:
    """Run a prompt with its progress on the terminal."""
    bar = Bar(prompt)
    try:
        return runner.run(prompt, bar.show)
    finally:
        bar.end()


def keep_previews(outcome: Outcome, out: Path) -> tuple[tuple[str, Path], ...]:
    """Files by node; pictures that were only previewed are copied to `out`/previews before they are removed."""
    kept: list[tuple[str, Path]] = []
    for node_id, path in outcome.files:
        if not path.resolve().is_relative_to(out.resolve()) and path.parent.name == "temp":
            (out / "previews").mkdir(parents=True, exist_ok=True)
            path = Path(shutil.copy2(path, out / "previews" / path.name))
        kept.append((node_id, path))
    for node_id, text in outcome.texts:
        print(f"{node_id}: {text}")
    return tuple(kept)


def report(prompt: Prompt, files: tuple[tuple[str, Path], ...]) -> None:
    """Print what was written, by node."""
    for node_id, path in files:
        print(f"{title_of(prompt, node_id)}: {path}")
    if not files:
        print("The workflow wrote no files.")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./likeness run",
        description="Runs a workflow (as saved by ComfyUI, or its API form) with ComfyUI's own nodes and Likeness.",
        epilog="Exit code 0: done; 1: the workflow failed, its message names the node; 2: the command was wrong.",
    )
    parser.add_argument("workflow", type=Path, help="the workflow's .json file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NODE.INPUT=VALUE",
        help='change an input of a node, named by its title or id: --set "Load Image.image=me.jpg"; may be repeated',
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("output"), metavar="DIR", help="where pictures go (output)")
    parser.add_argument("--cpu", action="store_true", help="use no GPU")
    parser.add_argument("--save-api", type=Path, metavar="FILE", help="also write the API form that ran")
    parser.add_argument("--verbose", action="store_true", help="show ComfyUI's own log")
    return parser.parse_args(arguments)
