"""Files of speech heads that have learned nothing, for the encoders that the tests have."""

from __future__ import annotations

from pathlib import Path

import torch

from likeness.pipelines.audio.speech_head import HeadCard, HeadNetwork, SpeechHead
from likeness.pipelines.audio.speech_head_file import save_speech_head

#: Name -> what the encoder is: kind, width, layers of its output.
HEADS = {
    "tiny_wav2vec2": ("wav2vec2", 96, 3),
    "tiny_whisper": ("whisper", 96, 3),
    "base_wav2vec2": ("wav2vec2", 768, 13),
}


def write_head(folder: Path, name: str, kind: str, width: int, depth: int) -> Path:
    """A head with random numbers that are the same every time; it takes the first two layers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = HeadNetwork(2 * width)
    card = HeadCard(kind, width, depth, (0, 1), licence="none: random numbers")
    return save_speech_head(SpeechHead(card, network.eval()), folder, name, "overwrite")


def write_heads(models: Path) -> None:
    """All of `HEADS` below a models folder."""
    for name, encoder in HEADS.items():
        write_head(models / "likeness" / "speech_heads", name, *encoder)
