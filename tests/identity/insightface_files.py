"""Small ONNX files of the true interface of insightface's packs, whose weights cannot be part of this repository.

The detector finds a pure green mark and says where a face around it has its points; the other networks are linear.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest

#: What the detector says a face has around the mark, in px of a 512 px picture: five points, and the box's four sides.
POINTS = np.array([[-20.0, -4.0], [22.0, -4.0], [3.0, 20.0], [-16.0, 46.0], [22.0, 46.0]])
BOX = (60.0, 70.0, 65.0, 80.0)


def save(
    path: Path,
    nodes: list[Any],
    outputs: dict[str, list[Any]],
    input_shape: list[Any],
    constants: dict[str, np.ndarray],
) -> None:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input.1", kind, input_shape)],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def save_detector(path: Path) -> None:
    """Nine outputs as scrfd_10g_bnkps: scores, distances and points of strides 8, 16, 32 with two anchors per cell.

    Only the first anchor of stride 8 can fire, where the mean of the cell is pure green at 1.25 times the size that
    the astronaut has: the size at which a 512 px picture is shown in the 640 px square.
    """
    node, scale = onnx.helper.make_node, 640 / 512
    boxes = np.tile(np.array(BOX, np.float32) * scale / 8, 2)
    points = np.tile((POINTS * scale / 8).astype(np.float32).ravel(), 2)
    nodes, constants, outputs = [], {}, {}
    for stride in (8, 16, 32):
        gain = 40.0 if stride == 8 else 0.0
        constants |= {
            f"w{stride}": np.array([[-gain, gain, -gain], [0, 0, 0]], np.float32)[..., None, None],
            f"b{stride}": np.array([-117.0, -117.0], np.float32),
            f"zero4{stride}": np.zeros((8, 3, 1, 1), np.float32), f"box{stride}": boxes,
            f"zero10{stride}": np.zeros((20, 3, 1, 1), np.float32), f"points{stride}": points,
            "row1": np.array([-1, 1], np.int64), "row4": np.array([-1, 4], np.int64),
            "row10": np.array([-1, 10], np.int64),
        }  # fmt: skip
        nodes.append(
            node("AveragePool", ["input.1"], [f"cell{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2)
        )
        for kind, weight, bias, row in (
            ("score", f"w{stride}", f"b{stride}", "row1"),
            ("bbox", f"zero4{stride}", f"box{stride}", "row4"),
            ("kps", f"zero10{stride}", f"points{stride}", "row10"),
        ):
            name = f"{kind}_{stride}"
            nodes.append(node("Conv", [f"cell{stride}", weight, bias], [f"{name}_c"]))
            last = f"{name}_c"
            if kind == "score":
                nodes.append(node("Sigmoid", [last], [f"{name}_s"]))
                last = f"{name}_s"
            nodes.append(node("Transpose", [last], [f"{name}_t"], perm=[0, 2, 3, 1]))
            nodes.append(node("Reshape", [f"{name}_t", row], [name]))
    for kind, width in (("score", 1), ("bbox", 4), ("kps", 10)):
        outputs |= {f"{kind}_{stride}": ["n", width] for stride in (8, 16, 32)}
    save(path, nodes, outputs, [1, 3, "h", "w"], constants)


def save_linear(path: Path, side: int, width: int, gain: float, batch: str | int = "batch") -> None:
    """A network that takes (batch, 3, side, side) and gives `width` numbers: means of 8 x 8 tiles through a matrix."""
    node = onnx.helper.make_node
    matrix = np.random.default_rng(width).standard_normal((192, width)).astype(np.float32) * gain
    nodes = [
        node("AveragePool", ["input.1"], ["tiles"], kernel_shape=[side // 8] * 2, strides=[side // 8] * 2),
        node("Flatten", ["tiles"], ["flat"]),
        node("MatMul", ["flat", "matrix"], ["683"]),
    ]
    save(path, nodes, {"683": [batch, width]}, [batch, 3, side, side], {"matrix": matrix})


def save_pack(models: Path, doubled: bool = True) -> None:
    """All packs below a models folder, antelopev2 in the doubled folder its zip makes."""
    antelope = models / "insightface/models/antelopev2" / ("antelopev2" if doubled else "")
    save_detector(antelope / "scrfd_10g_bnkps.onnx")
    save_linear(antelope / "glintr100.onnx", 112, 512, 0.2)
    save_linear(antelope / "1k3d68.onnx", 192, 3309, 0.05)
    save_linear(antelope / "2d106det.onnx", 192, 212, 0.05)
    save_linear(models / "insightface/buffalo_l/w600k_r50.onnx", 112, 512, 0.3, batch=1)
    save_linear(models / "insightface/models/arc2face/arcface.onnx", 112, 512, 0.4)


def small_registry(models: Path) -> Registry:
    """The real manifest, but with any size and content, because the files are small stand-ins."""
    entries = tuple(
        entry if entry.embedded else replace(entry, size_bytes=None, sha256=None) for entry in Manifest.load().entries
    )
    return Registry(TorchRuntime(model_folders={"": models}), Manifest(entries))
