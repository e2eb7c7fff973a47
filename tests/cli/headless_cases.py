"""Runs in a process of its own, ComfyUI's modules being one per process: python headless_cases.py COMFYUI BASE."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("likeness", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
assert spec is not None and spec.loader is not None
sys.modules["likeness"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["likeness"])

from likeness.cli import demo, run  # noqa: E402
from likeness.cli.comfyui import ComfyUI  # noqa: E402
from likeness.cli.errors import CommandError  # noqa: E402
from likeness.cli.headless import Headless  # noqa: E402

PROMPT: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "deep/er"}},
    "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    "4": {"class_type": "PreviewAny", "inputs": {"source": "a text"}},
}


def message(runner: Headless, prompt: dict[str, Any]) -> str:
    try:
        runner.run(prompt)
    except CommandError as error:
        return str(error)
    return "no error"


def interrupted(runner: Headless) -> bool:
    """Whether a running prompt ends when it is stopped the way ComfyUI's button stops it."""
    import comfy.model_management

    big = {"class_type": "EmptyImage", "inputs": {"width": 2048, "height": 2048, "batch_size": 4, "color": 1}}
    blur = {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 31, "sigma": 5.0}}
    prompt = {"1": big, "2": blur, "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}}

    def show(node_id: str, fraction: float, ended: bool) -> None:
        if node_id == "2":
            comfy.model_management.interrupt_current_processing()

    try:
        runner.run(prompt, show)
    except KeyboardInterrupt:
        return True
    return False


def cases(runner: Headless) -> dict[str, Any]:
    seen: list[tuple[str, float, bool]] = []
    first = runner.run(PROMPT, lambda *event: seen.append(event))
    again = runner.run(PROMPT)
    negative = {
        **PROMPT,
        "1": {**PROMPT["1"], "inputs": {**PROMPT["1"]["inputs"], "width": -1}, "_meta": {"title": "Blank"}},
    }
    faceless = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 128, "height": 128, "batch_size": 1, "color": 255}},
        "2": {"class_type": "LikenessLoadFaceAnalysis", "inputs": {"backend": "auto"}},
        "3": {
            "class_type": "LikenessBuildIdentity",
            "inputs": {"analysis": ["2", 0], "photos.photo0": ["1", 0], "pick": "largest", "threshold": 0.5,
                       "min_probability": 0.5, "name": "nobody", "consent": ""},
            "_meta": {"title": "Source person"},
        },
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 1]}},
    }  # fmt: skip
    return {
        "files": [[node, str(path), path.is_file()] for node, path in first.files],
        "texts": list(first.texts),
        "ended": sorted({node for node, _, ended in seen if ended}),
        "first_cached": sorted(first.cached),
        "again_cached": sorted(again.cached),
        "value": list(runner.value("1", 0).shape),
        "refused": message(runner, negative),
        "failed": message(runner, faceless),
        "works_after_errors": message(runner, PROMPT),
        "interrupted": interrupted(runner),
        "works_after_interrupt": message(runner, PROMPT),
        "has_ours": "LikenessSwapFaces" in runner.definitions,
    }


def main() -> None:
    comfy = ComfyUI(Path(sys.argv[1]), Path(sys.argv[2]), "the test")
    runner = Headless(comfy, comfy.base / "out", cpu=True)
    found = cases(runner)
    # A second start in the process would load ComfyUI twice: the commands get this one.
    for module in (run, demo):
        module.chosen_comfyui = lambda: comfy
        module.Headless = lambda *arguments: runner
    workflow = comfy.base / "flow.json"
    workflow.write_text(json.dumps(PROMPT), "utf-8")
    found["run"] = run.main([str(workflow), "--set", "1.width=96", "--out", str(comfy.base / "out")])
    found["previews"] = len(list((comfy.base / "out" / "previews").glob("*.png")))
    found["demo"] = demo.main(["--out", str(comfy.base / "demo"), "--cpu"])
    (comfy.base / "found.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
