"""The README shows how to get every weight that an adapter needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from likeness.pipelines.weights import Manifest

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_in_the_readme_is_the_manifest_s() -> None:
    command = [sys.executable, str(ROOT / "tools" / "weights_table.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, f"{run.stdout}{run.stderr}\nRun `python tools/weights_table.py --refresh`."


def test_every_file_of_the_adapter_nodes_is_in_the_readme_with_size_folder_and_licence() -> None:
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for entry in Manifest.load().entries:
        if not entry.embedded and any("Adapter" in node or "Control" in node for node in entry.used_by):
            shown = [row for row in rows if f"`{entry.file}`" in row and f"`{entry.folder}`" in row]
            assert len(shown) == 1, entry.id
            assert entry.size_text in shown[0] and entry.licence in shown[0] and entry.urls[0] in shown[0]
            assert f"./likeness fetch {entry.id}`" in shown[0]
