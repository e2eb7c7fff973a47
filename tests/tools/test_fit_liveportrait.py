"""The tool that measures LivePortrait's directions: what it says, and what it asks for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.motion.channels import ARKIT_NAMES, INDEX
from likeness.pipelines.render.liveportrait.measuring import Measurement

TOOL = Path(__file__).resolve().parents[2] / "tools" / "fit_liveportrait.py"


def test_without_liveportrait_s_files_it_says_which_and_stops(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOL), "--models", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1 and "LivePortrait needs 5 file(s)" in run.stderr and "./likeness fetch" in run.stderr
    assert not list(tmp_path.iterdir())


def test_it_lists_channels_best_first_and_names_those_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(TOOL.parent), *sys.path])
    tool = importlib.import_module("fit_liveportrait")
    explained = np.full(len(ARKIT_NAMES), 0.7, np.float32)
    explained[INDEX["jawOpen"]], explained[INDEX["tongueOut"]] = 0.98, 0.1
    table = np.full((len(ARKIT_NAMES), 63), 0.01, np.float32)
    lines = tool.describe(Measurement(table, explained, np.array([0.9, 1.0, 1.1], np.float32))).splitlines()
    assert lines[1].split() == ["jawOpen", "0.98", "0.0100"]
    assert "left to the published dials: tongueOut." in lines[-4]
    assert lines[-2] == "A turn of 1 in yaw is read as 1.00 (1 is right)."
