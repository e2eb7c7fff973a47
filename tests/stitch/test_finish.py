"""Blends that hide the seam, and what fits a crop's colours and grain to its picture."""

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError
from likeness.pipelines.face import Faces
from likeness.pipelines.geometry.transforms import transform_points
from likeness.pipelines.stitch import BLENDS, Finish, crop_faces, stitch_faces
from likeness.pipelines.stitch.colour import COLOUR_MATCHES, match_colour
from likeness.pipelines.stitch.grain import match_grain, noise_level
from likeness.pipelines.stitch.light import lab_from_srgb, linear_from_srgb, srgb_from_lab, srgb_from_linear
from likeness.pipelines.stitch.membrane import membrane
from likeness.pipelines.stitch.seam import seam_mask


def disc(side, radius, feather=0.0):
    y, x = torch.meshgrid(torch.arange(side) - side / 2, torch.arange(side) - side / 2, indexing="ij")
    distance = (x**2 + y**2).sqrt()
    return ((radius - distance) / max(feather, 1e-6)).clamp(0, 1) if feather else (distance < radius).float()


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("colour", COLOUR_MATCHES)
@pytest.mark.parametrize("linear", [False, True])
def test_an_unchanged_crop_gives_the_picture_back_under_every_finish(scene, blend, colour, linear):
    crops = crop_faces(scene.images, scene.faces, 150)
    result, _ = stitch_faces(scene.images, crops, blend, finish=Finish(colour, 1.0, linear, "larger_on_top"))
    assert float((result - scene.images).abs().max()) <= 1e-6


@pytest.mark.parametrize("blend", BLENDS)
def test_outside_the_mask_not_one_bit_changes_under_every_finish(scene, blend):
    crops = crop_faces(scene.images, scene.faces, 150, mask="face")
    changed = crops.with_images(torch.rand_like(crops.images))
    result, used = stitch_faces(scene.images, changed, blend, finish=Finish("lab", 1.0, True))
    assert torch.equal(result[used == 0], scene.images[used == 0])
    assert float((result - scene.images).abs().max()) > 0.1 and bool(torch.isfinite(result).all())


def test_a_buffer_is_written_to_and_a_buffer_of_another_shape_is_refused(scene):
    crops = crop_faces(scene.images, scene.faces, 150)
    crops = crops.with_images(torch.zeros_like(crops.images))
    buffer = torch.empty_like(scene.images)
    result, _ = stitch_faces(scene.images, crops, out=buffer)
    assert result.data_ptr() == buffer.data_ptr() and torch.equal(result, stitch_faces(scene.images, crops)[0])
    with pytest.raises(InputError, match="buffer"):
        stitch_faces(scene.images, crops, out=buffer[:1])


@pytest.mark.parametrize("shape", [(64, 64), (61, 90), (128, 40)])
def test_a_membrane_over_a_straight_slope_is_the_slope(shape):
    y, x = torch.meshgrid(torch.linspace(0, 1, shape[0]), torch.linspace(0, 1, shape[1]), indexing="ij")
    slope = torch.stack([x, y, 0.5 * x - y])
    inside = torch.zeros(shape, dtype=torch.bool)
    inside[5:-5, 6:-7] = True
    broken = torch.where(inside, torch.full_like(slope, 7.0), slope)
    assert float((membrane(broken, inside) - slope).abs().max()) < 2e-3


def test_a_membrane_equals_the_exact_solution_of_laplaces_equation():
    inside = disc(24, 9).bool()
    values = torch.rand(1, 24, 24, generator=torch.Generator().manual_seed(1))
    rows = torch.nonzero(inside)
    number = {tuple(place.tolist()): at for at, place in enumerate(rows)}
    matrix, right = np.zeros((len(rows), len(rows))), np.zeros(len(rows))
    for (y, x), at in number.items():
        matrix[at, at] = 4
        for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if place in number:
                matrix[at, number[place]] = -1
            else:
                right[at] += float(values[0][place])
    exact = np.linalg.solve(matrix, right)
    solved = membrane(values, inside, cycles=20)[0][inside].numpy()
    assert np.abs(solved - exact).max() < 1e-3 and torch.equal(membrane(values, inside)[0][~inside], values[0][~inside])


def test_a_membrane_without_an_edge_or_without_an_inside_is_ordinary():
    values = torch.rand(3, 20, 30)
    assert float(membrane(values, torch.ones(20, 30, dtype=torch.bool)).abs().max()) == 0
    assert torch.equal(membrane(values, torch.zeros(20, 30, dtype=torch.bool)), values)


def test_poisson_takes_away_a_cast_and_keeps_detail(scene):
    waves = torch.sin(torch.linspace(0, 9, 320)) * torch.cos(torch.linspace(0, 7, 240))[:, None]
    images = (0.5 + 0.2 * waves)[None, :, :, None].expand(1, 240, 320, 3).contiguous()
    crops = crop_faces(images, Faces((scene.faces.frames[0][:1],), 240, 320), 150, mask="face")
    cast = crops.with_images(crops.images + torch.tensor([0.2, -0.1, 0.15]))
    result, used = stitch_faces(images, cast, "poisson")
    plain, _ = stitch_faces(images, cast, "alpha")
    assert float((result - images).abs().max()) < 0.01 < 0.19 < float((plain - images).abs().max())
    assert torch.equal(result[used == 0], images[used == 0])


def test_a_seam_runs_where_the_pictures_agree():
    alpha = disc(96, 44, 24.0)
    level = alpha.clone()
    change = torch.full((96, 96, 3), 0.3)
    change[(level > 0.55) & (level < 0.75)] = 0.0
    seam = seam_mask(change, alpha)
    cut = (seam > 0.2) & (seam < 0.8)
    assert 0.5 < float(level[cut].median()) < 0.8
    assert bool((seam[alpha == 0] == 0).all()) and bool((seam[alpha == 1] == 1).all())
    assert float((change.mean(-1) * seam * (1 - seam)).sum()) < 0.6 * float(
        (change.mean(-1) * alpha * (1 - alpha)).sum()
    )


def test_a_seam_of_a_hard_mask_is_the_mask():
    hard = disc(40, 12)
    assert torch.equal(seam_mask(torch.rand(40, 40, 3), hard), hard)


def test_lab_and_linear_light_come_back():
    values = torch.rand(50, 60, 3)
    assert torch.allclose(srgb_from_lab(lab_from_srgb(values)), values, atol=2e-5)
    assert torch.allclose(srgb_from_linear(linear_from_srgb(values)), values, atol=1e-6)
    grey = lab_from_srgb(torch.full((1, 1, 3), 0.5))[0, 0]
    assert grey.tolist() == pytest.approx([53.39, 0, 0], abs=0.02)
    red = lab_from_srgb(torch.tensor([[[1.0, 0, 0]]]))[0, 0]
    assert red.tolist() == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


def test_linear_light_mixes_light(scene):
    images = torch.zeros(1, 240, 320, 3)
    faces = Faces((scene.faces.frames[0][:1],), 240, 320)
    crops = crop_faces(images, faces, 150)
    half = crops.with_masks(torch.full((1, 150, 150), 0.5)).with_images(torch.ones_like(crops.images))
    result, _ = stitch_faces(images, half, finish=Finish(linear_light=True))
    assert float(result.max()) == pytest.approx(0.7354, abs=1e-3)


@pytest.mark.parametrize("method", ["lab", "histogram", "low_frequency"])
def test_a_colour_cast_is_taken_away_and_detail_stays(scene, method):
    original = scene.images[0, :150, :150]
    cast = (original * torch.tensor([0.7, 0.9, 0.8]) + torch.tensor([0.12, 0.0, 0.05])).clamp(0, 1)
    matched = match_colour(cast, original, disc(150, 60), method)
    inside = disc(150, 60).bool()
    before, after = (float((part - original)[inside].abs().mean()) for part in (cast, matched))
    assert after < 0.5 * before
    fine = [part[1:] - part[:-1] for part in (matched, original)]
    together = torch.stack([part[inside[1:]].flatten() for part in fine])
    assert float(torch.corrcoef(together)[0, 1]) > 0.97


def test_a_crop_under_an_empty_mask_keeps_its_colours():
    crop, original = torch.rand(30, 30, 3), torch.rand(30, 30, 3)
    for method in COLOUR_MATCHES:
        assert torch.equal(match_colour(crop, original, torch.zeros(30, 30), method), crop)


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.06])
def test_noise_is_measured_across_slopes_and_edges(noise):
    picture = torch.linspace(0.2, 0.8, 120)[None, :, None].expand(120, 120, 3).clone()
    picture[60:] += 0.15
    noisy = picture + noise * torch.randn(120, 120, 3, generator=torch.Generator().manual_seed(2))
    assert noise_level(noisy, torch.ones(120, 120, dtype=torch.bool)).tolist() == pytest.approx([noise] * 3, rel=0.08)


@pytest.mark.parametrize(("have", "want"), [(0.0, 0.04), (0.05, 0.015)])
def test_grain_becomes_that_of_the_surround_in_both_directions(have, want):
    generator = torch.Generator().manual_seed(3)
    flat = torch.full((160, 160, 3), 0.5)
    before = flat + want * torch.randn(flat.shape, generator=generator)
    new = flat + have * torch.randn(flat.shape, generator=generator)
    alpha = disc(160, 60)
    matched = match_grain(new, before, alpha, 1.0, seed=5)
    assert noise_level(matched, alpha > 0.5).tolist() == pytest.approx([want] * 3, rel=0.35)
    assert torch.equal(matched, match_grain(new, before, alpha, 1.0, seed=5))


def test_the_larger_of_two_overlapping_faces_can_lie_on_top(scene):
    faces = Faces(((scene.face(150, 120, 120), scene.face(120, 120, 90)),), 240, 320)
    crops = crop_faces(scene.images[:1], faces, 128)
    coloured = crops.with_images(torch.stack([torch.full((128, 128, 3), value) for value in (0.2, 0.9)]))
    given, _ = stitch_faces(scene.images[:1], coloured)
    larger, _ = stitch_faces(scene.images[:1], coloured, finish=Finish(order="larger_on_top"))
    assert given[0, 120, 130].tolist() == pytest.approx([0.9] * 3, abs=1e-5)
    assert larger[0, 120, 130].tolist() == pytest.approx([0.2] * 3, abs=1e-5)


@pytest.mark.parametrize("wrong", [{"colour": "sepia"}, {"grain": 2.0}, {"order": "random"}])
def test_a_finish_that_does_not_exist_is_refused(wrong):
    with pytest.raises(InputError):
        Finish(**wrong)


@pytest.mark.parametrize("angle", np.linspace(-3.1, 3.1, 9))
@pytest.mark.parametrize("size", [77, 333, 700])
def test_a_spot_drawn_on_a_landmark_arrives_within_a_hundredth_of_a_pixel_at_any_angle(scene, angle, size):
    face, blank = scene.face(240.3, 200.7, 170, angle), torch.zeros(1, 400, 480, 3)
    crops = crop_faces(blank, Faces(((face,),), 400, 480), 333).with_images(torch.zeros(1, size, size, 3))
    matrix = crops.crop_from_image[0]
    spread = max(4 * np.sqrt(np.linalg.det(matrix[:, :2])), 2.0)
    for landmark in face.landmarks5:
        x, y = transform_points(matrix, [landmark])[0]
        result, _ = stitch_faces(blank, crops.with_images(_spot(x, y, spread, size, size)))
        weight = result[0, :, :, 0].double()
        across, down = torch.arange(480).double(), torch.arange(400).double()
        centre = float((weight.sum(0) * across).sum()), float((weight.sum(1) * down).sum())
        assert np.hypot(*(np.array(centre) / float(weight.sum()) - landmark)) < 0.01


def _spot(x, y, spread, height, width):
    """A Gaussian (1, height, width, 3) around x, y px."""
    across, down = (torch.arange(length).double() for length in (width, height))
    fall = torch.outer(torch.exp(-(((down - y) / spread) ** 2) / 2), torch.exp(-(((across - x) / spread) ** 2) / 2))
    return fall.float()[None, :, :, None].repeat(1, 1, 1, 3)
