"""Servers on this machine, and files that nobody has to agree to before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.download.file_server import FileServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server that is the user's mirror; proxies of this machine are not used."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serving() as served:
        monkeypatch.setenv("LIKENESS_MIRROR", served.url)
        yield served


@pytest.fixture
def runtime(tmp_path: Path) -> TorchRuntime:
    return TorchRuntime(model_folders={"": tmp_path / "models"})
