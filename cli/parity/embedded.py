"""The embedded networks against MediaPipe's and dlib's own results on the sample photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file
from torch import Tensor

from ...pipelines.geometry.pose import head_rotation
from ...pipelines.identity.analysis import FaceAnalysis, load_embedded_analysis
from ...pipelines.identity.dlib_recogniser import DlibRecogniser
from ...pipelines.registry import Registry
from ...pipelines.runtime import TorchRuntime
from .check import Check, Error

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
#: Name in the reference file -> photo.
PHOTOS = {"astronaut": "astronaut.png", "hopper": "grace_hopper.jpg"}

Reference = dict[str, NDArray[np.float32]]


def photo(file: str) -> Tensor:
    """(1, H, W, 3) in [0, 1] of a sample photo."""
    with Image.open(SAMPLES / file) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / 255)[None]


def compare(file: Path) -> list[Error]:
    reference = load_file(file)
    registry = Registry(TorchRuntime())
    analysis = load_embedded_analysis(registry)
    recogniser = DlibRecogniser(registry)
    errors: list[Error] = []
    for name, sample in PHOTOS.items():
        if f"{name}.landmarks" in reference:
            expected = {key.removeprefix(f"{name}."): value for key, value in reference.items() if key.startswith(name)}
            errors.extend(_on_photo(analysis, recogniser, name, photo(sample), expected))
    return errors


def _on_photo(
    analysis: FaceAnalysis, recogniser: DlibRecogniser, name: str, image: Tensor, expected: Reference
) -> list[Error]:
    faces = analysis.detect(image)
    found = Error(f"{name}: faces found besides one", abs(len(faces) - 1), 0)
    if len(faces) == 0:
        return [found]
    face = faces.frames[0][0]
    assert face.landmarks is not None and face.blendshapes is not None
    chip = torch.from_numpy(expected["chip_150_rgb_u8"]).float()[None] / 255
    vector = expected["identity_128"]
    return [
        found,
        Error(f"{name}: landmarks, mean px", _mean_distance(face.landmarks, expected["landmarks"]), 1.0),
        Error(f"{name}: blendshapes, mean", float(np.abs(face.blendshapes - expected["blendshapes"]).mean()), 0.03),
        Error(f"{name}: pose, degrees", _turn(face.landmarks, image, expected["pose_matrix"]), 1.5),
        Error(
            f"{name}: identity of the given chip, L2",
            recogniser.distance(recogniser.embed_chips(chip)[0], vector),
            0.02,
        ),
        Error(
            f"{name}: identity of our crop, L2",
            recogniser.distance(recogniser.embed(image, list(faces))[0], vector),
            0.12,
        ),
    ]


def _mean_distance(points: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(points[:, :2] - expected[:, :2], axis=1).mean())


def _turn(landmarks: NDArray[np.float32], image: Tensor, pose_matrix: NDArray[np.float32]) -> float:
    """Degrees between our rotation and that of a (4, 4) pose matrix."""
    expected = pose_matrix[:3, :3].astype(np.float64)
    expected /= np.cbrt(np.linalg.det(expected))
    difference = head_rotation(landmarks, (image.shape[1], image.shape[2])) @ expected.T
    return float(np.degrees(np.arccos(np.clip((np.trace(difference) - 1) / 2, -1, 1))))


CHECK = Check("embedded_oracles", "detection, landmarks, blendshapes, pose and identity on the sample photos", compare)
