"""To and from the face values of ComfyUI's own nodes: FACE_LANDMARKS and BOUNDING_BOX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..face import Face, Faces, FloatArray, as_float_array, five_points

#: Core's coordinates have the corner of the first pixel at (0, 0); ours have its centre there.
_HALF_PIXEL = 0.5


def boxes_from_faces(faces: Faces) -> list[list[dict[str, Any]]]:
    """Core's BOUNDING_BOX: per picture a list of x, y, width, height (px, floats), label and score."""
    return [[_box(face, number) for number, face in enumerate(frame)] for frame in faces.frames]


def _box(face: Face, number: int) -> dict[str, Any]:
    left, top = (float(value) + _HALF_PIXEL for value in face.bbox_xyxy[:2])
    return {
        "x": left,
        "y": top,
        "width": face.width_px,
        "height": face.height_px,
        "label": f"face {number}",
        "score": face.score,
    }


def faces_from_core_landmarks(payload: Mapping[str, Any], blendshape_names: Sequence[str]) -> Faces:
    """Faces from core's FACE_LANDMARKS.

    payload: {"frames": per picture a list of face dicts, "image_size": (H, W)}; a face has `bbox_xyxy` (4,),
    `landmarks_xy` (478, 2) px, `landmarks_3d` (478, 3) in the landmarker's own 256 px crop, `blendshapes`
    {name: 0 to 1} and `score`. blendshape_names: the 52 names in the order `Face.blendshapes` has.
    Returns faces largest first. Depth comes back in picture px: concretely z times the ratio of the spreads of
    `landmarks_xy` and of the first two columns of `landmarks_3d`. Raises InputError for another layout.
    """
    if "frames" not in payload or "image_size" not in payload:
        raise InputError(
            f"These landmarks have the entries {sorted(payload)} instead of frames and image_size: "
            "connect the face_landmarks output of ComfyUI's MediaPipe Face Landmarker."
        )
    height, width = (int(value) for value in payload["image_size"])
    frames: list[tuple[Face, ...]] = []
    for index, found in enumerate(payload["frames"]):
        faces = [_face(entry, index, blendshape_names) for entry in found]
        frames.append(tuple(sorted(faces, key=lambda face: -face.area_px)))
    return Faces(tuple(frames), height, width)


def _face(entry: Mapping[str, Any], frame: int, blendshape_names: Sequence[str]) -> Face:
    flat = as_float_array(entry["landmarks_xy"])
    if flat.ndim != 2 or flat.shape[0] not in (468, 478) or flat.shape[1] != 2:
        raise InputError(
            f"A face of picture {frame} has landmarks of shape {flat.shape} instead of (478, 2): "
            "only the MediaPipe face mesh can be used."
        )
    if not np.isfinite(flat).all():
        raise InputError(f"A face of picture {frame} has landmarks that are not numbers (NaN or infinite).")
    landmarks = _with_depth(flat - _HALF_PIXEL, entry.get("landmarks_3d"))
    shapes = entry.get("blendshapes")
    return Face(
        bbox_xyxy=as_float_array(entry["bbox_xyxy"]) - np.float32(_HALF_PIXEL),
        score=float(entry.get("score", 1.0)),
        landmarks5=five_points(landmarks),
        landmarks=landmarks,
        blendshapes=as_float_array([shapes.get(name, 0.0) for name in blendshape_names]) if shapes else None,
    )


def _with_depth(flat: FloatArray, canonical: Any) -> FloatArray:
    """(N, 3) px from (N, 2) px and the landmarker's own (N, 3); zero depth where that is missing."""
    if canonical is None:
        return np.concatenate([flat, np.zeros((len(flat), 1), np.float32)], axis=1)
    points = as_float_array(canonical)
    scale = np.linalg.norm(flat - flat.mean(0)) / np.linalg.norm(points[:, :2] - points[:, :2].mean(0))
    return np.concatenate([flat, points[:, 2:] * np.float32(scale)], axis=1)
