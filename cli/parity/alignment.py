"""Crop templates against insightface's alignment matrices."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ...pipelines.face import Face
from ...pipelines.geometry.templates import crop_from_image
from .check import Check, Error

MATRIX_KEY = re.compile(r"out\.align_(\d+)_(\d+)")
TOLERANCE = 1e-3


def compare(file: Path) -> list[Error]:
    reference = load_file(file)
    worst: dict[int, float] = {}
    for key, expected in reference.items():
        match = MATRIX_KEY.fullmatch(key)
        if match is None:
            continue
        points, size = reference[f"in.align_kps_{match[1]}"], int(match[2])
        face = Face(np.concatenate([points.min(0), points.max(0)]), 1.0, points)
        template = "arcface_112" if size % 112 == 0 else "arcface_128"  # insightface's rule
        error = float(np.abs(crop_from_image(face, template, size) - expected).max())
        worst[size] = max(worst.get(size, 0.0), error)
    return [Error(f"matrix to {size} px, largest", error, TOLERANCE) for size, error in sorted(worst.items())]


CHECK = Check("inswapper_and_alignment", "ArcFace alignment matrices (not the swapped crop)", compare)
