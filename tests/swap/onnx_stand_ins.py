"""Small networks with the published interfaces of swappers, converters and the recogniser, and faces for them."""

from dataclasses import replace

import numpy as np
import onnx
import torch

from likeness.pipelines.face import Face
from likeness.pipelines.geometry.templates import TEMPLATES
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap.blendswap import BLENDSWAP
from likeness.pipelines.swap.uniface import UNIFACE
from likeness.pipelines.weights import Manifest

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
