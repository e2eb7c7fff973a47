"""How exact the embedded models are: against MediaPipe's and dlib's own results, and in pictures of many faces."""

from __future__ import annotations

from pathlib import Path

from ..cli.parity import embedded
from ..pipelines.identity.analysis import load_embedded_analysis
from ..pipelines.registry import Registry
from ..pipelines.runtime import TorchRuntime
from .figure import Figure
from .group_picture import GROUPS, group_photo

REFERENCE = Path(__file__).resolve().parents[1] / "tests" / "parity" / "fixtures" / "embedded_oracles.safetensors"


def measure() -> list[Figure]:
    """Every error of the parity command's check beside its tolerance, then the faces found in group pictures."""
    errors = embedded.CHECK.run(REFERENCE)
    return [*(Figure(error.quantity, error.error, error.tolerance) for error in errors), *_groups()]


def _groups() -> list[Figure]:
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    photos = {name: embedded.photo(file) for name, file in embedded.PHOTOS.items()}
    figures: list[Figure] = []
    for name in GROUPS:
        group = group_photo(name, photos)
        missed = abs(len(analysis.detect(group.image)) - len(group.placed))
        figures.append(Figure(f"group picture '{name}': faces missed or invented, of 6", missed, 0))
    return figures
