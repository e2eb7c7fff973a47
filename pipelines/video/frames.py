"""Cheap looks at a frame and at a face in it: is this another shot, is this still the same face."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..face import Face, FloatArray, as_float_array
from ..geometry.templates import TEMPLATES
from ..geometry.transforms import similarity, transform_points

#: Rows and columns of the small picture that shots are compared by.
_SMALL = (18, 32)
#: Least change (1 - correlation of two small pictures) of a cut, and how many times the change of the frames before.
_CUT_CHANGE, _CUT_RATIO = 0.35, 3.0
#: Standard deviation below which a small picture has nothing to compare: a black frame, a fade.
_FLAT = 0.01
#: Changes of so many frames say what is usual in a shot.
_USUAL_FRAMES = 8
#: Side of the patch that faces are compared by; each of its pixels is the mean of 2 × 2 samples.
_PATCH = 12


def small_picture(frame: Tensor) -> FloatArray:
    """(3 * 18 * 32,): a frame (H, W, 3) as a tiny picture."""
    step = max(1, min(frame.shape[0], frame.shape[1]) // 144)
    rough = frame[::step, ::step].permute(2, 0, 1)[None].float()
    return F.adaptive_avg_pool2d(rough, _SMALL)[0].numpy().reshape(-1)


def change(before: FloatArray, after: FloatArray) -> float:
    """How different two small pictures are: 1 - their correlation; 0 where either of them is flat."""
    a, b = before - before.mean(), after - after.mean()
    if min(a.std(), b.std()) < _FLAT:
        return 0.0
    return float(1 - (a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def is_cut(now: float, before: float) -> bool:
    """Whether a change is a cut. now: of this frame. before: the usual change of the frames before it."""
    return now > _CUT_CHANGE and now > _CUT_RATIO * before


class CutFinder:
    """Looks at the frames of a video in order and says which of them begin a shot."""

    def __init__(self) -> None:
        self._small = np.zeros(0, np.float32)
        self._changes: deque[float] = deque(maxlen=_USUAL_FRAMES)

    def begins(self, picture: Tensor) -> bool:
        """Whether a new shot begins with the next picture (H, W, 3)."""
        before, self._small = self._small, small_picture(picture)
        if len(before) == 0:
            return False
        now = change(before, self._small)
        if is_cut(now, float(np.median(self._changes)) if self._changes else 0.0):
            self._changes.clear()
            return True
        self._changes.append(now)
        return False

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All it has to remember, as arrays."""
        return {"small": self._small, "changes": np.array(list(self._changes), np.float64)}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on where `state` was taken."""
        self._small = as_float_array(state["small"])
        self._changes = deque((float(value) for value in state["changes"].tolist()), maxlen=_USUAL_FRAMES)


def face_patch(frame: Tensor, face: Face) -> FloatArray:
    """(3 * 12 * 12,): how a face looks, upright, without its brightness and contrast.

    frame: (H, W, 3), the picture the face is in. Two patches are compared by `alike`.
    """
    side = 2 * _PATCH
    image_from_patch = similarity(face.landmarks5, TEMPLATES["arcface_112"] * side)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    places = transform_points(image_from_patch, grid)
    x = np.clip(np.round(places[:, 0]), 0, frame.shape[1] - 1).astype(np.int64)
    y = np.clip(np.round(places[:, 1]), 0, frame.shape[0] - 1).astype(np.int64)
    samples = frame[y, x].float().numpy().reshape(_PATCH, 2, _PATCH, 2, 3).mean((1, 3))
    patch = (samples - samples.mean((0, 1))).reshape(-1)
    return as_float_array(patch / max(float(np.linalg.norm(patch)), 1e-6))


def alike(a: FloatArray, b: FloatArray) -> float:
    """Correlation in [-1, 1] of two patches."""
    return float(a @ b)


def shared_area(a: Face, b: Face) -> float:
    """Intersection of two faces' boxes in units of the smaller one, in [0, 1]."""
    low, high = np.maximum(a.bbox_xyxy[:2], b.bbox_xyxy[:2]), np.minimum(a.bbox_xyxy[2:], b.bbox_xyxy[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared / max(min(a.area_px, b.area_px), 1e-6)


def visible_part(face: Face, picture: Tensor) -> float:
    """Which part of a face's box lies in the picture (H, W, 3), in [0, 1]."""
    edge = np.array([picture.shape[1], picture.shape[0]], np.float32)
    low, high = np.clip(face.bbox_xyxy[:2], 0, edge), np.clip(face.bbox_xyxy[2:], 0, edge)
    return float(np.prod(np.clip(high - low, 0, None))) / max(face.area_px, 1e-6)
