"""Multiband blending."""

import pytest
import torch

from likeness.pipelines.stitch.pyramid import blend_bands


def slow_blend(front, back, mask, levels):
    """The textbook way: a Laplacian pyramid of each picture, mixed level by level by the mask's Gaussian pyramid."""
    from likeness.pipelines.stitch.pyramid import _down, _up

    if levels == 0:
        return front * mask + back * (1 - mask)
    small = [_down(part) for part in (front, back)]
    detail = [part - _up(less, part.shape[1:]) for part, less in zip((front, back), small, strict=True)]
    coarse = slow_blend(small[0], small[1], _down(mask[None])[0], levels - 1)
    return _up(coarse, front.shape[1:]) + detail[0] * mask + detail[1] * (1 - mask)


@pytest.mark.parametrize("size", [(64, 64), (61, 37), (8, 5)])
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_one_pyramid_of_the_difference_equals_the_textbook_with_two(size, levels):
    if min(size) < 4 * 2**levels:
        levels = 0
    front, back, mask = torch.rand(3, *size), torch.rand(3, *size), torch.rand(size)
    fast = back + blend_bands(front - back, mask, levels)
    assert torch.allclose(fast, slow_blend(front, back, mask, levels), atol=1e-5)


def test_a_full_mask_gives_the_foreground_and_an_empty_one_nothing():
    difference = torch.rand(3, 50, 70)
    assert torch.allclose(blend_bands(difference, torch.ones(50, 70), 4), difference, atol=1e-5)
    assert float(blend_bands(difference, torch.zeros(50, 70), 4).abs().max()) == 0


def test_coarse_detail_is_mixed_over_a_wider_border_than_fine_detail():
    step = torch.zeros(64, 64)
    step[:, 32:] = 1
    flat = blend_bands(torch.ones(1, 64, 64), step, 4)[0, 32]
    checks = torch.ones(1, 64, 64)
    checks[:, ::2] = -1
    fine = blend_bands(checks, step, 4)[0, 32]
    assert int(((flat > 0.02) & (flat < 0.98)).sum()) > 8
    assert int(((fine.abs() > 0.02) & (fine.abs() < 0.98)).sum()) <= 2
