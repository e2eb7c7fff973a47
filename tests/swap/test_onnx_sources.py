"""What swappers make of a source, and that their crop and paste are those of insightface."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from likeness.pipelines.face import Face
from likeness.pipelines.geometry.templates import crop_from_image
from likeness.pipelines.identity.identity import EncodedReferences, encode_references
from likeness.pipelines.identity.insightface_backend import ArcFaceRecogniser
from likeness.pipelines.stitch import stitch_faces
from likeness.pipelines.swap import SwapOptions, swap_faces, swapper_named
from likeness.pipelines.swap.emap import mapped, read_emap
from likeness.pipelines.swap.inswapper import INSWAPPER
from likeness.tests.swap.onnx_stand_ins import (
    loaded,
    person_with,
    picture,
    place_of,
    registry_in,
    save,
    save_recogniser,
    sparse_face,
    unknown_person,
)

FIXTURES = Path(__file__).resolve().parents[1] / "parity" / "fixtures"


@pytest.fixture
def source_identity():
    return unknown_person()


@pytest.fixture
def person(source_identity):
    return person_with(source_identity)


@pytest.mark.parametrize("name", ["inswapper_128", "simswap_256", "hyperswap_1a_256"])
def test_an_identity_of_another_face_analysis_is_encoded_again_and_named(name, source_identity, tmp_path):
    pytest.importorskip("insightface")
    entry = swapper_named(name)
    loaded(entry, tmp_path)
    save_recogniser(tmp_path / "insightface/models/buffalo_l/w600k_r50.onnx")
    registry = registry_in(tmp_path)
    swapper = entry.load(registry)
    assert swapper.name == name and "arcface_w600k_r50" in entry.needs
    recogniser = ArcFaceRecogniser(registry, "arcface_w600k_r50", "insightface_w600k_r50")
    known = source_identity.with_vectors(
        encode_references(recogniser, source_identity.crops, source_identity.landmarks)
    )
    results = [
        swap_faces(swapper, picture(), [(0, sparse_face(), one)], SwapOptions(boost=1)).images
        for one in (source_identity, known)
    ]
    assert torch.equal(*results)
    assert swapper.about([known]) == []
    assert swapper.about([source_identity]) == [
        "someone: encoded again with arcface_w600k_r50 from 1 stored reference picture(s)."
    ]


def test_the_map_is_the_constant_of_that_name_else_the_last_one(tmp_path):
    first, last = (np.random.default_rng(seed).standard_normal((512, 512)).astype(np.float32) for seed in (1, 2))
    node = [onnx.helper.make_node("Identity", ["target"], ["output"])]
    inputs = {"target": [1, 3, 128, 128]}
    save(tmp_path / "named.onnx", inputs, node, {"emap": first, "other": last})
    save(tmp_path / "last.onnx", inputs, node, {"a": first, "b": last})
    assert np.array_equal(read_emap(tmp_path / "named.onnx"), first)
    assert np.array_equal(read_emap(tmp_path / "last.onnx"), last)


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    """insightface's picture, face and results, 8 bit RGB, and ours with the same network."""
    models = tmp_path_factory.mktemp("models")
    network = place_of("inswapper_128", models)
    network.parent.mkdir(parents=True)
    network.write_bytes((FIXTURES / "inswapper_synthetic.onnx").read_bytes())
    tensors = load_file(FIXTURES / "inswapper_and_alignment.safetensors")
    picture, crop, pasted = (
        tensors[name][..., ::-1].astype(np.float32)
        for name in ("in.image_bgr_u8", "out.crop_bgr_u8", "out.reference_pasted_bgr_u8")
    )
    points = tensors["in.kps"]
    face = Face(np.concatenate([points.min(0), points.max(0)]), 1.0, points)
    person = unknown_person().with_vectors(
        EncodedReferences("arcface_w600k_r50", "test", tensors["in.embedding"][None])
    )
    return SimpleNamespace(
        swapper=INSWAPPER.load(registry_in(models)),
        form=mapped(person, read_emap(network)),
        matrix=tensors["out.matrix_image_to_crop"],
        rgb=torch.from_numpy(picture)[None] / 255,
        picture=picture,
        crop=crop,
        pasted=pasted,
        face=face,
        person=person,
    )


def cut_to_8_bit(values):
    """As insightface writes what it computed, which drops fractions."""
    return (np.asarray(values) * 255).astype(np.uint8).astype(np.float32)


def mask_of_insightface(matrix, size, side):
    """What it pastes with (side, side): the crop's square made smaller by a tenth of its size and blurred by half that.

    Concretely OpenCV's `erode` with a square and `GaussianBlur` with the sigma that it takes for a kernel of that size.
    """
    y, x = np.mgrid[:side, :side]
    u, v = (row[0] * x + row[1] * y + row[2] for row in matrix)
    inside = [np.clip(np.minimum(along + 1, size - along), 0, 1) for along in (u, v)]
    square = inside[0] * inside[1] * 255 > 20
    rows, columns = np.nonzero(square)
    extent = int(np.sqrt(np.ptp(rows) * np.ptp(columns)))
    thinner, reach = max(extent // 10, 10), max(extent // 20, 5)
    before = thinner // 2
    after = thinner - 1 - before
    open_ended = F.pad(torch.from_numpy(square * 1.0)[None, None], (before, after, before, after), value=1.0)
    eroded = -F.max_pool2d(-open_ended, thinner, 1)
    sigma = 0.3 * (reach - 1) + 0.8
    bell = torch.exp(-(torch.arange(-reach, reach + 1).double() ** 2) / (2 * sigma**2))
    bell = (bell / bell.sum())[None, None, None]
    mirrored = F.pad(eroded, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(mirrored, bell), bell.mT)[0, 0].numpy()


def pasted_like_insightface(parity, pixels, x0, y0):
    """Pixels (h, w, 3) at a place of the picture, mixed in with insightface's mask, and its mask (side, side)."""
    whole = parity.rgb[0].numpy().astype(np.float64)
    side = len(whole)
    height, width = min(len(pixels), side - y0), min(pixels.shape[1], side - x0)
    whole[y0 : y0 + height, x0 : x0 + width] = pixels[:height, :width]
    mask = mask_of_insightface(parity.matrix, 128, side)
    mixed = mask[..., None] * whole + (1 - mask[..., None]) * parity.rgb[0].numpy()
    return cut_to_8_bit(mixed + 1e-6), mask  # what is 1 within rounding is no step less


def test_the_swapped_crop_is_that_of_insightface_within_one_step(parity):
    assert np.abs(crop_from_image(parity.face, "arcface_128", 128) - parity.matrix).max() < 1e-3
    crop = parity.swapper._crop(parity.rgb, 0, parity.face, 1)[None]
    swapped = cut_to_8_bit(parity.swapper.run(crop, parity.form)[0])
    assert np.abs(swapped - parity.crop).max() <= 1.0


def test_the_paste_of_its_own_crop_is_that_of_insightface_within_one_step_in_the_whole_picture(parity):
    placed = parity.swapper._back(parity.rgb[0], parity.face, torch.from_numpy(parity.crop) / 255, 1, SwapOptions())
    ours, mask = pasted_like_insightface(parity, placed.pixels.permute(1, 2, 0).numpy(), placed.x0, placed.y0)
    assert np.abs(ours - parity.pasted).max() <= 1.0
    assert np.abs(parity.picture - parity.pasted)[mask > 0.1].mean() > 20, "there is something to compare"


def test_the_swapped_picture_is_that_of_insightface_within_two_steps(parity):
    """A step of the crop and a step of the paste; in the whole box by its mask, and as it is where both are 1."""
    faces = swap_faces(parity.swapper, parity.rgb, [(0, parity.face, parity.person)], SwapOptions(boost=1))
    x0, y0 = (round(-float(value)) for value in faces.crop_from_image[0][:, 2])
    ours, mask = pasted_like_insightface(parity, faces.images[0].numpy(), x0, y0)
    assert np.abs(ours - parity.pasted).max() <= 2.0
    result, used = stitch_faces(parity.rgb, faces)
    both = (mask > 1 - 1e-6) & (used[0].numpy() == 1)
    error = (cut_to_8_bit(result[0]) - parity.pasted)[both]
    # they drop fractions twice and we once, half a step each on average
    assert both.sum() > 15000 and np.abs(error).max() <= 2.0 and 0 < error.mean() < 0.5
    # exact outside, where they are not: their border falls off into the picture, ours ends
    outside = used[0] == 0
    theirs = torch.from_numpy(np.abs(parity.pasted - parity.picture).max(-1) > 0)
    assert torch.equal(result[0][outside], parity.rgb[0][outside])
    assert int((theirs & outside).sum()) > 100
