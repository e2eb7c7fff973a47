"""Every swapper that is one ONNX network, on small stand-ins with the published interfaces."""

import numpy as np
import pytest
import torch

from likeness.pipelines.errors import InputError, WrongWeightsError
from likeness.pipelines.stitch import stitch_faces
from likeness.pipelines.swap import SwapOptions, swap_faces, swapper_named
from likeness.pipelines.swap.inswapper import INSWAPPER
from likeness.pipelines.swap.onnx_swapper import join, split
from likeness.tests.swap.onnx_stand_ins import (
    each_entry,
    loaded,
    person_with,
    picture,
    registry_in,
    save_converter,
    save_swapper,
    sparse_face,
    unknown_person,
)


@pytest.fixture
def source_identity():
    return unknown_person()


@pytest.fixture
def person(source_identity):
    return person_with(source_identity)


@each_entry
@pytest.mark.parametrize("batch", [1, "batch"])
def test_a_network_that_adds_a_number_adds_it_to_the_face_and_nothing_else(entry, batch, person, tmp_path):
    swapper = loaded(entry, tmp_path, batch)
    images = picture()
    assignments = [(0, sparse_face(), person), (1, sparse_face(0.2), person)]
    result, used = stitch_faces(images, swap_faces(swapper, images, assignments, SwapOptions(boost=1)))
    assert torch.equal(result[used == 0], images[used == 0]) and float(used.max()) > 0.99
    form = entry.source(registry_in(tmp_path))(person)
    added = float(np.asarray(form, np.float64).mean()) * (entry.std[0] if entry.signed else 1.0)
    crops = torch.full((1, entry.size, entry.size, 3), 0.5)
    expected = (0.5 - np.array(entry.mean)) / np.array(entry.std) + float(np.asarray(form).mean())
    expected = expected * np.array(entry.std) + np.array(entry.mean) if entry.signed else expected
    found = swapper.run(crops, form)[0, 5, 5].numpy()
    assert found == pytest.approx(np.clip(expected, 0, 1), abs=2e-3)
    assert np.isfinite(added) and bool(torch.isfinite(result).all())


@each_entry
def test_a_batch_equals_its_members(entry, person, tmp_path):
    swapper = loaded(entry, tmp_path, "batch")
    images = picture()
    pairs = [(0, sparse_face(), person), (1, sparse_face(0.2), person)]
    both = swap_faces(swapper, images, pairs, SwapOptions(boost=1))
    alone = swap_faces(swapper, images, pairs[1:], SwapOptions(boost=1))
    side = alone.images.shape[1]
    assert torch.allclose(both.images[1, :side, :side], alone.images[0], atol=1e-6)


@each_entry
def test_strength_zero_and_pictures_without_faces_change_nothing(entry, person, tmp_path):
    swapper = loaded(entry, tmp_path)
    images = picture()
    for pairs in ([(0, sparse_face(), person)], []):
        result, _ = stitch_faces(images, swap_faces(swapper, images, pairs, SwapOptions(strength=0.0, boost=1)))
        assert torch.equal(result, images)


@pytest.mark.parametrize("boost", [1, 2, 4, 8])
def test_sub_images_interleave_and_come_back_exactly(boost):
    crop = torch.rand(16 * boost, 16 * boost, 3)
    parts = split(crop, boost)
    assert parts.shape == (boost**2, 16, 16, 3) and torch.equal(join(parts, boost), crop)
    assert torch.equal(parts[0], crop[::boost, ::boost]) and torch.equal(
        parts[-1], crop[boost - 1 :: boost, boost - 1 :: boost]
    )


def test_the_boost_follows_the_size_of_the_face(person, tmp_path):
    swapper = loaded(INSWAPPER, tmp_path)
    boosts = [swapper.boost_for(sparse_face(scale)) for scale in (0.1, 0.3, 0.6, 1.2, 5.0)]
    assert boosts == sorted(boosts) and boosts[0] == 1 and boosts[-1] == 8


def test_a_half_precision_network_and_a_face_at_the_border_are_ordinary(person, tmp_path):
    swapper = loaded(swapper_named("inswapper_128_fp16"), tmp_path)
    images = picture()
    result, used = stitch_faces(images, swap_faces(swapper, images, [(0, sparse_face(0.4, -90, 100), person)]))
    assert bool(torch.isfinite(result).all()) and float(used.max()) > 0


def test_all_faces_of_all_pictures_go_through_a_network_of_free_batch_size_together(person, tmp_path):
    swapper = loaded(INSWAPPER, tmp_path, "batch")
    calls = []
    run = swapper._network.run
    swapper._network.run = lambda values: calls.append(len(values["target"])) or run(values)
    pairs = [(index, sparse_face(scale), person) for index in (0, 1) for scale in (0.2, 0.25, 0.3)]
    swap_faces(swapper, picture(), pairs, SwapOptions(boost=1))
    swap_faces(swapper, picture(), pairs, SwapOptions(boost=2))
    assert calls == [6, 16, 8]


def test_boost_samples_the_same_places_as_the_classic_crop_and_more_between_them(person, tmp_path):
    swapper = loaded(INSWAPPER, tmp_path, "batch")
    images, face = picture(), sparse_face(0.5, 20, 0)
    classic, boosted = swapper._crop(images, 0, face, 1), swapper._crop(images, 0, face, 2)
    assert torch.allclose(boosted[::2, ::2], classic, atol=1e-4)


@pytest.mark.parametrize("width", [321, 320])
@pytest.mark.parametrize("x", [-100.0, 230.0, 60.0])
def test_alpha_odd_widths_and_faces_half_outside_are_ordinary(x, width, person, tmp_path):
    swapper = loaded(INSWAPPER, tmp_path, "batch")
    images = torch.rand(1, 241, width, 4, generator=torch.Generator().manual_seed(2))
    result, used = stitch_faces(images, swap_faces(swapper, images, [(0, sparse_face(0.4, x, 30), person)]))
    assert result.shape == images.shape and torch.equal(result[..., 3], images[..., 3])
    assert torch.equal(result[used == 0], images[used == 0]) and float(used.max()) > 0.9
    assert bool(torch.isfinite(result).all())


def test_another_model_under_the_name_is_refused(tmp_path):
    registry = registry_in(tmp_path)
    part = registry.manifest.entry("inswapper_128")
    save_converter(tmp_path / part.folder / part.file)
    with pytest.raises(WrongWeightsError, match="512"):
        INSWAPPER.load(registry)
    save_swapper(tmp_path / part.folder / part.file, swapper_named("hyperswap_1a_256"))
    with pytest.raises(WrongWeightsError, match="128"):
        INSWAPPER.load(registry_in(tmp_path))


def test_a_boost_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="boost"):
        SwapOptions(boost=3)
