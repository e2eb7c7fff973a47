"""The whole examination as data, and as the text that people read."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..registry import Registry
from ..weights import ROOT
from .capabilities import capabilities
from .files import embedded_problems, oddities, weights_state
from .packs import conflicts
from .providers import device_text, onnxruntime_state, version_of

REQUIRED = (
    *("torch", "torchvision", "torchaudio", "numpy", "safetensors", "kornia", "scipy", "av", "pillow"),
    "comfyui-frontend-package",
)
#: Optional package -> what it is for.
OPTIONAL = {
    "onnxruntime": "insightface's recognisers, ONNX swappers and restorers",
    "onnxruntime-gpu": "the same on NVIDIA cards",
    "insightface": "the face analyses antelopev2 and buffalo_l",
}


def examine(
    registry: Registry, custom_nodes: Sequence[Path], comfyui: dict[str, str], check_contents: bool
) -> dict[str, Any]:
    """Examine an installation; everything in the answer can be written as JSON.

    registry: knows manifest and model folders. custom_nodes: the folders that packs lie in. comfyui: what is
    known of the host, by name. check_contents: compare the sha256 of every weights file, not only its size. In the
    answer, `problems` keep the pack from working as it should; `notes` are worth tidying.
    """
    manifest, runtime = registry.manifest, registry.runtime
    packages = {name: version_of(name) for name in REQUIRED}
    weights = weights_state(manifest, runtime, check_contents)
    can = capabilities(registry)
    onnxruntime = onnxruntime_state()
    problems = [f"the package {name} is not installed" for name, version in packages.items() if version is None]
    problems += embedded_problems(manifest, runtime)
    problems += [item["problem"] for item in weights.values() if item.get("problem")]
    problems += [
        f"cannot {name}: {item['choice']}"
        for name, item in can.items()
        if item["works"] is False and item["choice"] not in problems
    ]
    if onnxruntime["version"] and onnxruntime["problem"]:
        problems.append(onnxruntime["problem"])
    models = runtime.model_folders("")
    return {
        "likeness": __version__,
        "folder": str(ROOT),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "comfyui": comfyui,
        "models": [str(path) for path in models],
        "free_disk_gb": round(shutil.disk_usage(_existing(models[0] if models else ROOT)).free / 1e9, 1),
        "device": device_text(),
        "packages": packages,
        "optional": {name: {"version": version_of(name), "for": purpose} for name, purpose in OPTIONAL.items()},
        "onnxruntime": onnxruntime,
        "capabilities": can,
        "weights": weights,
        "contents_checked": check_contents,
        "conflicts": [line for folder in custom_nodes for line in conflicts(folder, ROOT)],
        "notes": oddities(manifest, runtime, check_contents),
        "problems": problems,
    }


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
