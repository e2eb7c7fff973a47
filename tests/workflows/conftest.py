"""The adapters that workflows name, as small files of the true layout."""

from __future__ import annotations

import pytest

from likeness.tests.adapters.tiny_files import write_files
from likeness.tests.audio.head_files import HEADS, write_head
from likeness.tests.comfyui_server import ComfyServer
from likeness.tests.identity.parser_files import save_parser
from likeness.tests.lips.tiny_lips import write_dice, write_lips
from likeness.tests.workflows.tiny_prompts import ADAPTER_FILES, EVA_FILE, HEAD


@pytest.fixture(scope="session")
def adapter_files(comfyui: ComfyServer) -> None:
    """The files below the server's models folder."""
    write_files(comfyui.base / "models", (*ADAPTER_FILES, EVA_FILE))
    save_parser(comfyui.base / "models")
    write_head(comfyui.base / "models" / "likeness" / "speech_heads", HEAD, *HEADS["tiny_wav2vec2"])
    write_lips(comfyui.base / "models")
    write_dice(comfyui.base / "models")
