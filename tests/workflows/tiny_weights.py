"""The files that the example workflows name, small, of the true layout and with random weights."""

from __future__ import annotations

from pathlib import Path

from likeness.tests.adapters.tiny_files import write_files
from likeness.tests.audio.head_files import HEADS, write_head
from likeness.tests.identity.parser_files import save_parser
from likeness.tests.lips.tiny_lips import write_dice, write_lips
from likeness.tests.workflows.tiny_prompts import ADAPTER_FILES, EVA_FILE, HEAD

#: Of every attention of the UNets that the nodes of tiny_model_nodes.py give.
WIDTH = 64


def write_narrow_adapters(models: Path, *files: str) -> None:
    """Adapters below a models folder, for those UNets."""
    write_files(models, files, WIDTH)


def write_tiny_weights(models: Path) -> None:
    """All of them below a models folder."""
    write_narrow_adapters(models, *ADAPTER_FILES, EVA_FILE)
    save_parser(models)
    write_head(models / "likeness" / "speech_heads", HEAD, *HEADS["tiny_wav2vec2"])
    write_lips(models)
    write_dice(models)
