"""./likeness demo: the shared workflow on two public-domain portraits, in the real ComfyUI, measured."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..benchmarks.figure import Figure, table
from ..benchmarks.swap_quality import measure_pair
from ..pipelines.doctor.providers import device_text
from ..pipelines.face import Face, FloatArray
from ..pipelines.identity.analysis import FaceAnalysis
from ..pipelines.identity.backends import load_embedded_analysis
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from .comfyui import ComfyUI
from .contact_sheet import Panel, contact_sheet
from .errors import CommandError
from .headless import Headless
from .home import CHECKOUT, say
from .outcome import title_of
from .run import chosen_comfyui, run_shown
from .workflow import Prompt, load_workflow, to_prompt

WORKFLOW = CHECKOUT / "example_workflows" / "swap_a_face.json"


@dataclass(frozen=True)
class Ran:
    """What running the workflow gave."""

    pictures: dict[str, Tensor]
    saved: Path
    seconds: dict[str, float]
    reports: dict[str, str]


def main(arguments: list[str]) -> int:
    """Run the command; 0 when every figure reaches its target."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    comfy = chosen_comfyui()
    ran = _run(comfy, options.out, options.cpu)
    say("Measuring the result with the embedded face analysis ...")
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    figures, distances = _measure(ran.pictures, analysis)
    files = {"result": ran.saved, "sheet": options.out / "likeness_demo_sheet.png"}
    files["report"] = options.out / "likeness_demo.json"
    contact_sheet([_panels(ran.pictures), _panels(_close(ran.pictures, analysis))]).save(files["sheet"])
    record = {
        "figures": [asdict(figure) | {"ok": figure.ok} for figure in figures],
        "distances": distances,
        "seconds": ran.seconds,
        "device": "CPU (asked for)" if options.cpu else device_text(),
        "reports": ran.reports,
        "files": {name: str(path) for name, path in files.items()},
        "comfyui": {"version": comfy.version, "folder": str(comfy.folder), "found": comfy.source},
    }
    files["report"].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _print(figures, record)
    return 0 if all(figure.ok for figure in figures) else 1


def _run(comfy: ComfyUI, out: Path, cpu: bool) -> Ran:
    """Run the workflow; its saved picture is copied to `out`."""
    say(f"Starting ComfyUI {comfy.version} ({comfy.source}) without its server ...")
    began = time.perf_counter()
    scratch = Path(tempfile.mkdtemp(prefix="likeness-demo-"))
    runner = Headless(comfy, scratch, cpu)
    try:
        seconds = {"start of ComfyUI": round(time.perf_counter() - began, 2)}
        prompt = to_prompt(load_workflow(WORKFLOW), runner.definitions)
        say(f"Running {WORKFLOW.relative_to(CHECKOUT)}")
        outcome = run_shown(runner, prompt)
        saved = [path for node_id, path in outcome.files if prompt[node_id]["class_type"] == "SaveImage"]
        if not saved:
            raise CommandError(f"{WORKFLOW.name} saved no picture: its Save Image node did not run.")
        kept = Path(shutil.copyfile(saved[0], out / "likeness_demo.png"))
        seconds |= {title_of(prompt, node_id): round(spent, 3) for node_id, spent in outcome.seconds.items()}
        reports = {title_of(prompt, node_id): text for node_id, text in outcome.texts}
        return Ran(_pictures(runner, prompt), kept, seconds, reports)
    finally:
        runner.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _pictures(runner: Headless, prompt: Prompt) -> dict[str, Tensor]:
    """Source, target, result (1, H, W, 3) and mask (1, H, W) as they went over the workflow's wires."""
    swap = _node(prompt, "class_type", "LikenessSwapFaces")
    wires = {
        "source": (_node(prompt, "title", "Source photo"), 0),
        "target": (_node(prompt, "title", "Target photo"), 0),
        "result": (swap, 0),
        "mask": (swap, 1),
    }
    tensors = {name: runner.value(*wire).float().cpu() for name, wire in wires.items()}
    return {name: tensor if name == "mask" else tensor[..., :3] for name, tensor in tensors.items()}


def _node(prompt: Prompt, key: str, wanted: str) -> str:
    for node_id, node in prompt.items():
        if (node["class_type"] if key == "class_type" else node["_meta"]["title"]) == wanted:
            return node_id
    raise CommandError(f"{WORKFLOW.name} has no node whose {key} is {wanted!r}; the demo needs it to find the picture.")


def _panels(pictures: dict[str, Tensor]) -> list[Panel]:
    words = {"source": "whose face", "target": "where it goes", "result": "swapped", "mask": "white: what may change"}
    return [(name.capitalize(), words[name], picture[0]) for name, picture in pictures.items()]


def _close(pictures: dict[str, Tensor], analysis: FaceAnalysis) -> dict[str, Tensor]:
    """The faces alone: target, result and mask cut at the same place."""
    boxes = {name: _largest(analysis, pictures[name]).bbox_xyxy for name in ("source", "target")}
    return {name: _cut(picture, boxes.get(name, boxes["target"])) for name, picture in pictures.items()}


def _cut(picture: Tensor, bbox_xyxy: FloatArray) -> Tensor:
    """A square of 1.5 times the face (B, side, side, ...), moved inside the picture."""
    x0, y0, x1, y1 = (float(value) for value in bbox_xyxy)
    height, width = picture.shape[1:3]
    side = min(round(1.5 * max(x1 - x0, y1 - y0)), height, width)
    left = min(max(round((x0 + x1 - side) / 2), 0), width - side)
    top = min(max(round((y0 + y1 - side) / 2), 0), height - side)
    return picture[:, top : top + side, left : left + side]


def _measure(pictures: dict[str, Tensor], analysis: FaceAnalysis) -> tuple[list[Figure], dict[str, float]]:
    source, target, result = (pictures[name] for name in ("source", "target", "result"))
    figures = measure_pair(analysis, source, target, result, pictures["mask"])
    recogniser = analysis.recogniser
    vector = {
        name: recogniser.embed(picture, [(0, _largest(analysis, picture))])[0]
        for name, picture in (("source", source), ("target", target), ("result", result))
    }
    pairs = {
        "to source": ("result", "source"),
        "to target": ("result", "target"),
        "source to target, unswapped": ("source", "target"),
    }
    return figures, {name: round(float(recogniser.distance(vector[a], vector[b])), 4) for name, (a, b) in pairs.items()}


def _largest(analysis: FaceAnalysis, picture: Tensor) -> Face:
    faces = analysis.detect(picture)
    faces.require_any("The demo")
    return faces.frames[0][0]


def _print(figures: list[Figure], record: dict[str, Any]) -> None:
    print("\nWhat the nodes say")
    for title, text in record["reports"].items():
        print(f"  {title}\n    " + text.strip().replace("\n", "\n    "))
    print(f"\nTime of each step, on {record['device']}")
    for title, spent in record["seconds"].items():
        print(f"  {spent:8.2f} s  {title}")
    print("\nIdentity distance of the result (same person below 0.56)")
    for title, distance in record["distances"].items():
        print(f"  {distance:8.3f}    {title}")
    print("\n" + table(figures))
    print("\nWritten")
    for name, path in record["files"].items():
        print(f"  {name:8}{path}")
    short = [figure.name for figure in figures if not figure.ok]
    print(f"\nFalls short: {'; '.join(short)}" if short else "\nAll figures reach their targets.")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./likeness demo", description="Swaps a face, headless, and measures the result."
    )
    parser.add_argument("--out", type=Path, default=CHECKOUT / "output", metavar="DIR", help="default: output/ here")
    parser.add_argument("--cpu", action="store_true", help="use no GPU")
    return parser.parse_args(arguments)
