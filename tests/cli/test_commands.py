"""The launcher's commands: what they print, where they fail, and with which exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from likeness.benchmarks.figure import Figure, table
from likeness.cli import bench, launch, perform, serve, sheets, testing
from likeness.cli import commands as inside
from likeness.cli.comfyui import ComfyUI
from likeness.cli.contact_sheet import contact_sheet
from likeness.cli.errors import UsageError
from likeness.cli.home import CHECKOUT
from likeness.pipelines.errors import InputError


def launcher(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHECKOUT / "likeness"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_launcher_explains_itself_without_installing_anything() -> None:
    done = launcher("--help")
    assert done.returncode == 0
    for command in launch.COMMANDS:
        assert f"\n  {command} " in done.stdout
    assert launcher().returncode == 2


def test_unknown_command_is_a_usage_error() -> None:
    done = launcher("swap")
    assert done.returncode == 2
    assert "There is no command 'swap'." in done.stderr


def test_every_command_of_the_launcher_has_a_module() -> None:
    assert set(inside.MODULES) == set(launch.COMMANDS)
    for name in inside.MODULES.values():
        assert (CHECKOUT / "cli" / f"{name}.py").is_file() or (CHECKOUT / "cli" / name / "__init__.py").is_file()


def test_wrong_workflow_ends_with_one_message_and_no_trace(tmp_path: Path) -> None:
    command = [sys.executable, str(CHECKOUT / "cli" / "__main__.py"), "run", str(tmp_path / "none.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == f"likeness run: There is no workflow file {tmp_path / 'none.json'}."


@pytest.mark.parametrize(
    ("figure", "ok"),
    [
        (Figure("a", 0.40, 0.40), True),
        (Figure("a", 0.41, 0.40), False),
        (Figure("a", 2.0, 2.0, at_most=False), True),
        (Figure("a", 1.9, 2.0, at_most=False), False),
        (Figure("a", float("nan"), 0.40), False),
        (Figure("a", float("nan"), 0.40, at_most=False), False),
        (Figure("a", 7.0), True),
    ],
)
def test_figure_reaches_its_target(figure: Figure, ok: bool) -> None:
    assert figure.ok is ok


def test_table_shows_value_target_and_verdict() -> None:
    lines = table([Figure("speed", 3.14159, 4.5, unit="x"), Figure("quality", 0.1, 0.2, at_most=False)]).splitlines()
    assert lines[1].split() == ["speed", "3.142", "x", "<=", "4.5", "x", "ok"]
    assert lines[2].split() == ["quality", "0.1", ">=", "0.2", "FALLS", "SHORT"]


def test_bench_fails_when_a_figure_falls_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"good": [Figure("a", 1.0, 2.0)], "bad": [Figure("b", 3.0, 2.0)]}
    monkeypatch.setattr(bench, "names", lambda: sorted(figures))
    monkeypatch.setattr(bench, "measure", lambda name: figures[name])
    assert bench.main(["good"]) == 0
    assert bench.main(["--json", str(tmp_path / "figures.json")]) == 1
    assert capsys.readouterr().out.endswith("Falls short: bad: b\n")
    assert json.loads((tmp_path / "figures.json").read_text("utf-8"))["bad"][0]["ok"] is False


def test_bench_lists_what_there_is() -> None:
    assert "swap" in bench.names() and "figure" not in bench.names()
    with pytest.raises(UsageError, match="There is no benchmark 'nothing'; there are: .*swap"):
        bench.measure("nothing")


def test_server_gets_the_pack_without_changing_the_users_comfyui(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    theirs = ComfyUI(tmp_path / "theirs", tmp_path / "theirs", "COMFYUI_DIR")
    (theirs.folder / "custom_nodes").mkdir(parents=True)
    command = serve.server_command(theirs, 8300, cpu=True)
    paths = json.loads(Path(command[command.index("--extra-model-paths-config") + 1]).read_text("utf-8"))
    (link,) = Path(paths["likeness"]["custom_nodes"]).iterdir()
    assert link.resolve() == CHECKOUT and not list((theirs.folder / "custom_nodes").iterdir())

    ours = ComfyUI(tmp_path / "ours", tmp_path / "base", "the launcher's own copy")
    command = serve.server_command(ours, 8300, cpu=True)
    assert command[command.index("--base-directory") + 1] == str(ours.base)
    assert [path.resolve() for path in (ours.base / "custom_nodes").iterdir()] == [CHECKOUT]


def test_server_asks_for_another_port_when_one_is_taken() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="is in use; choose another with --port"):
            serve.free_port(taken.getsockname()[1])
    assert serve.free_port(None) > 0


def test_browser_is_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_CHROMIUM", "/somewhere/chrome")
    assert testing.find_chromium() == "/somewhere/chrome"
    monkeypatch.delenv("LIKENESS_CHROMIUM")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(testing, "PLACES", ())
    assert testing.find_chromium() is None


def test_contact_sheet_holds_every_panel_in_one_height() -> None:
    row = [("a", "wide", torch.ones(10, 20, 3)), ("b", "a mask", torch.zeros(30, 30))]
    sheet = contact_sheet([row, row[:1]])
    assert sheet.size == (16 + 1024 + 16 + 512 + 16, 2 * (512 + 44 + 32))
    assert sheet.getpixel((500, 300)) == (255, 255, 255)
    assert sheet.getpixel((1300, 300)) == (0, 0, 0)


@pytest.mark.skipif(os.name == "nt", reason="a shell script; Windows runs its two commands in the workflow")
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_ci_script_is_valid_and_calls_both_commands() -> None:
    script = CHECKOUT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert '"$python" likeness lint' in script.read_text("utf-8") and '"$python" likeness test' in script.read_text(
        "utf-8"
    )


def test_sheets_draw_a_slider_in_all_its_positions(tmp_path: Path) -> None:
    portrait = CHECKOUT / "assets" / "samples" / "grace_hopper.jpg"
    assert sheets.main([str(tmp_path), "jaw_open", "head_yaw", "--portrait", str(portrait)]) == 0
    (made,) = tmp_path.iterdir()
    with Image.open(made) as sheet:
        assert sheet.size == (sheets.NAMES + 5 * sheets.CELL, 2 * sheets.CELL)
        cells = [sheet.crop((sheets.NAMES + i * 300, 20, sheets.NAMES + i * 300 + 300, 300)) for i in range(5)]
    assert len({cell.tobytes() for cell in cells}) == 5


def test_sheets_name_the_sliders_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no slider 'jaw'. Sliders: brows_raise"):
        sheets.main([str(tmp_path), "jaw"])


def test_a_performance_ends_one_frame_before_its_beginning_and_uses_known_sliders() -> None:
    motion = perform.performance()
    assert len(motion) == round(perform.ROUND[-1][0] * perform.FPS) and not motion.values[0].any()
    assert 0 < abs(motion.values[-1]).max() < 0.2
    assert motion.blendshapes.max() > 0.8


def test_a_performance_is_written_as_webp_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not end in .webp"):
        perform.main([str(tmp_path / "acting.gif")])
