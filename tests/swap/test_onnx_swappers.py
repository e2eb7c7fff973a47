"""Every swapper that is one ONNX network, on small stand-ins with the published interfaces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file

from likeness.pipelines.errors import InputError, WrongWeightsError
from likeness.pipelines.face import Face
from likeness.pipelines.geometry.templates import TEMPLATES, crop_from_image
from likeness.pipelines.identity.identity import EncodedReferences, Identity, encode_references
from likeness.pipelines.identity.insightface_backend import ArcFaceRecogniser
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.stitch import stitch_faces
from likeness.pipelines.swap import SWAPPERS, SwapOptions, swap_faces, swapper_named
from likeness.pipelines.swap.blendswap import BLENDSWAP
from likeness.pipelines.swap.emap import mapped, read_emap
from likeness.pipelines.swap.inswapper import INSWAPPER
from likeness.pipelines.swap.onnx_swapper import OnnxSwapper, join, split
from likeness.pipelines.swap.uniface import UNIFACE
from likeness.pipelines.weights import Manifest

FIXTURES = Path(__file__).resolve().parents[1] / "parity" / "fixtures"
ENTRIES = [entry for entry in SWAPPERS if isinstance(entry, OnnxSwapper)]
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def save(path, inputs, nodes, constants, kind=FLOAT):
    helper = onnx.helper
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("output", kind, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


def save_swapper(path, entry, batch=1):
    """Adds the mean of the source's form to the target, in the network's own numbers."""
    kind = HALF if "fp16" in entry.name else FLOAT
    number = np.float16 if kind == HALF else np.float32
    picture = entry in (UNIFACE, BLENDSWAP)
    source = [batch, 3, 112, 112] if entry is BLENDSWAP else [batch, 3, 256, 256] if picture else [batch, 512]
    node = onnx.helper.make_node
    nodes = [
        node("ReduceMean", ["source"], ["mean"], axes=[1, 2, 3] if picture else [1], keepdims=1),
        node("Reshape", ["mean", "shape"], ["flat"]),
        node("Add", ["target", "flat"], ["output"]),
    ]
    constants = {"shape": np.array([-1, 1, 1, 1]), "emap": np.eye(512, dtype=number)}
    save(path, {"target": [batch, 3, entry.size, entry.size], "source": source}, nodes, constants, kind)


def save_converter(path):
    nodes = [onnx.helper.make_node("Mul", ["input", "two"], ["output"])]
    save(path, {"input": [1, 512]}, nodes, {"two": np.array([2.0], np.float32)})


def registry_in(models):
    kept = tuple(
        part if part.embedded else replace(part, size_bytes=None, sha256=None) for part in Manifest.load().entries
    )
    return Registry(TorchRuntime(model_folders={"": models}), Manifest(kept))


def loaded(entry, models, batch=1):
    registry = registry_in(models)
    for weights_id in entry.requires:
        part = registry.manifest.entry(weights_id)
        path = models / part.folder / part.file
        if weights_id == entry.weights_id:
            save_swapper(path, entry, batch)
        else:
            save_converter(path)
    return entry.load(registry)


@pytest.fixture
def person(source_identity):
    vector = np.random.default_rng(4).standard_normal((len(source_identity.weights), 512)).astype(np.float32)
    return source_identity.with_vectors(EncodedReferences("arcface_w600k_r50", "test", vector))


@pytest.fixture
def source_identity():
    generator = np.random.default_rng(1)
    landmarks = generator.uniform(150, 350, (1, 478, 3)).astype(np.float32)
    points = TEMPLATES["ffhq_512"] * 512
    for index, at in zip((468, 473, 4, 61, 291), points, strict=True):
        landmarks[0, index, :2] = at
    crops = torch.randint(0, 255, (1, 512, 512, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    vectors = (EncodedReferences("dlib_resnet_128", "test", generator.standard_normal((1, 128)).astype(np.float32)),)
    return Identity("someone", crops, landmarks, np.ones(1, np.float32), vectors, "", ())


def sparse_face(scale=0.3, x=60.0, y=40.0):
    points = (TEMPLATES["ffhq_512"] * 512 * scale + np.array([x, y])).astype(np.float32)
    return Face(np.concatenate([points.min(0), points.max(0)]).astype(np.float32), 1.0, points)


def picture():
    return torch.rand(2, 240, 320, 3, generator=torch.Generator().manual_seed(2)) * 0.5 + 0.2


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


def save_recogniser(path):
    """Means of the three colours, spread over 512 numbers."""
    spread = np.random.default_rng(3).standard_normal((3, 512)).astype(np.float32)
    node = onnx.helper.make_node
    nodes = [
        node("GlobalAveragePool", ["input"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("MatMul", ["flat", "spread"], ["output"]),
    ]
    save(path, {"input": ["batch", 3, 112, 112]}, nodes, {"spread": spread})
    model = onnx.load(str(path))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output", FLOAT, ["batch", 512]))
    onnx.save(model, str(path))


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


def test_all_faces_of_all_pictures_go_through_a_network_of_free_batch_size_together(person, tmp_path):
    swapper = loaded(INSWAPPER, tmp_path, "batch")
    calls = []
    run = swapper._network.run
    swapper._network.run = lambda values: calls.append(len(values["target"])) or run(values)
    pairs = [(index, sparse_face(scale), person) for index in (0, 1) for scale in (0.2, 0.25, 0.3)]
    swap_faces(swapper, picture(), pairs, SwapOptions(boost=1))
    swap_faces(swapper, picture(), pairs, SwapOptions(boost=2))
    assert calls == [6, 16, 8]


def test_the_map_is_the_constant_of_that_name_else_the_last_one(tmp_path):
    first, last = (np.random.default_rng(seed).standard_normal((512, 512)).astype(np.float32) for seed in (1, 2))
    node = [onnx.helper.make_node("Identity", ["target"], ["output"])]
    inputs = {"target": [1, 3, 128, 128]}
    save(tmp_path / "named.onnx", inputs, node, {"emap": first, "other": last})
    save(tmp_path / "last.onnx", inputs, node, {"a": first, "b": last})
    assert np.array_equal(read_emap(tmp_path / "named.onnx"), first)
    assert np.array_equal(read_emap(tmp_path / "last.onnx"), last)


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
