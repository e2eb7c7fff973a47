"""All workflows of the tests run under a guard that refuses network and stray writing; here the guard is tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.tests.comfyui_server import ComfyServer, PromptFailed


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("write", "written outside ComfyUI's folders: .*likeness-was-here"),
        ("connect", r"connected to \('192\.0\.2\.1', 80\)"),
        ("name", "asked for the address of example.org"),
        ("program", "started true"),
    ],
)
def test_the_comfyui_that_runs_every_example_workflow_refuses(comfyui: ComfyServer, kind: str, message: str) -> None:
    prompt = {"1": {"class_type": "LikenessTestTrespass", "inputs": {"kind": kind}}}
    with pytest.raises(PromptFailed, match=message):
        comfyui.run(prompt)
    assert not (Path.home() / "likeness-was-here").exists()
