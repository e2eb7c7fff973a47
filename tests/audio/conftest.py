"""The acoustic model is read once for all tests of the room."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from likeness.pipelines.audio.english_model import english_model


@pytest.fixture(scope="module", autouse=True)
def held_model() -> Iterator[None]:
    """Keeps the model alive while the tests of a file run."""
    held = english_model() if find_spec("pocketsphinx") and sys.modules.get("pocketsphinx", "") is not None else None
    yield
    del held
