"""Faces are found: near and far, small and turned, several at once, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness.benchmarks.group_picture import GROUPS, IN_PHOTO, group_photo, place
from likeness.pipelines.face import Faces
from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.detection import (
    TILE_OVERLAP_PX,
    TILE_PX,
    TRAINED_PX,
    Candidate,
    merge_boxes,
    pyramid_scales,
    tiling,
)


@pytest.fixture(scope="module")
def photos(astronaut: Tensor, hopper: Tensor) -> dict[str, Tensor]:
    return {"astronaut": astronaut, "hopper": hopper}


def boxes(faces: Faces) -> NDArray[np.float32]:
    return np.stack([face.bbox_xyxy for _, face in faces])


@pytest.mark.parametrize("name", GROUPS)
def test_six_of_six_faces_of_40_to_400_px_turned_up_to_30_degrees_are_found_and_nothing_else(
    name: str, photos: dict[str, Tensor], analysis: FaceAnalysis
) -> None:
    group = group_photo(name, photos)
    faces = analysis.detect(group.image).frames[0]
    assert len(faces) == 6
    for person, size, degrees, middle in group.placed:
        face = min(faces, key=lambda face: float(np.linalg.norm(face.center - middle)))
        assert np.linalg.norm(face.center - middle) < 0.12 * size, (person, size)
        turned = face.landmarks[152, :2] - face.landmarks[10, :2]  # from the top of the forehead to the chin
        upright = 3.5 if person == "astronaut" else -3.1  # these two tilt their heads a little
        assert abs(np.degrees(np.arctan2(-turned[0], turned[1])) - degrees - upright) < 6, (person, size)
        assert 0.6 <= face.score <= 1


def test_faces_come_largest_first_and_the_smaller_ones_can_be_left_out(
    photos: dict[str, Tensor], analysis: FaceAnalysis
) -> None:
    image = group_photo("crowd", photos).image
    everyone = analysis.detect(image).frames[0]
    areas = [face.area_px for face in everyone]
    assert areas == sorted(areas, reverse=True)
    two = analysis.detect(image, max_faces=2).frames[0]
    assert [face.area_px for face in two] == areas[:2]
    large = analysis.detect(image, min_size_px=58).frames[0]
    assert [round(max(face.height_px, face.width_px) / 10) for face in large] == [14, 6]


def test_a_batch_gives_what_its_pictures_give_alone(photos: dict[str, Tensor], analysis: FaceAnalysis) -> None:
    hopper = photos["hopper"][:, :512]
    empty = torch.full_like(hopper, 0.5)
    together = analysis.embed(batch := torch.cat([photos["astronaut"], empty, hopper]), analysis.detect(batch))
    alone = [analysis.embed(image[None], analysis.detect(image[None])) for image in batch]
    assert [len(frame) for frame in together.frames] == [1, 0, 1]
    for frame, single in zip(together.frames, alone, strict=True):
        for face, expected in zip(frame, single.frames[0], strict=True):
            assert np.abs(face.landmarks - expected.landmarks).max() < 0.01
            assert np.abs(face.blendshapes - expected.blendshapes).max() < 1e-3
            assert np.abs(face.unit_embedding - expected.unit_embedding).max() < 1e-4
            assert abs(face.score - expected.score) < 1e-3


def test_all_faces_of_a_batch_go_through_each_network_in_one_call(
    photos: dict[str, Tensor], analysis: FaceAnalysis
) -> None:
    batch = group_photo("crowd", photos).image.repeat(2, 1, 1, 1)
    sizes: dict[str, list[int]] = {}
    networks = {
        "landmarks": analysis.landmarker._landmarks,
        "blendshapes": analysis.landmarker._blendshapes,
        "identity": analysis.recogniser._network,
    }
    hooks = [
        network._handle.module.register_forward_pre_hook(
            lambda module, inputs, name=name: sizes.setdefault(name, []).append(len(inputs[0]))
        )
        for name, network in networks.items()
    ]
    analysis.embed(batch, analysis.detect(batch))
    for hook in hooks:
        hook.remove()
    (measured,) = sizes["blendshapes"]
    assert sizes["landmarks"][:2] == [measured, measured], "every candidate is looked at twice"
    assert all(again < measured for again in sizes["landmarks"][2:]), "and again only where it has not settled"
    assert sizes["identity"] == [12]


def test_a_wrong_guess_of_the_rotation_comes_right(hopper: Tensor, analysis: FaceAnalysis) -> None:
    right = analysis.detect(hopper).frames[0][0]
    corners = right.bbox_xyxy.reshape(2, 2)
    for wrong in (-0.7, 0.7):
        eyes = np.array([[250, 230], [250 + 60 * np.cos(wrong), 230 + 60 * np.sin(wrong)]], np.float32)
        (face,) = analysis.landmarker.landmark(hopper, [Candidate(0, right.bbox_xyxy, 0.9, eyes)])
        assert face.score > 0.9
        assert np.abs(face.landmarks[:, :2] - right.landmarks[:, :2]).mean() < 0.02 * np.ptp(corners[:, 1])


@pytest.mark.parametrize("share", [0.55, 0.75, 0.95])
def test_a_face_that_fills_the_picture_is_found(share: float, hopper: Tensor, analysis: FaceAnalysis) -> None:
    (x, y), height = IN_PHOTO["hopper"]
    half = round(height / share / 2)
    crop = hopper[:, max(round(y) - half, 0) : round(y) + half, max(round(x) - half, 0) : round(x) + half]
    assert len(analysis.detect(crop)) == 1


def test_a_40_px_face_in_a_picture_16384_px_wide_is_found(photos: dict[str, Tensor], analysis: FaceAnalysis) -> None:
    canvas = torch.full((96, 16384, 3), 0.4)
    place(canvas, photos["hopper"], "hopper", 40, 10, (12345, 48))
    faces = analysis.detect(canvas[None])
    assert len(faces) == 1
    assert np.linalg.norm(faces.frames[0][0].center - (12345, 48)) < 5


def test_nothing_is_found_where_there_is_no_face_and_the_best_rejected_score_is_told(
    astronaut: Tensor, analysis: FaceAnalysis
) -> None:
    generator = torch.Generator().manual_seed(5)
    blobs = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 24, generator=generator), (512, 512), mode="bicubic")
    noise = torch.rand(1, 512, 512, 3, generator=generator)
    suit = astronaut[:, 300:, :].repeat(1, 3, 1, 1)[:, :512]
    faces = analysis.detect(torch.cat([blobs.permute(0, 2, 3, 1).clamp(0, 1), noise, suit]))
    assert [len(frame) for frame in faces.frames] == [0, 0, 0]
    assert 0 <= faces.best_rejected_score < 0.5
    strict = analysis.detect(astronaut, threshold=0.99)
    assert len(strict) == 0
    assert 0.9 < strict.best_rejected_score < 0.99


def test_grey_pictures_and_pictures_with_alpha_give_the_same_face(astronaut: Tensor, analysis: FaceAnalysis) -> None:
    plain = boxes(analysis.detect(astronaut))
    alpha = torch.cat([astronaut, torch.zeros_like(astronaut[..., :1])], -1)
    assert np.array_equal(boxes(analysis.detect(alpha)), plain)
    grey = boxes(analysis.detect(astronaut.mean(-1, keepdim=True)))
    assert np.abs(grey - plain).max() < 4


def test_tiles_cover_every_length_with_overlap() -> None:
    for length in (1, 64, 192, 500, 768, 769, 1000, 1409, 7168):
        side, starts = tiling(length)
        assert side % 32 == 0 and TRAINED_PX <= side <= TILE_PX
        assert starts[0] == 0 and starts[-1] + side >= length
        assert all(second + TILE_OVERLAP_PX <= first + side for first, second in zip(starts, starts[1:], strict=False))


def test_the_pyramid_reaches_from_the_smallest_face_to_the_whole_picture() -> None:
    for size in ((64, 64), (512, 512), (1080, 1920), (64, 16384)):
        scales = pyramid_scales(size)
        assert scales[0] * 32 >= 20
        assert scales[-1] * max(size) <= 256
        assert all(first / second <= 4.001 for first, second in zip(scales, scales[1:], strict=False))
    assert len(pyramid_scales((1080, 1920), min_size_px=200)) < len(pyramid_scales((1080, 1920)))


def test_overlapping_boxes_become_their_mean_weighted_by_score() -> None:
    first = [0, 0.9, 0, 0, 10, 10, 2, 2, 8, 2]
    second = [0, 0.3, 4, 0, 14, 10, 6, 2, 12, 2]
    apart = [0, 0.6, 50, 50, 60, 60, 52, 52, 58, 52]
    merged = merge_boxes(np.array([second, apart, first], dtype=np.float32))
    assert merged.shape == (2, 10)
    assert np.allclose(merged[0], [0, 0.9, 1, 0, 11, 10, 3, 2, 9, 2])
    assert np.allclose(merged[1], apart)
    assert len(merge_boxes(np.zeros((0, 10), np.float32))) == 0
