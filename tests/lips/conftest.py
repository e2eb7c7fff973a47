"""The demo pair as frames, and a registry that takes small files in the place of the published ones."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from likeness.benchmarks.pictures import read_picture
from likeness.benchmarks.swap_quality import SAMPLES
from likeness.pipelines.face import TrackedFrame
from likeness.pipelines.identity.backends import load_embedded_analysis
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.lips.tiny_lips import write_lips

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sitters():
    """Picture and face of both samples; `frame(time_s)` is the first as a tracked frame."""
    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    found = SimpleNamespace(analysis=analysis)
    for name, file in (("astronaut", "astronaut.png"), ("hopper", "grace_hopper.jpg")):
        picture = read_picture(SAMPLES / file)
        face = replace(analysis.detect(picture).frames[0][0], track=3)
        setattr(found, name, SimpleNamespace(picture=picture, face=face))
    return found


@pytest.fixture(scope="session")
def shot(sitters):
    """Makes tracked frames of a sitter."""

    def make(time_s=0.0, sitter=None, who=0):
        sitter = sitter or sitters.astronaut
        return TrackedFrame(sitter.picture[0], (sitter.face,), (who,), round(time_s * 25), time_s)

    return make


@pytest.fixture
def empty_registry(tmp_path):
    entries = Manifest.load().entries
    kept = tuple(part if part.embedded else replace(part, size_bytes=None, sha256=None) for part in entries)
    return Registry(TorchRuntime(model_folders={"": tmp_path}), Manifest(kept))


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """Small files of the true layout."""
    models = tmp_path_factory.mktemp("models")
    write_lips(models)
    entries = Manifest.load().entries
    kept = tuple(part if part.embedded else replace(part, size_bytes=None, sha256=None) for part in entries)
    return Registry(TorchRuntime(model_folders={"": models}), Manifest(kept))
