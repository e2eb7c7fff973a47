"""The demo pair, found and encoded once for all tests of the room."""

from types import SimpleNamespace

import pytest

from likeness.benchmarks.pictures import read_picture
from likeness.benchmarks.swap_quality import SAMPLES
from likeness.pipelines.identity.backends import load_embedded_analysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap import SWAPPERS


@pytest.fixture(scope="session")
def demo():
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    pictures = {name: read_picture(SAMPLES / f"{name}") for name in ("astronaut.png", "grace_hopper.jpg")}
    astronaut, hopper = pictures["astronaut.png"], pictures["grace_hopper.jpg"]
    return SimpleNamespace(
        analysis=analysis,
        astronaut=astronaut,
        hopper=hopper,
        swapper=SWAPPERS[0].load(registry),
        astronaut_face=analysis.detect(astronaut).frames[0][0],
        hopper_face=analysis.detect(hopper).frames[0][0],
        astronaut_identity=build_identity(analysis, [astronaut], "astronaut", "")[0],
        hopper_identity=build_identity(analysis, [hopper], "hopper", "")[0],
    )
