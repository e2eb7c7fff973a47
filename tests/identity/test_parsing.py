"""Face parsing: the published network, its file, and the way from classes to masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from likeness.pipelines.errors import InputError, MissingWeightsError, UnsafeFileError, WrongWeightsError
from likeness.pipelines.face import Face, Faces, five_points
from likeness.pipelines.identity.net_bisenet import build_bisenet
from likeness.pipelines.identity.parsed_masks import parsed_in_pictures, part_probabilities
from likeness.pipelines.identity.parsing import (
    CLASSES,
    PARSED_PARTS,
    PARSERS,
    is_class,
    load_parser,
    parser_names,
    present_parser,
)
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.adapters.sample_people import landmarks
from likeness.tests.identity.parser_files import colour_parser, painted, published_shapes, published_state, save_parser

State = dict[str, Tensor]


def registry_of(models: Path) -> Registry:
    """Of a models folder whose parsers may have any content."""
    ids = {kind.weights_id for kind in PARSERS}
    entries = tuple(replace(e, size_bytes=None, sha256=None) if e.id in ids else e for e in Manifest.load().entries)
    return Registry(TorchRuntime(model_folders={"": models}), Manifest(entries))


def norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var, weight, bias = (
        state[f"{name}.{part}"].view(-1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def conv_norm(state: State, name: str, x: Tensor) -> Tensor:
    weight = state[f"{name}.conv.weight"]
    return norm(state, f"{name}.bn", F.conv2d(x, weight, padding=weight.shape[2] // 2)).relu()


def slow_bisenet(state: State, x: Tensor) -> Tensor:
    """The published computation read off the keys, one step after the other."""
    size = x.shape[2:]
    x = norm(state, "cp.resnet.bn1", F.conv2d(x, state["cp.resnet.conv1.weight"], stride=2, padding=3)).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    levels = []
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"cp.resnet.layer{layer}.{block}"
            stride = 2 if block == 0 and layer > 1 else 1
            inside = norm(state, f"{name}.bn1", F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1))
            inside = norm(state, f"{name}.bn2", F.conv2d(inside.relu(), state[f"{name}.conv2.weight"], padding=1))
            if f"{name}.downsample.0.weight" in state:
                x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
                x = norm(state, f"{name}.downsample.1", x)
            x = (x + inside).relu()
        levels.append(x)
    _, eighth, sixteenth, coarsest = levels

    def refined(name: str, x: Tensor) -> Tensor:
        x = conv_norm(state, f"{name}.conv", x)
        weight = F.conv2d(F.avg_pool2d(x, x.shape[2:]), state[f"{name}.conv_atten.weight"])
        return x * norm(state, f"{name}.bn_atten", weight).sigmoid()

    mean = conv_norm(state, "cp.conv_avg", F.avg_pool2d(coarsest, coarsest.shape[2:]))
    deep = refined("cp.arm32", coarsest) + mean
    deep = conv_norm(state, "cp.conv_head32", F.interpolate(deep, sixteenth.shape[2:], mode="nearest"))
    middle = refined("cp.arm16", sixteenth) + deep
    context = conv_norm(state, "cp.conv_head16", F.interpolate(middle, eighth.shape[2:], mode="nearest"))
    fused = conv_norm(state, "ffm.convblk", torch.cat([eighth, context], 1))
    weight = F.conv2d(F.avg_pool2d(fused, fused.shape[2:]), state["ffm.conv1.weight"]).relu()
    fused = fused * F.conv2d(weight, state["ffm.conv2.weight"]).sigmoid() + fused
    logits = F.conv2d(conv_norm(state, "conv_out.conv", fused), state["conv_out.conv_out.weight"])
    return F.interpolate(logits, size, mode="bilinear", align_corners=True)


def test_the_published_file_has_the_size_of_this_table_of_keys() -> None:
    numbers = sum(torch.Size(shape).numel() for shape in published_shapes().values())
    published = Manifest.load().entry("bisenet_face_parsing").size_bytes
    assert published is not None and len(published_shapes()) == 191
    # what is left over is the container: names and places of 191 tensors
    assert 0 < published - 4 * numbers < 300 * 191


def test_the_network_computes_what_its_keys_say_at_any_size() -> None:
    state = published_state()
    network = build_bisenet(state, "a file", len(CLASSES))
    for height, width in ((128, 128), (96, 200)):
        pixels = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            torch.testing.assert_close(network(pixels), slow_bisenet(state, pixels), atol=2e-5, rtol=1e-4)


def test_counters_that_older_files_lack_are_not_asked_for() -> None:
    whole = published_state()
    state = {key: value for key, value in whole.items() if not key.endswith("num_batches_tracked")}
    assert len(state) < len(whole)
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = [build_bisenet(table, "a file", len(CLASSES))(pixels) for table in (state, whole)]
    assert torch.equal(*made)


def test_keys_that_belong_to_nothing_or_are_missing_are_named() -> None:
    with pytest.raises(WrongWeightsError, match=r"79999.*unknown 1 key\(s\): ffm.extra"):
        build_bisenet({**published_state(), "ffm.extra": torch.zeros(1)}, "79999.pth", len(CLASSES))
    part = published_state()
    del part["ffm.conv2.weight"]
    with pytest.raises(WrongWeightsError, match=r"missing 1 key\(s\): ffm.conv2.weight"):
        build_bisenet(part, "79999.pth", len(CLASSES))
    with pytest.raises(WrongWeightsError, match="no BiSeNet face parser.*body.weight"):
        build_bisenet({"body.weight": torch.zeros(1)}, "x.pth", len(CLASSES))


def test_auto_takes_the_published_file_from_where_other_packs_keep_it(tmp_path: Path) -> None:
    registry = registry_of(tmp_path)
    assert present_parser(registry) is None
    path = save_parser(tmp_path)
    elsewhere = tmp_path / "bisenet" / "79999_iter.pth"
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    parser = load_parser(registry)
    assert parser.name == "bisenet" and "non-commercial" in parser.licence
    crops = torch.rand(1, 512, 512, 3, generator=torch.Generator().manual_seed(0))
    probabilities = parser.probabilities(crops)
    assert probabilities.shape == (1, 19, 512, 512)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 512, 512))


def test_the_label_of_a_pixel_is_its_likeliest_class_and_a_batch_is_its_members() -> None:
    crops = torch.rand(5, 512, 512, 3, generator=torch.Generator().manual_seed(0))
    parser = colour_parser()
    labels = parser.labels(crops)
    assert labels.shape == (5, 512, 512)
    assert torch.equal(parser.probabilities(crops[4:]).argmax(1), labels[4:])


def test_a_missing_parser_is_named_with_file_size_folder_and_licence(tmp_path: Path) -> None:
    said = r"parsing_bisenet\.pth \(53\.3 MB\).*models/facexlib.*non-commercial"
    with pytest.raises(MissingWeightsError, match=said):
        load_parser(Registry(TorchRuntime(model_folders={"": tmp_path})))
    with pytest.raises(InputError, match="'parsenet'.*auto, bisenet"):
        load_parser(registry_of(tmp_path), "parsenet")


class Trap:
    """Would run code when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("1",))


def test_a_parser_file_with_code_in_it_is_not_opened(tmp_path: Path) -> None:
    path = save_parser(tmp_path)
    torch.save({"a": Trap()}, path)
    with pytest.raises(UnsafeFileError, match="could run code"):
        load_parser(registry_of(tmp_path), "bisenet")


def test_an_onnx_parser_gives_the_same_kind_of_answer_picture_by_picture(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = torch.randn(19, 3, 1, 1, generator=torch.Generator().manual_seed(1)).numpy()
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input", "w"], ["output"])],
        "parser",
        [helper.make_tensor_value_info("input", kind, [1, 3, 512, 512])],
        [helper.make_tensor_value_info("output", kind, [1, 19, 512, 512])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "facefusion").mkdir()
    onnx.save(model, tmp_path / "facefusion" / "bisenet_resnet_34.onnx")
    parser = load_parser(registry_of(tmp_path))
    assert parser.name == "bisenet_resnet_34"
    crops = torch.rand(2, 512, 512, 3, generator=torch.Generator().manual_seed(2))
    normalised = (crops - torch.tensor((0.485, 0.456, 0.406))) / torch.tensor((0.229, 0.224, 0.225))
    expected = torch.einsum("nhwc,kc->nkhw", normalised, torch.from_numpy(weights[:, :, 0, 0])).argmax(1)
    assert (parser.labels(crops) == expected).float().mean() > 0.999


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"512, 512, 3\), this is \(1, 256, 256, 3\)"):
        colour_parser().labels(torch.zeros(1, 256, 256, 3))


def test_every_class_has_its_part_and_its_number() -> None:
    labels = torch.arange(19)
    assert [int(is_class(labels, (name,)).argmax()) for name in CLASSES] == list(range(19))
    numbers = {part: is_class(labels, names).nonzero().flatten().tolist() for part, names in PARSED_PARTS.items()}
    assert numbers == {
        "face": [1, 2, 3, 4, 5, 6, 10, 11, 12, 13],
        "skin": [1, 10],
        "brows": [2, 3],
        "eyes": [4, 5],
        "nose": [10],
        "lips": [12, 13],
        "mouth_interior": [11],
        "hair": [17],
        "hat": [18],
        "glasses": [6],
        "ears": [7, 8, 9],
        "neck": [14, 15],
        "clothes": [16],
        "background": [0],
    }
    assert set(CLASSES) == {name for names in PARSED_PARTS.values() for name in names}


def test_a_part_is_as_likely_as_its_classes_together() -> None:
    labels = torch.zeros(1, 512, 512, dtype=torch.int64)
    labels[:, 100:200], labels[:, 200:300] = 12, 13
    crops = painted(labels)
    lips = part_probabilities(colour_parser(), crops, ("lips",))
    assert lips[0, 150, 9] > 0.99 and lips[0, 250, 9] > 0.99 and lips[0, 50, 9] < 1e-6
    assert 0 <= float(lips.min()) and float(lips.max()) <= 1
    with pytest.raises(InputError, match=r"no part beard; there are face, skin"):
        part_probabilities(colour_parser(), crops, ("beard",))


def test_a_parsed_part_lies_in_the_picture_where_it_was_seen() -> None:
    """A turned, scaled and shifted face: what is hair in its picture is hair in the mask."""
    dense = landmarks()
    turn = torch.tensor([[0.5, 0.12], [-0.12, 0.5]])
    points = dense.copy()
    points[:, :2] = dense[:, :2] @ turn.T.numpy() + (120.0, 150.0)
    box = [points[:, 0].min(), points[:, 1].min(), points[:, 0].max(), points[:, 1].max()]
    face = Face(torch.tensor(box).numpy(), 1.0, five_points(points), points)
    labels = torch.zeros(2, 500, 600, dtype=torch.int64)
    labels[0, 280:330, 300:380] = 17
    masks = parsed_in_pictures(colour_parser(), painted(labels), Faces(((face,), ()), 500, 600), ("hair",))
    wanted = (labels == 17).float()
    assert masks.shape == (2, 500, 600) and masks[1].max() == 0
    inner = F.max_pool2d(1 - wanted[:, None], 5, 1, 2)[:, 0] < 0.5
    outer = F.max_pool2d(wanted[:, None], 5, 1, 2)[:, 0] < 0.5
    assert masks[0][inner[0]].min() > 0.98 and masks[0][outer[0]].max() < 0.02


def test_pictures_of_another_size_than_the_faces_are_refused() -> None:
    faces = Faces(((),), 20, 30)
    with pytest.raises(InputError, match="40 × 20 px but the faces were found in pictures of 30 × 20"):
        parsed_in_pictures(colour_parser(), torch.zeros(1, 20, 40, 3), faces, ("hair",))
    assert parsed_in_pictures(colour_parser(), torch.zeros(1, 20, 30, 3), faces, ("hair",)).shape == (1, 20, 30)


def test_every_parser_has_a_name_of_its_own_and_a_file_in_the_manifest() -> None:
    names = parser_names()
    assert len(set(names)) == len(names)
    for kind in PARSERS:
        assert Manifest.load().entry(kind.weights_id).sha256
