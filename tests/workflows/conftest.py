"""The adapters that workflows name, as small files of the true layout."""

from __future__ import annotations

import pytest

from likeness.tests.comfyui_server import ComfyServer
from likeness.tests.workflows.tiny_weights import write_tiny_weights


@pytest.fixture(scope="session")
def adapter_files(comfyui: ComfyServer) -> None:
    """The files below the server's models folder."""
    write_tiny_weights(comfyui.base / "models")
