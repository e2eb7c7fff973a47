"""Following what is in front of a face to its outline."""

import numpy as np
import pytest
import torch

from likeness.pipelines.stitch.outline import FaceParts, _settled, log_colours, outlined, with_fine_edges

SIDE = 64
SKIN, HAND = torch.tensor([0.8, 0.6, 0.5]), torch.tensor([0.5, 0.3, 0.22])


def drawn(side=SIDE, angle=0.35):
    """A crop of skin with a slanted bar of another colour from the left, and how much of each pixel it covers."""
    y, x = torch.meshgrid(torch.arange(side) + 0.0, torch.arange(side) + 0.0, indexing="ij")
    unit = side / SIDE
    off = (y - 0.5 * side + angle * (x - 0.5 * side)) / np.hypot(1, angle)
    cover = (0.5 + 6 * unit - off.abs()).clamp(0, 1) * (0.5 + 38 * unit - x).clamp(0, 1)
    return torch.lerp(SKIN.expand(side, side, 3), HAND, cover[..., None]), cover


def face():
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    hull = (((x - 32) ** 2 + (y - 32) ** 2) < 24**2).float()
    features = (((x - 36) ** 2 + (y - 32) ** 2) < 7**2).float()
    return FaceParts(hull, features)


def test_what_is_known_of_a_bar_is_followed_over_a_feature_to_its_end_and_not_beyond():
    crop, cover = drawn()
    colours = log_colours(crop)
    spread = torch.tensor([0.19, 0.05, 0.05])[:, None, None]
    apart = (colours - log_colours(SKIN.expand(1, 1, 3))) / spread
    core = (cover > 0.9).float()
    core[:, 27:] = 0
    parts = face()
    front = outlined(colours, apart, core * parts.skin, core * parts.skin, parts)
    inside = parts.hull > 0
    assert float(front[inside & (cover > 0.99)].mean()) == 1
    assert float(front[inside & (cover < 0.01)].mean()) == 0


def test_the_border_lies_where_the_picture_has_it_to_a_third_of_a_pixel():
    times = 3
    picture, cover = drawn(SIDE * times)
    crop = picture.view(SIDE, times, SIDE, times, 3).mean((1, 3))
    matrix = np.array([[1 / times, 0, (1 / times - 1) / 2], [0, 1 / times, (1 / times - 1) / 2]])
    rough = (cover.view(SIDE, times, SIDE, times).mean((1, 3)) > 0.5).float()
    hidden, finer = with_fine_edges(picture, crop, matrix, rough, face())
    assert hidden.shape == (SIDE * times, SIDE * times)
    assert np.allclose(finer, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    middle = slice(10 * times, 54 * times), slice(10 * times, 54 * times)
    away = (hidden - cover)[middle].abs()
    assert float(away[(cover[middle] > 0.99) | (cover[middle] < 0.01)].mean()) < 0.004
    # a pixel of the border that is off by a third of itself
    assert float(away[(cover[middle] > 0.01) & (cover[middle] < 0.99)].mean()) < 0.33


def test_the_random_field_is_settled_where_a_dense_solution_has_it():
    generator = torch.Generator().manual_seed(5)
    size = (7, 6)
    said = (torch.rand(size, generator=generator) > 0.5).float()
    weight = 0.05 + torch.rand(size, generator=generator)
    colours = torch.rand((3, *size), generator=generator)
    count = said.numel()
    number = torch.arange(count).view(size)
    system = torch.diag(weight.flatten().double())
    for a, b in ((number[:, 1:], number[:, :-1]), (number[1:], number[:-1])):
        for i, j in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True):
            step = (colours.view(3, -1)[:, i] - colours.view(3, -1)[:, j]).square().sum()
            edge = 8.0 * float(torch.exp(-0.5 * step)) + 1e-3
            for row, column, value in ((i, i, edge), (j, j, edge), (i, j, -edge), (j, i, -edge)):
                system[row, column] += value
    dense = torch.linalg.solve(system, (weight * said).flatten().double()).view(size)
    found = _settled(said, weight, colours)
    assert found.double().numpy() == pytest.approx(dense.numpy(), abs=2e-3)
