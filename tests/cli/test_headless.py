"""The real ComfyUI runs prompts without its server: outputs, cache, errors, stop; then the commands on top of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from likeness.tests.comfyui_server import comfyui_folder


class Ran:
    def __init__(self, base: Path) -> None:
        self.base = base
        cases = Path(__file__).with_name("headless_cases.py")
        self.process = subprocess.run(
            [sys.executable, str(cases), str(comfyui_folder()), str(base)],
            capture_output=True, text=True, encoding="utf-8", timeout=600, cwd=base,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert self.process.returncode == 0, self.process.stdout[-3000:] + self.process.stderr[-6000:]
        self.found: dict[str, Any] = json.loads((base / "found.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("headless"))


def test_files_and_texts_come_back_by_node(ran: Ran) -> None:
    saved, previewed = ran.found["files"]
    assert saved[0] == "2" and Path(saved[1]) == ran.base / "out" / "deep" / "er_00001_.png" and saved[2]
    assert previewed[0] == "3" and previewed[2]
    assert ran.found["texts"] == [["4", "a text"]]


def test_every_node_reports_its_end(ran: Ran) -> None:
    assert ran.found["ended"] == ["1", "2", "3", "4"]


def test_second_run_takes_everything_from_the_cache(ran: Ran) -> None:
    assert ran.found["first_cached"] == []
    assert ran.found["again_cached"] == ["1", "2", "3", "4"]


def test_values_on_the_wires_can_be_read(ran: Ran) -> None:
    assert ran.found["value"] == [1, 32, 64, 3]


def test_refused_prompt_names_node_input_and_limit(ran: Ran) -> None:
    assert "Blank (node 1): Value -1 smaller than min of 1: width" in ran.found["refused"]


def test_failing_node_gives_its_title_and_message_without_a_trace(ran: Ran) -> None:
    assert ran.found["failed"].startswith("Source person (node 3): ")
    assert "face" in ran.found["failed"] and "Traceback" not in ran.found["failed"]
    assert "File " not in ran.found["failed"]


def test_runner_works_after_errors_and_after_a_stop(ran: Ran) -> None:
    assert ran.found["works_after_errors"] == "no error"
    assert ran.found["interrupted"] is True
    assert ran.found["works_after_interrupt"] == "no error"


def test_run_command_applies_settings_and_says_what_it_wrote(ran: Ran) -> None:
    assert ran.found["run"] == 0
    assert "SaveImage (node 2): " in ran.process.stdout and "deep" in ran.process.stdout
    assert ran.found["previews"] == 1


def test_demo_reaches_its_figures_and_writes_picture_sheet_and_report(ran: Ran) -> None:
    report = json.loads((ran.base / "demo" / "likeness_demo.json").read_text("utf-8"))
    short = [(figure["name"], figure["value"], figure["target"]) for figure in report["figures"] if not figure["ok"]]
    assert ran.found["demo"] == 0, short
    assert report["distances"]["to source"] <= 0.40 < report["distances"]["to target"]
    assert {"start of ComfyUI"} < set(report["seconds"])
    for name in ("result", "sheet", "report"):
        assert Path(report["files"][name]).stat().st_size > 1000 or name == "report"
