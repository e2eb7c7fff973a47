"""Small networks with the published interfaces of swappers, converters and the recogniser, and faces for them."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from likeness.pipelines.face import Face
from likeness.pipelines.geometry.templates import TEMPLATES
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap import SWAPPERS
from likeness.pipelines.swap.onnx_swapper import OnnxSwapper
from likeness.pipelines.weights import Manifest

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


def save_swapper(path, entry, batch=1, source=None, side=None, last=("Identity", {}), extra=()):
    """Adds the mean of the source's form to the target, in the network's own numbers; its map turns a vector by one.

    source, side: other sizes than the entry's. last: the operation, with its attributes, that makes the output of the
    sum. extra: names of further inputs.
    """
    kind = HALF if "fp16" in entry.name else FLOAT
    number = np.float16 if kind == HALF else np.float32
    source, side = source or entry.source_sizes, side or entry.size
    node = onnx.helper.make_node
    operation, attributes = last
    half = ["half"] if operation == "Compress" else []
    nodes = [
        node("ReduceMean", ["source"], ["mean"], axes=list(range(1, len(source) + 1)), keepdims=1),
        node("Reshape", ["mean", "shape"], ["flat"]),
        node("Sum", ["target", "flat", *extra], ["sum"]),
        node(operation, ["sum", *half], ["output"], **attributes),
    ]
    inputs = {"target": [batch, 3, side, side], "source": [batch, *source]} | {name: [1] for name in extra}
    constants = {"half": np.arange(side) % 2 == 0, "shape": np.array([-1, 1, 1, 1])}
    constants["emap"] = np.roll(np.eye(512, dtype=number), 1, 1)
    save(path, inputs, nodes, constants, kind)


def save_converter(path, width=512, batch=1):
    """Twice the vector, turned by two."""
    node = onnx.helper.make_node
    nodes = [node("Gather", ["input", "turned"], ["moved"], axis=1), node("Mul", ["moved", "two"], ["output"])]
    constants = {"turned": np.roll(np.arange(width), 2), "two": np.array([2.0], np.float32)}
    save(path, {"input": [batch, width]}, nodes, constants)


def registry_in(models, runtime=None):
    kept = tuple(
        part if part.embedded else replace(part, size_bytes=None, sha256=None) for part in Manifest.load().entries
    )
    return Registry(runtime or TorchRuntime(model_folders={"": models}), Manifest(kept))


def place_of(weights_id, models):
    """Where a file belongs."""
    part = Manifest.load().entry(weights_id)
    return models / part.folder / part.file


def put_files(entry, models, batch=1):
    """All files that an entry needs; the recogniser's is never opened unless it has to encode."""
    for weights_id in entry.requires:
        if weights_id == entry.weights_id:
            save_swapper(place_of(weights_id, models), entry, batch)
        else:
            save_converter(place_of(weights_id, models))


def loaded(entry, models, batch=1, runtime=None):
    put_files(entry, models, batch)
    return entry.load(registry_in(models, runtime))


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


def sparse_face(scale=0.3, x=60.0, y=40.0):
    points = (TEMPLATES["ffhq_512"] * 512 * scale + np.array([x, y])).astype(np.float32)
    return Face(np.concatenate([points.min(0), points.max(0)]).astype(np.float32), 1.0, points)


def picture():
    return torch.rand(2, 240, 320, 3, generator=torch.Generator().manual_seed(2)) * 0.5 + 0.2


def person_with(source_identity):
    vector = np.random.default_rng(4).standard_normal((len(source_identity.weights), 512)).astype(np.float32)
    return source_identity.with_vectors(EncodedReferences("arcface_w600k_r50", "test", vector))


def unknown_person():
    generator = np.random.default_rng(1)
    landmarks = generator.uniform(150, 350, (1, 478, 3)).astype(np.float32)
    points = TEMPLATES["ffhq_512"] * 512
    for index, at in zip((468, 473, 4, 61, 291), points, strict=True):
        landmarks[0, index, :2] = at
    crops = torch.randint(0, 255, (1, 512, 512, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    vectors = (EncodedReferences("dlib_resnet_128", "test", generator.standard_normal((1, 128)).astype(np.float32)),)
    return Identity("someone", crops, landmarks, np.ones(1, np.float32), vectors, "", ())
