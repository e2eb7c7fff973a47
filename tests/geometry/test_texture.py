"""Colours grown over what is not known."""

import torch

from likeness.pipelines.geometry.texture import grown_over


def test_known_pixels_stay_and_a_hole_in_one_colour_gets_that_colour():
    picture = torch.full((3, 40, 33), 0.3)
    picture[:, 10:30, 8:20] = 1.0
    known = torch.ones(40, 33)
    known[10:30, 8:20] = 0
    grown = grown_over(picture, known)
    assert torch.allclose(grown, torch.full_like(grown, 0.3), atol=1e-5)


def test_a_hole_in_a_slope_continues_it():
    slope = torch.linspace(0, 1, 64).expand(3, 48, 64).clone()
    known = torch.ones(48, 64)
    known[16:32, 20:44] = 0
    hidden = torch.where(known.bool(), slope, torch.zeros(()))
    assert float((grown_over(hidden, known) - slope).abs().max()) < 0.12


def test_where_nothing_is_known_it_is_grey():
    assert torch.allclose(grown_over(torch.rand(3, 5, 1), torch.zeros(5, 1)), torch.full((3, 5, 1), 0.5))
    assert grown_over(torch.rand(3, 1, 1), torch.ones(1, 1)).shape == (3, 1, 1)
