"""Plain torch's runtime: folders, progress, cancel."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.pipelines.errors import CancelledError
from likeness.pipelines.runtime import TorchRuntime, resolve_folder


def test_the_longest_known_folder_name_comes_first_and_no_path_twice() -> None:
    roots = {
        "": [Path("/models")],
        "insightface": [Path("/fast/insightface"), Path("/models/insightface")],
        "insightface/models": [Path("/packs")],
        "insight": [Path("/never")],
    }
    assert resolve_folder(roots, "insightface/models/buffalo_l") == (
        Path("/packs/buffalo_l"),
        Path("/fast/insightface/models/buffalo_l"),
        Path("/models/insightface/models/buffalo_l"),
    )


def test_a_folder_that_nobody_knows_is_nowhere() -> None:
    assert resolve_folder({"other": [Path("/other")]}, "insightface") == ()


def test_one_path_or_many_may_be_given_for_a_folder(tmp_path: Path) -> None:
    assert TorchRuntime(model_folders={"a": str(tmp_path)}).model_folders("a/b") == (tmp_path / "b",)
    assert TorchRuntime(model_folders={"a": [tmp_path, "x"]}).model_folders("a") == (tmp_path, Path("x"))


def test_progress_counts_up_to_the_total_and_no_further() -> None:
    seen: list[tuple[int, int]] = []
    progress = TorchRuntime(on_progress=lambda done, total: seen.append((done, total))).progress(3)
    progress.update()
    progress.update(5)
    assert seen == [(1, 3), (3, 3)]


def test_a_cancelled_runtime_stops_at_the_next_step() -> None:
    cancelled: list[bool] = []
    runtime = TorchRuntime(is_cancelled=lambda: bool(cancelled))
    progress = runtime.progress(2)
    progress.update()
    cancelled.append(True)
    with pytest.raises(CancelledError):
        progress.update()
    with pytest.raises(CancelledError):
        runtime.check_cancelled()
