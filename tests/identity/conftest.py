"""Real people (two public-domain photos) and the embedded analysis, shared by the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from likeness.pipelines.identity.analysis import FaceAnalysis, load_embedded_analysis
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"


def _photo(name: str) -> Tensor:
    picture = Image.open(SAMPLES / name).convert("RGB")
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)[None]


@pytest.fixture(scope="session")
def astronaut() -> Tensor:
    """(1, 512, 512, 3)"""
    return _photo("astronaut.png")


@pytest.fixture(scope="session")
def hopper() -> Tensor:
    return _photo("grace_hopper.jpg")


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(TorchRuntime())


@pytest.fixture(scope="session")
def analysis(registry: Registry) -> FaceAnalysis:
    return load_embedded_analysis(registry)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with stand-ins of both insightface packs. Skips where the package cannot be imported."""
    pytest.importorskip("insightface.model_zoo.scrfd", exc_type=ImportError)
    from likeness.tests.identity.insightface_files import save_pack

    folder = tmp_path_factory.mktemp("models")
    save_pack(folder)
    return folder


@pytest.fixture(scope="session")
def small(models: Path) -> Registry:
    """A registry that takes those stand-ins."""
    from likeness.tests.identity.insightface_files import small_registry

    return small_registry(models)


@pytest.fixture(scope="session")
def marked(astronaut: Tensor) -> Tensor:
    """(2, 512, 512, 3): the astronaut with the mark that the small detector finds between her eyes, and without."""
    picture = astronaut.clone()
    picture[0, 108:124, 216:232] = torch.tensor([0.0, 1.0, 0.0])
    return torch.cat([picture, astronaut])


@pytest.fixture(scope="session")
def make_identity() -> Callable[..., Identity]:
    """Small exact identities of random numbers: name, how many references, which recognisers with how many numbers."""

    def make(
        name: str = "Ada", references: int = 2, seed: int = 0, encoders: dict[str, int] | None = None, consent: str = ""
    ) -> Identity:
        random = np.random.default_rng(seed)
        weights = random.random(references).astype(np.float32) + 0.1
        return Identity(
            name=name,
            crops=torch.from_numpy(random.integers(0, 256, (references, 512, 512, 3), dtype=np.uint8)),
            landmarks=random.random((references, 478, 3)).astype(np.float32) * 512,
            weights=weights / weights.sum(),
            vectors=tuple(
                EncodedReferences(encoder, "CC0", random.standard_normal((references, size)).astype(np.float32))
                for encoder, size in (encoders or {"tiny": 4}).items()
            ),
            consent=consent,
            sources_sha256=tuple(f"{seed * 100 + k:064x}" for k in range(references)),
        )

    return make
