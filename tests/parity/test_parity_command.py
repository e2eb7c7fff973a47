"""./likeness parity: it compares what it can, says what it cannot, and its exit code tells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from likeness.cli.errors import CommandError
from likeness.cli.parity import CHECKS, INSIDE_COMFYUI, main
from likeness.cli.parity.check import Error
from likeness.tests.comfyui_server import ROOT, comfyui_folder

FIXTURES = Path(__file__).with_name("fixtures")


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check.name not in INSIDE_COMFYUI], ids=lambda check: check.name
)
def test_every_check_agrees_with_its_reference(check) -> None:
    errors = check.run(FIXTURES / f"{check.name}.safetensors")
    assert errors
    for error in errors:
        assert error.passed, f"{error.quantity}: {error.error} is above {error.tolerance}"


def test_alignment_is_compared_at_five_sizes_and_printed_beside_the_tolerance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(FIXTURES / "inswapper_and_alignment.safetensors", tmp_path)
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for size in (112, 128, 224, 256, 512):
        assert f"matrix to {size} px" in printed
    assert printed.count("at most 0.001") == 5 and "FAILED" not in printed


def test_a_result_out_of_tolerance_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = load_file(FIXTURES / "inswapper_and_alignment.safetensors")
    tensors["out.align_3_256"] = tensors["out.align_3_256"] + np.float32(0.01)
    save_file(tensors, tmp_path / "inswapper_and_alignment.safetensors")
    assert main([str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_files_of_methods_that_are_not_built_are_listed_and_fail_only_when_required(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "some_method.safetensors")
    assert main([str(tmp_path)]) == 0
    assert "Not built yet, so not compared (1): some_method" in capsys.readouterr().out
    assert main([str(tmp_path), "--require", "some_method"]) == 1
    assert "some_method: required, but its method is not built yet" in capsys.readouterr().out


def test_a_required_file_that_is_missing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--require", "inswapper_and_alignment"]) == 1
    assert "there is no inswapper_and_alignment.safetensors" in capsys.readouterr().out


def test_a_damaged_reference_fails_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inswapper_and_alignment.safetensors").write_bytes(b"nothing of the kind")
    assert main([str(tmp_path)]) == 1
    assert "could not be compared" in capsys.readouterr().out


def test_a_folder_that_is_none_or_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no folder"):
        main([str(tmp_path / "nowhere")])
    with pytest.raises(CommandError, match="nothing to compare"):
        main([str(tmp_path)])


def test_an_error_that_is_no_number_never_passes() -> None:
    assert not Error("q", float("nan"), 1.0).passed
    assert Error("q", 0.5, 0.5).passed and not Error("q", 0.6, 0.5).passed


def test_every_file_of_the_fixtures_is_compared() -> None:
    assert {path.stem for path in FIXTURES.glob("*.safetensors")} == {check.name for check in CHECKS}


def test_whole_models_are_compared_inside_the_comfyui_that_was_found(tmp_path: Path) -> None:
    for name in ("flux_pulid", "instantid_image_proj"):
        shutil.copy(FIXTURES / f"{name}.safetensors", tmp_path)
    command = [sys.executable, str(ROOT / "cli" / "__main__.py"), "parity", str(tmp_path), "--require", "flux_pulid"]
    environment = os.environ | {"COMFYUI_DIR": str(comfyui_folder()), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "pred_id_0.6" in run.stdout and "2 of 2 file(s) compared, 0 problem(s)." in run.stdout


@pytest.mark.parametrize("name", ("faceid_plus_image_proj", "consistentid_facial_encoder", "photomaker_v2_qformer"))
def test_the_weights_follow_from_the_seed_that_is_in_the_file(name: str, tmp_path: Path) -> None:
    """So a file with another seed and its own outputs is compared by its own weights."""
    source = FIXTURES / f"{name}.safetensors"
    with safe_open(source, "np") as file:  # pyright: ignore
        metadata = file.metadata()
    save_file(load_file(source), tmp_path / source.name, metadata | {"seed": json.dumps(int(metadata["seed"]) + 1)})
    assert main([str(tmp_path)]) == 1
