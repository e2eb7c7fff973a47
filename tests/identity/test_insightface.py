"""The insightface packs: real onnxruntime sessions of our registry in insightface's own classes.

The files are small stand-ins of the true interface; see `insightface_files.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import InputError, MissingPackageError, MissingWeightsError, WrongWeightsError
from likeness.pipelines.face import Face
from likeness.pipelines.identity import insightface_sessions
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.identity import Identity, re_encode
from likeness.pipelines.identity.insightface_backend import (
    ArcFaceRecogniser,
    SparseLandmarker,
    as_bgr,
    load_insightface_analysis,
)
from likeness.pipelines.registry import Registry
from likeness.tests.identity.insightface_files import BOX, POINTS, save_linear, save_pack, small_registry

pytest.importorskip("insightface.model_zoo.scrfd", exc_type=ImportError)

#: Where the mark is put in the astronaut (x, y px): between the eyes.
MARK = (223.5, 115.5)


@pytest.fixture(scope="module", params=["antelopev2", "buffalo_l", "arc2face"])
def pack(request: pytest.FixtureRequest, small: Registry) -> FaceAnalysis:
    return load_insightface_analysis(small, request.param)


def test_scrfd_s_box_score_and_points_come_with_the_embedded_mesh(pack: FaceAnalysis, marked: Tensor) -> None:
    faces = pack.detect(marked)
    assert [len(frame) for frame in faces.frames] == [1, 0]
    (face,) = faces.frames[0]
    # the cell that fires has its anchor at its first pixel, up to one 8 px cell of the 640 px square before the mark
    moved = face.landmarks5 - POINTS - MARK
    assert np.abs(moved).max() < 8 and np.ptp(moved, axis=0).max() < 0.01
    assert face.bbox_xyxy[2] - face.bbox_xyxy[0] == pytest.approx(BOX[0] + BOX[2], abs=0.01)
    assert 0.5 < face.score <= 1
    assert face.landmarks is not None and face.landmarks.shape == (478, 3)
    assert face.blendshapes is not None and face.blendshapes.shape == (52,)
    # the mesh is the embedded landmarker's: its nose tip is where the astronaut has hers
    assert np.abs(face.landmarks[1, :2] - [227, 133]).max() < 12


def test_the_threshold_is_scrfd_s_score_and_what_it_rejects_is_told(pack: FaceAnalysis, marked: Tensor) -> None:
    score = pack.detect(marked).frames[0][0].score
    faces = pack.detect(marked, threshold=1.0)
    assert len(faces) == 0 and faces.best_rejected_score == pytest.approx(score)


def test_every_pack_has_its_own_recogniser_for_research_only(pack: FaceAnalysis) -> None:
    names = {"antelopev2": "arcface_glintr100", "buffalo_l": "arcface_w600k_r50", "arc2face": "arcface_arc2face"}
    assert pack.recogniser.name == names[pack.name] and pack.recogniser.dimension == 512
    assert not pack.recogniser.commercial_use and "research only" in pack.recogniser.licence


def on_face(middle: tuple[float, float], size: float = 1.0, turn: float = 0.0) -> Face:
    cosine, sine = np.cos(turn) * size, np.sin(turn) * size
    points = (POINTS @ np.array([[cosine, sine], [-sine, cosine]]) + middle).astype(np.float32)
    return Face(np.array([0, 0, 9, 9], np.float32), 1.0, points)


def test_raw_vectors_equal_insightface_s_own(small: Registry, astronaut: Tensor, hopper: Tensor) -> None:
    """Template, colour order, padding and normalisation are those of insightface's norm_crop and get_feat."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    from insightface.utils.face_align import norm_crop

    recogniser = ArcFaceRecogniser(small, "arcface_glintr100", "insightface_glintr100")
    reference = ArcFaceONNX(str(small.find("insightface_glintr100")))
    for photo in (astronaut, hopper):
        for face in (on_face(MARK), on_face((300, 200), 1.6, 0.4), on_face((5, 5)), on_face((500, 300), 0.5, -1.0)):
            raw = recogniser.embed(photo, [(0, face)])[0]
            theirs = reference.get_feat(norm_crop(as_bgr(photo[0]), face.landmarks5)).ravel()
            assert np.linalg.norm(raw - theirs) < 0.01 * np.linalg.norm(theirs)


def test_many_faces_equal_one_by_one_even_where_the_file_takes_one(small: Registry, astronaut: Tensor) -> None:
    faces = [(k % 2, on_face((200 + 20 * k, 150), 1 + 0.1 * k)) for k in range(5)]
    photos = torch.cat([astronaut, astronaut.flip(2)])
    for name in ("glintr100", "w600k_r50"):
        recogniser = ArcFaceRecogniser(small, f"arcface_{name}", f"insightface_{name}")
        together = recogniser.embed(photos, faces)
        assert together.shape == (5, 512) and recogniser.embed(photos, []).shape == (0, 512)
        for row, face in zip(together, faces, strict=True):
            assert np.allclose(row, recogniser.embed(photos, [face])[0], atol=1e-4)


def test_distance_is_one_minus_cosine_and_probability_falls_with_it(pack: FaceAnalysis) -> None:
    recogniser = pack.recogniser
    x, y = np.eye(512, dtype=np.float32)[:2]
    assert recogniser.distance(x, x * 7) == pytest.approx(0)
    assert recogniser.distance(x, y) == pytest.approx(1) and recogniser.distance(x, -y - x) == pytest.approx(
        1.7071, abs=1e-4
    )
    chances = [recogniser.probability(distance) for distance in np.linspace(0, 2, 50)]
    assert (np.diff(chances) <= 0).all() and chances[0] > 0.999 and chances[-1] < 1e-6
    assert recogniser.probability(0.7) == pytest.approx(0.5)
    assert recogniser.probability(0.6) == pytest.approx(0.924, abs=1e-3)
    assert recogniser.probability(1.0) < 0.001


def test_an_identity_is_built_and_re_encoded_across_backends(
    analysis: FaceAnalysis, pack: FaceAnalysis, marked: Tensor
) -> None:
    built, _ = build_identity(pack, [marked[:1]], "Eileen")
    assert built.encoders == (pack.recogniser.name,) and built.raw(pack.recogniser.name).shape == (512,)
    both: Identity = re_encode(built, analysis)
    assert both.encoders == (pack.recogniser.name, "dlib_resnet_128")
    other, _ = build_identity(analysis, [marked[1:]], "Eileen")
    assert re_encode(other, pack).unit(pack.recogniser.name).shape == (512,)


@pytest.mark.parametrize("points", [68, 106])
def test_sparse_landmarks_equal_insightface_s_own(small: Registry, hopper: Tensor, points: int) -> None:
    from insightface.app.common import Face as TheirFace
    from insightface.model_zoo.landmark import Landmark

    face = Face(np.array([180, 120, 340, 330], np.float32), 1.0, np.zeros((5, 2), np.float32))
    (found,) = SparseLandmarker(small, points).locate(hopper, [(0, face)])  # type: ignore[arg-type]
    model = Landmark(str(small.find({68: "insightface_1k3d68", 106: "insightface_2d106det"}[points])))
    theirs = model.get(as_bgr(hopper[0]), TheirFace(bbox=face.bbox_xyxy))
    assert found.points.shape == ((68, 3) if points == 68 else (106, 2))
    assert np.allclose(found.points, theirs, atol=1e-3)
    assert (found.rotation_rad is not None) == (points == 68)


def test_the_networks_are_the_registry_s_and_shared(small: Registry) -> None:
    first = ArcFaceRecogniser(small, "a", "insightface_glintr100")
    second = ArcFaceRecogniser(small, "b", "insightface_glintr100")
    assert first._model.session._handle is second._model.session._handle
    before = small.load_session("insightface_glintr100")
    assert before is first._model.session._handle


@pytest.mark.parametrize("folder", ["insightface/models/antelopev2", "insightface/antelopev2"])
def test_files_are_found_where_other_packs_keep_them(tmp_path: Path, folder: str, models: Path) -> None:
    target = tmp_path / folder
    target.mkdir(parents=True)
    source = models / "insightface/models/antelopev2/antelopev2"
    for name in ("scrfd_10g_bnkps.onnx", "glintr100.onnx"):
        (target / name).write_bytes((source / name).read_bytes())
    assert load_insightface_analysis(small_registry(tmp_path), "antelopev2").name == "antelopev2"


def test_missing_files_are_named_with_folder_and_licence(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"w600k_r50\.onnx.*non-commercial"):
        load_insightface_analysis(small_registry(tmp_path), "buffalo_l")
    with pytest.raises(InputError, match="'buffalo_s'.*antelopev2, buffalo_l"):
        load_insightface_analysis(small_registry(tmp_path), "buffalo_s")  # type: ignore[arg-type]


def test_another_model_under_the_name_is_refused(tmp_path: Path) -> None:
    save_pack(tmp_path, doubled=False)
    folder = tmp_path / "insightface/models/antelopev2"
    save_linear(folder / "glintr100.onnx", 112, 256, 1.0)
    with pytest.raises(WrongWeightsError, match=r"glintr100\.onnx.*256 wide.*width 512"):
        load_insightface_analysis(small_registry(tmp_path), "antelopev2")
    save_linear(folder / "glintr100.onnx", 112, 512, 1.0)
    save_linear(folder / "scrfd_10g_bnkps.onnx", 640, 10, 1.0)
    with pytest.raises(WrongWeightsError, match=r"scrfd_10g_bnkps\.onnx.*9 output"):
        load_insightface_analysis(small_registry(tmp_path), "antelopev2")


def test_a_missing_or_old_package_is_named(small: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insightface_sessions, "version", lambda _name: "0.7.3")
    with pytest.raises(MissingPackageError, match=r"insightface 0\.7\.3 is installed, 2\.1 or newer"):
        load_insightface_analysis(small, "antelopev2")

    def missing(_name: str) -> str:
        raise insightface_sessions.PackageNotFoundError("insightface")

    monkeypatch.setattr(insightface_sessions, "version", missing)
    with pytest.raises(MissingPackageError, match=r"needs the package insightface: `pip install"):
        load_insightface_analysis(small, "antelopev2")
