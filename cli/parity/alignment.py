"""Crop templates and the swapper against insightface's alignment matrices and swapped crop."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ...pipelines.face import Face, as_float_array
from ...pipelines.geometry.templates import crop_from_image
from ...pipelines.geometry.warp import crop_pictures
from ...pipelines.registry import Registry
from ...pipelines.runtime import TorchRuntime
from ...pipelines.swap.emap import map_vector, read_emap
from ...pipelines.swap.inswapper import INSWAPPER
from ...pipelines.weights import Manifest
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
    errors = [Error(f"matrix to {size} px, largest", error, TOLERANCE) for size, error in sorted(worst.items())]
    network = file.with_name("inswapper_synthetic.onnx")
    return [*errors, _swapped(reference, network)] if network.is_file() else errors


def _swapped(reference: dict[str, NDArray[np.generic]], network: Path) -> Error:
    """The swapped crop against insightface's, whose crop and result are rounded to 8 bit."""
    entry = replace(
        Manifest.load().entry("inswapper_128"), file=network.name, folder=".", aliases=(), size_bytes=None, sha256=None
    )
    swapper = INSWAPPER.load(Registry(TorchRuntime(model_folders={"": network.parent}), Manifest((entry,))))
    points = as_float_array(reference["in.kps"])
    face = Face(np.concatenate([points.min(0), points.max(0)]), 1.0, points)
    picture = torch.from_numpy(reference["in.image_bgr_u8"][..., ::-1].copy()).float()[None] / 255
    matrix = crop_from_image(face, INSWAPPER.template, INSWAPPER.size)
    crop = crop_pictures(picture, (0,), matrix[None], (INSWAPPER.size, INSWAPPER.size))
    source = map_vector(as_float_array(reference["in.embedding"]), read_emap(network))
    swapped = (swapper.run(crop, source)[0].flip(-1).numpy() * 255).astype(np.uint8).astype(np.float32)
    difference = np.abs(swapped - as_float_array(reference["out.crop_bgr_u8"]))
    return Error("swapped crop, largest, in 8-bit steps", float(difference.max()), 1.0)


CHECK = Check("inswapper_and_alignment", "ArcFace alignment matrices and the swapped crop", compare)
