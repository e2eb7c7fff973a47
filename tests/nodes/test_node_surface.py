"""What users depend on of the nodes, and the texts that go with them."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from likeness.tests.comfyui_server import ROOT, comfyui_folder

CASES = Path(__file__).with_name("schema_cases.py")
NAMES = [
    node.name
    for file in (CASES, CASES.with_name("protection_cases.py"), CASES.with_name("statement_cases.py"))
    for node in ast.parse(file.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("case_")
]
SURFACE = json.loads((ROOT / "tests" / "node_surface.json").read_text(encoding="utf-8"))


def test_snapshot_locale_and_readme_table_are_what_the_schemas_say() -> None:
    command = [sys.executable, str(ROOT / "tools" / "node_surface.py")]
    environment = os.environ | {"COMFYUI_DIR": str(comfyui_folder())}
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert run.returncode == 0, (
        f"{run.stdout}{run.stderr}\n"
        "If the change is wanted, run `python tools/node_surface.py --refresh` and read the difference."
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    command = [sys.executable, str(CASES), str(comfyui_folder()), str(tmp_path_factory.mktemp("comfyui"))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.removeprefix("case_"))
def test_inside_comfyui(results: dict[str, str], name: str) -> None:
    assert results[name] == "", results[name]


@pytest.mark.parametrize("node_id", SURFACE)
def test_a_help_page_explains_every_input_of_its_node(node_id: str) -> None:
    page = (ROOT / "web" / "docs" / f"{node_id}.md").read_text(encoding="utf-8")
    assert page.startswith("# ")
    inputs = [*SURFACE[node_id]["inputs"]["required"], *SURFACE[node_id]["inputs"]["optional"]]
    assert [name for name in inputs if f"**{name}**" not in page] == []


def test_there_is_no_help_page_without_a_node() -> None:
    assert {path.stem for path in (ROOT / "web" / "docs").glob("*.md")} == set(SURFACE)
