"""What every face analysis promises, and how one is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import InputError, MissingWeightsError
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.backends import BACKENDS, load_analysis
from likeness.pipelines.identity.quality import inter_eye_px
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime


@pytest.fixture(scope="module", params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> FaceAnalysis:
    if request.param == "embedded":
        return request.getfixturevalue("analysis")
    return BACKENDS[request.param](request.getfixturevalue("small"))


def test_a_face_has_box_score_five_points_mesh_and_expression(backend: FaceAnalysis, marked: Tensor) -> None:
    face = backend.detect(marked[:1]).frames[0][0]
    x0, y0, x1, y1 = face.bbox_xyxy
    assert 0 < x0 < face.landmarks5[:, 0].min() and face.landmarks5[:, 0].max() < x1 < 512
    assert 0 < y0 < face.landmarks5[:, 1].min() and face.landmarks5[:, 1].max() < y1 < 512
    assert 0.5 <= face.score <= 1 and 35 < inter_eye_px(face) < 50
    assert face.landmarks5[0, 0] < face.landmarks5[1, 0] and face.landmarks5[3, 0] < face.landmarks5[4, 0]
    assert face.landmarks is not None and face.landmarks.shape == (478, 3) and face.landmarks.dtype == np.float32
    assert face.blendshapes is not None and face.blendshapes.shape == (52,)
    assert np.abs(face.landmarks[1, :2] - face.landmarks5[2]).max() < 12, "mesh and five points are of one face"


def test_a_batch_equals_its_members_one_by_one(backend: FaceAnalysis, marked: Tensor) -> None:
    batch = torch.cat([marked, marked.flip(2), marked * 0.9])
    together = backend.detect(batch)
    raw = backend.recogniser.embed(batch, list(together))
    assert len(together) >= 2
    row = 0
    for index in range(len(batch)):
        alone = backend.detect(batch[index : index + 1])
        assert len(alone) == len(together.frames[index])
        vectors = backend.recogniser.embed(batch[index : index + 1], list(alone))
        for (_, one), other, vector in zip(alone, together.frames[index], vectors, strict=True):
            assert np.abs(one.landmarks5 - other.landmarks5).max() < 0.05
            assert np.allclose(one.bbox_xyxy, other.bbox_xyxy, atol=0.05)
            assert backend.recogniser.distance(vector, raw[row]) < 0.01
            row += 1


def test_embedding_adds_the_unit_vector_and_the_encoder(backend: FaceAnalysis, marked: Tensor) -> None:
    faces = backend.embed(marked, backend.detect(marked))
    raw = backend.recogniser.embed(marked, list(faces))
    for (_, face), vector in zip(faces, raw, strict=True):
        assert face.encoder == backend.recogniser.name and face.unit_embedding is not None
        assert face.unit_embedding.shape == (backend.recogniser.dimension,)
        assert np.allclose(face.unit_embedding, vector / np.linalg.norm(vector), atol=1e-5)
    assert backend.recogniser.embed(marked, []).shape == (0, backend.recogniser.dimension)


def test_distance_is_a_distance_and_probability_falls_from_one_to_zero(backend: FaceAnalysis) -> None:
    recogniser = backend.recogniser
    a, b = np.random.default_rng(1).standard_normal((2, recogniser.dimension)).astype(np.float32)
    assert recogniser.distance(a, a) == pytest.approx(0, abs=1e-6)
    assert recogniser.distance(a, b) == pytest.approx(recogniser.distance(b, a)) and recogniser.distance(a, b) > 0.5
    chances = [recogniser.probability(distance) for distance in np.linspace(0, 2, 81)]
    assert (np.diff(chances) <= 0).all() and chances[0] > 0.99 and chances[-1] < 1e-3


def test_licence_and_use_are_stated(backend: FaceAnalysis) -> None:
    assert backend.recogniser.licence and isinstance(backend.recogniser.commercial_use, bool)
    assert backend.recogniser.commercial_use == (backend.name == "embedded")


def test_threshold_count_and_size_limit_what_is_found(backend: FaceAnalysis, marked: Tensor) -> None:
    face = backend.detect(marked[:1]).frames[0][0]
    size = max(face.width_px, face.height_px)
    assert len(backend.detect(marked[:1], threshold=1.0)) == 0
    assert backend.detect(marked[:1], threshold=1.0).best_rejected_score == pytest.approx(face.score, abs=1e-3)
    assert len(backend.detect(marked[:1], min_size_px=int(size) + 10)) == 0
    assert len(backend.detect(marked[:1], min_size_px=int(size) - 10)) == 1
    assert [len(frame) for frame in backend.detect(marked[:1], max_faces=1).frames] == [1]


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (torch.zeros(0, 128, 128, 3), "empty batch"),
        (torch.zeros(1, 32, 128, 3), "128 × 32 px"),
        (torch.full((1, 128, 128, 3), float("nan")), "49152 pixel values that are NaN"),
        (torch.zeros(1, 128, 128, 2), "channels"),
    ],
)
def test_broken_pictures_are_refused(backend: FaceAnalysis, picture: Tensor, says: str) -> None:
    with pytest.raises(InputError, match=says):
        backend.detect(picture)


def test_auto_takes_the_best_that_is_there_and_says_why_not_the_others(small: Registry, tmp_path: Path) -> None:
    bare = Registry(TorchRuntime(model_folders={"": tmp_path}))
    analysis, text = load_analysis(bare)
    assert analysis.name == "embedded" and "dlib_resnet_128" in text
    assert "Not antelopev2: glintr100.onnx" in text and "Not buffalo_l: w600k_r50.onnx" in text
    analysis, text = load_analysis(small)
    assert analysis.name == "antelopev2" and "no commercial use" in text and "Not " not in text
    with pytest.raises(MissingWeightsError, match="w600k_r50"):
        load_analysis(bare, "buffalo_l")
    with pytest.raises(InputError, match="'dlib'.*auto, antelopev2, buffalo_l, embedded"):
        load_analysis(bare, "dlib")
