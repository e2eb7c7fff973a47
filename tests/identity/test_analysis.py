"""What a face analysis refuses, and how the embedded recogniser measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import FaceNotFoundError, InputError
from likeness.pipelines.face import Face
from likeness.pipelines.geometry.templates import crop_from_image
from likeness.pipelines.geometry.transforms import transform_mesh
from likeness.pipelines.geometry.warp import crop_pictures
from likeness.pipelines.identity.analysis import FaceAnalysis, without_duplicates


def test_an_empty_batch_is_named(analysis: FaceAnalysis) -> None:
    with pytest.raises(InputError, match="empty batch of 512 × 256 px"):
        analysis.detect(torch.zeros(0, 256, 512, 3))


def test_a_picture_below_64_px_is_named_with_its_size(analysis: FaceAnalysis) -> None:
    with pytest.raises(InputError, match="100 × 63 px.*64 px"):
        analysis.detect(torch.zeros(1, 63, 100, 3))
    assert len(analysis.detect(torch.zeros(1, 64, 64, 3))) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_pixels_that_are_no_numbers_are_counted_and_their_frame_named(value: float, analysis: FaceAnalysis) -> None:
    images = torch.zeros(3, 64, 64, 3)
    images[2, 5, 5:9, 1] = value
    with pytest.raises(InputError, match="4 pixel values that are NaN or infinite in frame 2"):
        analysis.detect(images)


@pytest.mark.parametrize(
    "images", [torch.zeros(64, 64, 3), torch.zeros(1, 64, 64, 2), torch.zeros(1, 64, 64, 3, dtype=torch.uint8)]
)
def test_another_shape_or_type_is_named(images: Tensor, analysis: FaceAnalysis) -> None:
    with pytest.raises(InputError, match=f"{images.dtype}.*shape"):
        analysis.detect(images)


@pytest.mark.parametrize("numbers", [{"threshold": 1.5}, {"threshold": -0.1}, {"max_faces": -1}, {"min_size_px": -5}])
def test_numbers_out_of_range_are_refused(numbers: dict[str, float], astronaut: Tensor, analysis: FaceAnalysis) -> None:
    with pytest.raises(InputError, match="threshold .* must"):
        analysis.detect(astronaut, **numbers)


def test_a_face_below_the_threshold_is_told_with_its_score(astronaut: Tensor, analysis: FaceAnalysis) -> None:
    faces = analysis.detect(astronaut, threshold=0.99)
    with pytest.raises(FaceNotFoundError, match=f"{faces.best_rejected_score:.2f}"):
        faces.require_any("The photo")


def test_embedding_faces_of_another_batch_is_refused(astronaut: Tensor, analysis: FaceAnalysis) -> None:
    faces = analysis.detect(astronaut)
    with pytest.raises(InputError, match="2 picture"):
        analysis.embed(astronaut.repeat(2, 1, 1, 1), faces)


def test_embedding_sets_unit_vectors_and_the_recognisers_name(astronaut: Tensor, analysis: FaceAnalysis) -> None:
    (face,) = analysis.embed(astronaut, analysis.detect(astronaut)).frames[0]
    assert face.encoder == "dlib_resnet_128"
    assert face.unit_embedding is not None
    assert abs(np.linalg.norm(face.unit_embedding) - 1) < 1e-5


def test_a_face_with_five_points_only_cannot_be_recognised_and_is_told_why(
    astronaut: Tensor, analysis: FaceAnalysis
) -> None:
    face = Face(np.array([0, 0, 9, 9], np.float32), 1.0, np.zeros((5, 2), np.float32))
    with pytest.raises(InputError, match="dense landmarks"):
        analysis.recogniser.embed(astronaut, [(0, face)])


def test_no_faces_give_no_vectors(astronaut: Tensor, analysis: FaceAnalysis) -> None:
    assert analysis.recogniser.embed(astronaut, []).shape == (0, 128)


def test_two_people_are_far_apart_and_one_person_is_near_in_a_stored_crop(
    astronaut: Tensor, hopper: Tensor, analysis: FaceAnalysis
) -> None:
    recogniser = analysis.recogniser
    vectors = {}
    for name, photo in (("astronaut", astronaut), ("hopper", hopper)):
        (face,) = analysis.detect(photo).frames[0]
        matrix = crop_from_image(face, "ffhq_512", 512)
        crop = crop_pictures(photo, (0,), matrix[None], (512, 512))
        stored = replace(face, landmarks=transform_mesh(matrix, face.landmarks))
        vectors[name] = recogniser.embed(photo, [(0, face)])[0], recogniser.embed(crop, [(0, stored)])[0]
        assert recogniser.distance(*vectors[name]) < 0.15
    apart = recogniser.distance(vectors["astronaut"][0], vectors["hopper"][0])
    assert 0.6 < apart < 0.8
    assert recogniser.probability(apart) < 0.15
    assert recogniser.probability(0.15) > 0.99
    assert recogniser.probability(0.56) == pytest.approx(0.5)


def test_of_faces_that_cover_each_other_the_better_scored_one_stays() -> None:
    def face(x: float, size: float, score: float) -> Face:
        return Face(np.array([x, 0, x + size, size], np.float32), score, np.zeros((5, 2), np.float32))

    best, shifted, inside, beside = face(0, 100, 0.9), face(5, 100, 0.8), face(30, 40, 0.6), face(60, 100, 0.7)
    kept = without_duplicates([inside, beside, shifted, best])
    assert kept == [best, beside]
