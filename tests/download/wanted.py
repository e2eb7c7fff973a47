"""A small known file, and how the tests fetch it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from likeness.pipelines.download.fetch import fetch
from likeness.pipelines.download.terms import terms
from likeness.pipelines.download.transfer import Patience
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest, WeightsEntry
from likeness.tests.download.file_server import sha256

CONTENT = random.Random(1).randbytes(300_000)
PLACE = "/swappers/a.onnx"
QUICK = Patience(timeout_s=0.4, tries=3, pause_s=0.01)


def entry_of(content: bytes = CONTENT, **changes: object) -> WeightsEntry:
    fields: dict[str, object] = {
        "id": "a", "file": "a.onnx", "folder": "swappers", "aliases": (), "urls": (), "size_bytes": len(content),
        "sha256": sha256(content), "licence": "research only", "commercial_use": "no", "territory": "", "needs": (),
        "used_by": ("Node",), "embedded": False, "source": "drawn in the test",
    }  # fmt: skip
    return WeightsEntry(**{**fields, **changes})


def bring(entry: WeightsEntry, runtime: TorchRuntime, report: Any = None) -> Path:
    seen = report or (lambda done, total: None)
    return fetch(entry, Manifest((entry,)), runtime, terms(entry), seen, QUICK)


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
