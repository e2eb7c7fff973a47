"""The target's light and grain on the source's texture."""

import pytest
import torch

from likeness.pipelines.swap.colour import (
    Tone,
    local_mean,
    match_detail,
    skin_likelihood,
    smooth,
    tone_maps,
    with_saturation,
)
from likeness.pipelines.swap.face_grain import face_grain


def picture(colour, size=48, noise=0.02, seed=0):
    grain = torch.randn(1, size, size, generator=torch.Generator().manual_seed(seed)) * noise
    return torch.tensor(colour).view(3, 1, 1) + grain


def test_the_mean_of_the_lit_source_is_the_targets():
    source, target, ones = picture((0.7, 0.5, 0.4)), picture((0.4, 0.3, 0.3), seed=1), torch.ones(48, 48)
    tone = tone_maps(source, target, ones, ones, ones, 10.0, Tone())
    lit = source * tone.gain + tone.offset
    assert lit.mean((1, 2)).tolist() == pytest.approx(target.mean((1, 2)).tolist(), abs=0.01)


def test_a_light_from_one_side_is_taken_over():
    ramp = torch.linspace(0.6, 1.2, 48).expand(48, 48)
    source, ones = picture((0.6, 0.5, 0.4)), torch.ones(48, 48)
    target = picture((0.6, 0.5, 0.4), seed=1) * ramp
    tone = tone_maps(source, target, ones, ones, ones, 8.0, Tone())
    lit = (source * tone.gain + tone.offset).mean(0)
    assert float(lit[:, :12].mean()) < 0.8 * float(lit[:, -12:].mean())


def test_the_same_light_changes_nothing():
    source, ones = picture((0.6, 0.5, 0.4)), torch.ones(48, 48)
    tone = tone_maps(source, source, ones, ones, ones, 10.0, Tone())
    assert torch.allclose(source * tone.gain + tone.offset, source, atol=1e-3) and tone.saturation > 0.99


def test_the_white_of_the_eyes_takes_less_of_the_tint_than_skin():
    source, target, ones = picture((0.6, 0.5, 0.4)), picture((0.6, 0.5, 0.6), seed=1), torch.ones(48, 48)
    plain = ones.clone()
    plain[20:28, 20:28] = 0
    tone = tone_maps(source, target, ones, ones, plain, 10.0, Tone())
    tint = (tone.gain[2] / tone.gain[0]).log()
    assert float(tint[24, 24]) < 0.4 * float(tint[5, 5])


def test_saturation_scales_the_distance_from_the_skins_colour():
    lit = picture((0.6, 0.5, 0.4), noise=0)
    centre = torch.zeros_like(lit)
    half = with_saturation(lit, centre, 0.5)
    assert (half - half.mean(0))[0, 0, 0] == pytest.approx(0.5 * float((lit - lit.mean(0))[0, 0, 0]), abs=1e-6)


def test_hair_is_less_like_skin_than_skin():
    both = picture((0.7, 0.5, 0.4))
    both[:, :10] = picture((0.15, 0.1, 0.05))[:, :10]
    sample = torch.zeros(48, 48)
    sample[20:40, 10:40] = 1
    like = skin_likelihood(both, sample)
    assert float(like[:10].max()) < 0.05 and float(like[12:].min()) > 0.5


def test_a_soft_source_gets_the_targets_grain_and_a_crisp_one_stays():
    skin, grain = torch.ones(96, 96), torch.randn(96, 96, generator=torch.Generator().manual_seed(2))
    soft, grainy = picture((0.6, 0.5, 0.4), 96, 0.001), picture((0.6, 0.5, 0.4), 96, 0.02, seed=1)
    matched = match_detail(soft, grainy, skin, lambda: grain)
    spread = (matched - matched.mean((1, 2), keepdim=True)).std()
    assert 0.015 < float(spread) < 0.025
    assert torch.equal(match_detail(grainy, soft, skin, lambda: grain), grainy)


def test_texture_is_sharpened_and_an_edge_gets_no_halo():
    soft, crisp = picture((0.6, 0.5, 0.4), 96, 0.004), picture((0.6, 0.5, 0.4), 96, 0.0065, seed=1)
    edge = torch.zeros(96, 96)
    edge[:, 48:] = 0.4
    skin = torch.ones(96, 96)
    matched = match_detail(soft - edge, crisp, skin, lambda: torch.zeros(96, 96))
    plain = match_detail(soft, crisp, skin, lambda: torch.zeros(96, 96))
    assert float(plain[:, :, :40].std(2).mean()) > 1.3 * float(soft[:, :, :40].std(2).mean())
    assert float((matched - (soft - edge))[:, :, 44:52].abs().max()) < 0.02


def places(size, scale, shift=0.0):
    """Where pixels of a face of this scale lie in its crop, after it moved by `shift` px of the picture."""
    steps = (torch.arange(float(size)) - shift) / scale
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return x + 40, y + 60


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.71, 1.0, 1.6, 3.9])
def test_grain_has_unit_variance_at_every_size_of_the_face(scale):
    grain = face_grain(*places(300, scale), scale)
    assert grain.shape == (300, 300) and float(grain.std()) == pytest.approx(1.0, abs=0.12)
    assert float(grain.mean()) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3])
def test_grain_moves_with_the_face(scale):
    still = face_grain(*places(120, scale), scale)
    by_three = face_grain(*places(120, scale, 3.0), scale)
    assert torch.allclose(still[:-3, :-3], by_three[3:, 3:], atol=2e-3)
    by_a_part = face_grain(*places(120, scale, 0.3), scale)
    assert float(torch.corrcoef(torch.stack([still.ravel(), by_a_part.ravel()]))[0, 1]) > 0.75


@pytest.mark.parametrize("edge", [0.5**1.5, 0.5**0.5, 2**0.5])
def test_grain_does_not_jump_when_a_face_grows(edge):
    x, y = places(120, edge)
    before, after = face_grain(x, y, edge * 0.9999), face_grain(x, y, edge * 1.0001)
    assert float((after - before).abs().max()) < 0.01


def test_a_blur_keeps_a_constant_inside_and_sums_to_one():
    blurred = smooth(torch.ones(1, 1, 41, 41), 3.0)
    assert float(blurred[0, 0, 20, 20]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("size", [(7, 5), (48, 31), (64, 64)])
def test_the_local_mean_of_a_constant_is_that_constant_at_every_size(size):
    mean, overall = local_mean(torch.full((3, *size), 0.3), torch.ones(size), 10.0)
    assert mean.shape == (3, *size)
    assert torch.allclose(mean, torch.tensor(0.3), atol=1e-5) and float(overall.mean()) == pytest.approx(0.3)


def test_the_local_mean_without_any_weight_is_finite():
    mean, _ = local_mean(torch.rand(3, 20, 20), torch.zeros(20, 20), 4.0)
    assert bool(torch.isfinite(mean).all())
