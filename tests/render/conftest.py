"""Both demo portraits, found and prepared once for all tests of the room."""

from types import SimpleNamespace

import pytest

from likeness.benchmarks.expression import PORTRAITS, Sitter
from likeness.benchmarks.pictures import read_picture
from likeness.benchmarks.swap_quality import SAMPLES
from likeness.pipelines.identity.backends import load_embedded_analysis
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime


@pytest.fixture(scope="session")
def sitters():
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    first, second = (Sitter(analysis, read_picture(SAMPLES / name)) for name in PORTRAITS)
    return SimpleNamespace(analysis=analysis, astronaut=first, hopper=second, both=(first, second))
