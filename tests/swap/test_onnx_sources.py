"""What swappers make of a source, and that their crop and paste are those of insightface."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
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


@pytest.fixture
def reference():
    return load_file(FIXTURES / "inswapper_and_alignment.safetensors")


def test_the_swapped_crop_and_the_paste_are_those_of_insightface(reference, source_identity, tmp_path):
    registry = registry_in(tmp_path)
    part = registry.manifest.entry("inswapper_128")
    target = tmp_path / part.folder / part.file
    target.parent.mkdir(parents=True)
    target.write_bytes((FIXTURES / "inswapper_synthetic.onnx").read_bytes())
    swapper = INSWAPPER.load(registry)
    rgb = torch.from_numpy(reference["in.image_bgr_u8"][..., ::-1].copy()).float()[None] / 255
    points = reference["in.kps"]
    face = Face(np.concatenate([points.min(0), points.max(0)]), 1.0, points)
    vector = EncodedReferences("arcface_w600k_r50", "test", reference["in.embedding"][None])
    person = source_identity.with_vectors(vector)
    crop = swapper._crop(rgb, 0, face, 1)[None]
    swapped = swapper.run(crop, mapped(person, read_emap(target)))[0].flip(-1).numpy() * 255
    assert np.abs(swapped - reference["out.crop_bgr_u8"].astype(np.float32)).max() <= 1.5
    matrix = crop_from_image(face, "arcface_128", 128)
    assert np.abs(matrix - reference["out.matrix_image_to_crop"]).max() < 1e-3
    result, used = stitch_faces(rgb, swap_faces(swapper, rgb, [(0, face, person)], SwapOptions(boost=1)))
    pasted = torch.from_numpy(reference["out.reference_pasted_bgr_u8"][..., ::-1].copy()).float()[None] / 255
    theirs = ((pasted - rgb).abs().amax(-1) > 0)[0]
    box = theirs.nonzero()
    (top, left), (bottom, right) = box.amin(0).tolist(), box.amax(0).tolist()
    inside = torch.zeros_like(theirs)
    grow = [(bottom - top) // 4, (right - left) // 4]
    inside[top + grow[0] : bottom - grow[0], left + grow[1] : right - grow[1]] = True
    core = inside & (used[0] > 0.999)
    # the same inside, but for what they cut off: twice the fraction of an 8-bit step, half a step each on average
    error = (result - pasted)[0][core] * 255
    assert int(core.sum()) > 1000 and abs(float(error.mean()) - 1.0) < 0.35
    assert float((error - error.mean()).abs().quantile(0.99)) < 1.5 and float(error.abs().max()) < 4
    # exact outside, where they are not: their border falls off into the picture, ours ends
    outside = used[0] == 0
    assert torch.equal(result[0][outside], rgb[0][outside])
    assert int((theirs & outside).sum()) > 100
