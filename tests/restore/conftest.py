"""Drawn faces in pictures of coloured noise, and a registry that takes small stand-ins for the published files."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from likeness.pipelines.face import Face, Faces, five_points
from likeness.pipelines.geometry.features import EYES
from likeness.pipelines.geometry.mesh import canonical_mesh
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest

torch.set_num_threads(1)
DOUBLE, FLOAT, HALF = onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def drawn_face(x, y, width, dense=True):
    points = np.zeros((478, 3), dtype=np.float32)
    points[:468] = canonical_mesh().points * np.array([1, -1, -1])
    for eye in EYES:
        points[[eye.iris, *eye.iris_edge]] = points[list(eye.lids.loop)].mean(0)
    points *= width / np.ptp(points[:468, 0])
    points[:, :2] += np.array([x, y])
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    box = np.concatenate([low, high]).astype(np.float32)
    return Face(box, 1.0, five_points(points), points.astype(np.float32) if dense else None)


@pytest.fixture
def scene():
    coarse = torch.rand(2, 3, 32, 42, generator=torch.Generator().manual_seed(3))
    images = torch.nn.functional.interpolate(coarse, size=(241, 317), mode="bilinear").permute(0, 2, 3, 1).contiguous()
    faces = Faces(((drawn_face(110, 120, 100), drawn_face(240, 110, 60)), (drawn_face(160, 120, 90),)), 241, 317)
    return images, faces


@pytest.fixture
def registry(tmp_path):
    entries = Manifest.load().entries
    kept = tuple(part if part.embedded else replace(part, size_bytes=None, sha256=None) for part in entries)
    return Registry(TorchRuntime(model_folders={"": tmp_path}), Manifest(kept))


def place_of(registry, weights_id):
    entry = registry.manifest.entry(weights_id)
    path = registry.runtime.model_folders(entry.folder)[0] / entry.file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def save_onnx(path, size, batch=1, number=None, half=False, name="input", channels=3):
    """Halves a picture in [-1, 1], as restorers take it, and adds the number where it has one."""
    node, helper, kind = onnx.helper.make_node, onnx.helper, HALF if half else FLOAT
    inputs = [helper.make_tensor_value_info(name, kind, [batch, channels, size, size])]
    nodes = [node("Mul", [name, "half"], ["product"])]
    if number is not None:
        inputs.append(helper.make_tensor_value_info(number, DOUBLE, [1]))
        nodes += [node("Cast", [number], ["cast"], to=kind), node("Add", ["product", "cast"], ["output"])]
    else:
        nodes.append(node("Identity", ["product"], ["output"]))
    constant = onnx.numpy_helper.from_array(np.array(0.5, np.float16 if half else np.float32), "half")
    outputs = [helper.make_tensor_value_info("output", kind, None)]
    graph = helper.make_graph(nodes, "small", inputs, outputs, [constant])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


@pytest.fixture
def make():
    from types import SimpleNamespace

    return SimpleNamespace(face=drawn_face, place=place_of, onnx=save_onnx)
