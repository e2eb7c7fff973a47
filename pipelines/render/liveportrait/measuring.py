"""How blendshapes move keypoints, measured with the user's own motion extractor, and kept in a file.

The mesh renderer puts every channel on real portraits, the motion extractor says what that looks like to LivePortrait,
and a line through zero is fitted for each channel. What this gives is as good as the mesh renderer's pictures are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save as to_safetensors
from torch import Tensor

from ...errors import InputError, UnsafeFileError
from ...face import Face, FloatArray, as_float_array
from ...files.safe_read import TensorInfo, read_safetensors
from ...files.writing import write_file
from ...geometry.transforms import Matrix, rotation_scale
from ...geometry.warp import crop_pictures
from ...motion.channels import ARKIT_NAMES
from ...registry import Runtime
from ..mesh_renderer import MeshPortrait, load_portrait
from ..movement import TURN_LIMITS, soft
from .appearance import INPUT_SIZE
from .crop import dense, eye_distance, portrait_crop
from .directions import WIDTH, Directions
from .motion import ExtractedMotion, rotation_matrix
from .networks import Networks
from .space import CropSpace

#: Where the file lies, below ComfyUI/models.
FOLDER, FILE = "likeness", "liveportrait_directions.safetensors"
FORMAT = "likeness.liveportrait_directions"

#: Activations that each channel is measured at, and turns in radians.
_AMOUNTS, _TURNS = (0.5, 1.0), (-0.2, 0.2)

#: A channel counts as seen when a line explains at least this much of what the extractor says of it.
SEEN = 0.5

#: Of a turn that the mesh renderer shows, the extractor must read at least this share.
LEAST_TURN = 0.3

_STILL = np.zeros(3, dtype=np.float32)
_NOTHING = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
_MAX_BYTES, _MAX_HEADER = 1 << 20, 1 << 16


@dataclass(frozen=True, eq=False)
class Measurement:
    """table: (52, 63) change of expression at activation 1. explained: (52,) share of it that a line explains, over
    portraits and activations. turns: (3,) what the extractor reads per radian of pitch, yaw and roll; near 1 is right.
    """

    table: FloatArray
    explained: FloatArray
    turns: FloatArray

    @property
    def directions(self) -> FloatArray:
        """(52, 63): the table without the channels that were not seen."""
        return as_float_array(self.table * (self.explained >= SEEN)[:, None])


def measure(networks: Networks, portraits: Sequence[tuple[Tensor, Face]]) -> Measurement:
    """Measure all channels on portraits: pictures (H, W, 3) in [0, 1] with a face that has 478 landmarks.

    Raises InputError without a portrait, CancelledError when the user stops.
    """
    if not portraits:
        raise InputError("Directions are measured on portraits: give at least one picture with a frontal face.")
    seats = [_Seat(networks, picture, face) for picture, face in portraits]
    progress = networks.runtime.progress(len(ARKIT_NAMES))
    table, explained = np.zeros((len(ARKIT_NAMES), WIDTH)), np.zeros(len(ARKIT_NAMES))
    for index in range(len(ARKIT_NAMES)):
        changes = np.concatenate([seat.expression_changes(index) for seat in seats])
        table[index], explained[index] = fit_line(np.tile(_AMOUNTS, len(seats)), changes)
        progress.update()
    turns = np.mean([seat.turns() for seat in seats], 0)
    return Measurement(as_float_array(table), as_float_array(explained), as_float_array(turns))


def fit_line(amounts: FloatArray, changes: FloatArray) -> tuple[FloatArray, float]:
    """The slope (D,) of changes (N, D) over amounts (N,) through zero, and the share of the changes it explains."""
    slope = amounts @ changes / max(float(amounts @ amounts), 1e-12)
    total = float((changes**2).sum())
    left = float(((changes - amounts[:, None] * slope) ** 2).sum())
    return as_float_array(slope), 1 - left / total if total > 1e-12 else 0.0


def require_plausible(measurement: Measurement) -> None:
    """Raise InputError when the extractor does not see a head turn as one: then nothing it says can be used."""
    read = dict(zip(("pitch", "yaw", "roll"), (round(float(turn), 2) for turn in measurement.turns), strict=True))
    if min(read.values()) < LEAST_TURN:
        raise InputError(
            f"The motion extractor reads a turn of 1 as {read}; each should be near 1 and at least {LEAST_TURN}. "
            "Nothing was written: use frontal, sharp portraits, and LivePortrait's own files (human model)."
        )


def save_measurement(measurement: Measurement, folder: Path, motion_sha256: str) -> Path:
    """Write what was measured into a folder and return the file; a file that is there is replaced."""
    tensors = {
        "directions": measurement.directions,
        "explained": measurement.explained,
        "turns": measurement.turns,
    }
    metadata = {"format": FORMAT, "motion_sha256": motion_sha256, "names": json.dumps(ARKIT_NAMES)}
    return write_file(to_safetensors(tensors, metadata), folder / FILE, "overwrite")


def measured_directions(runtime: Runtime, motion_sha256: str) -> tuple[Directions | None, str]:
    """The directions measured for this motion extractor, and what there is to say when a file is not used.

    Raises UnsafeFileError for a file that is none of ours.
    """
    path = next((folder / FILE for folder in runtime.model_folders(FOLDER) if (folder / FILE).is_file()), None)
    if path is None:
        return None, ""
    header, tensors = read_safetensors(path, _MAX_BYTES, _MAX_HEADER)
    table = TensorInfo("F32", (len(ARKIT_NAMES), WIDTH))
    if header.metadata.get("format") != FORMAT or header.tensors.get("directions") != table:
        raise UnsafeFileError(f"{path} is refused: it holds no directions of LivePortrait. Delete it or measure again.")
    if header.metadata.get("motion_sha256") != motion_sha256:
        return None, f"{path} was measured with another motion extractor and is not used: measure again."
    directions = tensors()["directions"]
    if not np.isfinite(directions).all():
        raise UnsafeFileError(f"{path} is refused: its directions are not finite. Delete it or measure again.")
    return Directions(directions, f"what was measured in {path.name}"), ""


class _Seat:
    """A portrait that the mesh renderer moves and the extractor looks at."""

    def __init__(self, networks: Networks, picture: Tensor, face: Face) -> None:
        landmarks = dense(face)
        self.networks = networks
        self.mesh: MeshPortrait = load_portrait(picture, face)
        self.matrix: Matrix = portrait_crop(landmarks, INPUT_SIZE)
        roll, scale = rotation_scale(self.matrix)
        self.space = CropSpace.of(eye_distance(landmarks) * scale, INPUT_SIZE, -roll)
        self.at_rest = self._extract([picture])

    def expression_changes(self, index: int) -> FloatArray:
        """(amounts, 63): what one channel does at each activation."""
        rows = [_NOTHING.copy() for _ in _AMOUNTS]
        for row, amount in zip(rows, _AMOUNTS, strict=True):
            row[index] = amount
        seen = self._extract([self.mesh.frame(row, _STILL, _STILL) for row in rows])
        return (seen.expression - self.at_rest.expression).flatten(1).numpy()

    def turns(self) -> FloatArray:
        """(3,): radians read per radian turned, pitch, yaw and roll."""
        slopes: list[float] = []
        before = rotation_matrix(self.at_rest.rotation)[0].T.double().numpy()
        for axis, limit in enumerate(TURN_LIMITS):
            rows = [np.array([turn if axis == other else 0.0 for other in range(3)], np.float32) for turn in _TURNS]
            seen = self._extract([self.mesh.frame(_NOTHING, row, _STILL) for row in rows])
            after = rotation_matrix(seen.rotation).transpose(1, 2).double().numpy()
            read = [self.space.angles(turned @ before.T)[axis] for turned in after]
            shown = [soft(turn, limit) for turn in _TURNS]
            slopes.append(float(np.dot(shown, read) / np.dot(shown, shown)))
        return as_float_array(slopes)

    def _extract(self, pictures: Sequence[Tensor]) -> ExtractedMotion:
        crops = [
            crop_pictures(picture[None, :, :, :3], (0,), self.matrix[None], (INPUT_SIZE, INPUT_SIZE), padding="border")
            for picture in pictures
        ]
        return self.networks.extract(torch.cat(crops).permute(0, 3, 1, 2).clamp(0, 1))
