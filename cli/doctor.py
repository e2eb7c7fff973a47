"""./likeness doctor: what is installed, what was found, what is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from ..pipelines import __version__
from ..pipelines.errors import LikenessError
from ..pipelines.runtime import TorchRuntime
from ..pipelines.weights import Manifest, WeightsEntry, find, verify
from .comfyui import ComfyUI
from .home import CHECKOUT, home
from .run import chosen_comfyui

# Optional package -> what it is for.
OPTIONAL = {
    "onnxruntime": "insightface recognisers and ONNX swappers",
    "onnxruntime-gpu": "the same on NVIDIA cards",
    "insightface": "comparison with the reference implementation",
    "matplotlib": "nothing in the nodes",
    "playwright": "browser tests",
}
REQUIRED = (
    "torch",
    "torchvision",
    "torchaudio",
    "numpy",
    "safetensors",
    "kornia",
    "av",
    "pillow",
    "comfyui-frontend-package",
)


def main(arguments: list[str]) -> int:
    """Run the command; 1 when something the pack cannot do without is wrong."""
    parser = argparse.ArgumentParser(prog="./likeness doctor", description="Says what is installed, found and missing.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(arguments)
    found = examine(chosen_comfyui())
    print(json.dumps(found, indent=2) if options.json else "\n".join(_lines(found)))
    return 1 if found["problems"] else 0


def examine(comfy: ComfyUI) -> dict[str, Any]:
    """Everything the command reports; `problems` lists what keeps the pack from working."""
    manifest = Manifest.load()
    packages = {name: _version(name) for name in REQUIRED}
    embedded = {entry.id: _embedded(entry) for entry in manifest.entries if entry.embedded}
    runtime = TorchRuntime(model_folders={"": comfy.base / "models"})
    weights = {entry.id: _weights(entry, runtime) for entry in manifest.entries if not entry.embedded}
    problems = [f"the package {name} is not installed" for name, version in packages.items() if version is None]
    problems += [f"{name}: {state}" for name, state in embedded.items() if state != "ok"]
    problems += [f"{name}: {state['problem']}" for name, state in weights.items() if state.get("problem")]
    return {
        "likeness": __version__,
        "checkout": str(CHECKOUT),
        "home": str(home()),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "comfyui": {
            "version": comfy.version,
            "folder": str(comfy.folder),
            "found": comfy.source,
            "base": str(comfy.base),
        },
        "device": device_text(),
        "free_disk_gb": round(shutil.disk_usage(home() if home().exists() else CHECKOUT).free / 1e9, 1),
        "packages": packages,
        "optional": {name: {"version": _version(name), "for": purpose} for name, purpose in OPTIONAL.items()},
        "onnxruntime_providers": _providers(),
        "embedded": embedded,
        "weights": weights,
        "problems": problems,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def device_text() -> str:
    """The device that torch computes on, in words."""
    import torch

    if torch.cuda.is_available():
        name, total = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
        return f"{name}, {total / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    if torch.backends.mps.is_available():
        return "Apple GPU (MPS)"
    return f"CPU, {torch.get_num_threads()} threads"


def _providers() -> list[str]:
    if _version("onnxruntime") is None and _version("onnxruntime-gpu") is None:
        return []
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def _embedded(entry: WeightsEntry) -> str:
    path = CHECKOUT / entry.folder / entry.file
    if not path.is_file():
        return f"{path} is missing; restore it with: git checkout {entry.folder}/{entry.file}"
    try:
        verify(entry, path)
    except LikenessError as error:
        return str(error)
    return "ok"


def _weights(entry: WeightsEntry, runtime: TorchRuntime) -> dict[str, Any]:
    """Where an optional file is. Its hash is not computed: such files have gigabytes, and loading checks them."""
    about = {"file": f"{entry.folder}/{entry.file}", "size": entry.size_text, "licence": entry.licence}
    try:
        path = find(entry, runtime)
    except LikenessError as error:
        return about | {"path": None, "problem": str(error)}
    return about | {"path": str(path) if path else None}


def _lines(found: dict[str, Any]) -> list[str]:
    comfy = found["comfyui"]
    lines = [
        f"Likeness   {found['likeness']} in {found['checkout']}",
        f"Python     {found['python']} on {found['system']}",
        f"ComfyUI    {comfy['version']} in {comfy['folder']} ({comfy['found']})",
        f"Models     {Path(comfy['base']) / 'models'}",
        f"Device     {found['device']}",
        f"Home       {found['home']} ({found['free_disk_gb']} GB free)",
        "Packages   " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in found["packages"].items()),
        "Optional",
    ]
    for name, item in found["optional"].items():
        lines.append(f"  {name:18}{item['version'] or 'not installed':16}{item['for']}")
    if found["onnxruntime_providers"]:
        lines.append(f"  onnxruntime runs on: {', '.join(found['onnxruntime_providers'])}")
    whole = sum(state == "ok" for state in found["embedded"].values())
    lines.append(f"Embedded models: {whole} of {len(found['embedded'])} present with the right sha256")
    present = {name: item for name, item in found["weights"].items() if item["path"]}
    lines.append(f"Your weights: {len(present)} of {len(found['weights'])} known files present")
    lines += [f"  {'+' if item['path'] else '-'} {name:30}{item['size']:>12}  {item['path'] or item['file']}"
              for name, item in found["weights"].items()]  # fmt: skip
    problems = [f"PROBLEM: {problem}" for problem in found["problems"]]
    return [*lines, *(problems or ["No problems found."])]
