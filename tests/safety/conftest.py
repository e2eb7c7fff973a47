"""The two public-domain people and the embedded analysis."""

from __future__ import annotations

import pytest
from torch import Tensor

from likeness.benchmarks.pictures import read_picture
from likeness.benchmarks.swap_quality import SAMPLES
from likeness.pipelines.identity.analysis import FaceAnalysis, load_embedded_analysis
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(TorchRuntime())


@pytest.fixture(scope="session")
def analysis(registry: Registry) -> FaceAnalysis:
    return load_embedded_analysis(registry)


@pytest.fixture(scope="session")
def astronaut() -> Tensor:
    return read_picture(SAMPLES / "astronaut.png")


@pytest.fixture(scope="session")
def hopper() -> Tensor:
    return read_picture(SAMPLES / "grace_hopper.jpg")
