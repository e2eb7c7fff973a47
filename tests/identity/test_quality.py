"""What makes a reference good, measured on pictures whose quality we know."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor

from likeness.pipelines.identity.analysis import FaceAnalysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.identity import Identity
from likeness.pipelines.identity.quality import (
    consensus,
    detail,
    pose_part,
    same_person_matrix,
    sharpness_part,
    size_part,
)


class Ruler:
    """A recogniser of numbers: two are the same person when less than 1 apart."""

    name, licence, commercial_use, dimension = "ruler", "none", True, 1

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(abs(a[0] - b[0]))

    def probability(self, distance: float) -> float:
        return 1 / (1 + np.exp((distance - 1) * 10))


def numbers(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@pytest.fixture(scope="module")
def crop(analysis: FaceAnalysis, hopper: Tensor) -> Tensor:
    identity: Identity = build_identity(analysis, [hopper], "Grace")[0]
    return identity.pictures()


def test_detail_equals_its_slow_twin(crop: Tensor) -> None:
    grey = (
        F.interpolate(crop.movedim(3, 1), (256, 256), mode="area")[0].numpy() * [[[0.2126]], [[0.7152]], [[0.0722]]]
    ).sum(0)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    smooth = np.array([[(grey[y : y + 3, x : x + 3] * kernel).sum() for x in range(254)] for y in range(254)])
    edges = smooth[:-2, 1:-1] + smooth[2:, 1:-1] + smooth[1:-1, :-2] + smooth[1:-1, 2:] - 4 * smooth[1:-1, 1:-1]
    assert detail(crop)[0] == pytest.approx(edges[90:205, 70:186].var() / grey[92:207, 72:188].var(), rel=1e-3)


def test_blur_lowers_detail_and_brightness_and_contrast_do_not(crop: Tensor) -> None:
    sigmas = [2.0, 4.0, 8.0]
    soft = [gaussian_blur2d(crop.movedim(3, 1), (49, 49), (s, s)).movedim(1, 3) for s in sigmas]
    measured = detail(torch.cat([crop, *soft]))
    assert (np.diff(measured) < 0).all() and measured[0] > 20 * measured[3]
    assert detail(crop * 0.5 + 0.3)[0] == pytest.approx(measured[0], rel=1e-3)
    assert detail((crop * 255).round().to(torch.uint8))[0] == pytest.approx(measured[0], rel=0.02)
    assert sharpness_part(measured[0]) > 0.8 > 0.2 > sharpness_part(measured[3])


def test_a_flat_crop_has_no_detail() -> None:
    assert detail(torch.full((2, 512, 512, 3), 0.4)) == pytest.approx([0, 0], abs=1e-6)


def test_size_and_pose_parts_fall_where_recognisers_lose_people() -> None:
    assert size_part(0) == 0 and size_part(20) < 0.5 < size_part(40) < 0.75 < size_part(100) < 1
    assert pose_part(0, 0) == 1
    assert pose_part(0, np.radians(45)) == pytest.approx(0.5)
    assert pose_part(np.radians(30), np.radians(-30)) == pytest.approx(0.5625)
    assert pose_part(0, np.radians(100)) == 0


def test_probabilities_come_for_every_pair() -> None:
    matrix = same_person_matrix(Ruler(), numbers(0, 1, 5), numbers(0, 5))  # type: ignore[arg-type]
    assert matrix.shape == (3, 2)
    assert matrix[1, 0] == pytest.approx(0.5) and matrix[0, 1] < 1e-9 < 0.99 < matrix[2, 1]
    assert same_person_matrix(Ruler(), numbers(), numbers(1)).shape == (0, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "priors", "inliers"),
    [
        ((0.0,), (1e-6,), [True]),
        ((0.0, 0.1, 5.0), (1, 1, 1), [True, True, False]),
        ((5.0, 0.0, 0.1, 5.1, 0.2), (1, 1, 1, 1, 1), [False, True, True, False, True]),
        # two against two: the better photos decide
        ((0.0, 0.1, 5.0, 5.1), (0.5, 0.5, 0.9, 0.9), [False, False, True, True]),
        # two strangers: the better photo stays
        ((0.0, 5.0), (0.4, 0.9), [False, True]),
        # a chain: its ends are the mean's person though not each other's
        ((0.0, 0.7, 1.4), (1, 1, 1), [True, True, True]),
    ],
)
def test_the_consensus_is_the_person_with_most_support(
    values: tuple[float, ...], priors: tuple[float, ...], inliers: list[bool]
) -> None:
    distances, same = consensus(Ruler(), numbers(*values), np.array(priors))  # type: ignore[arg-type]
    assert same.tolist() == inliers and distances.shape == (len(values),)


def test_the_order_of_photos_does_not_matter_for_the_consensus() -> None:
    values, priors = np.array([0.0, 0.2, 3.0, 0.4, 3.3]), np.array([0.4, 0.9, 0.8, 0.3, 0.7])
    _, same = consensus(Ruler(), numbers(*values), priors)  # type: ignore[arg-type]
    for order in ([4, 3, 2, 1, 0], [2, 4, 0, 1, 3]):
        _, shuffled = consensus(Ruler(), numbers(*values[order]), priors[order])  # type: ignore[arg-type]
        assert shuffled.tolist() == same[order].tolist()
