"""The dense mesh and the blendshapes of candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..face import Face, FloatArray, as_float_array, five_points
from ..geometry.transforms import Matrix, invert, transform_mesh
from ..geometry.warp import crop_pictures
from ..registry import Registry
from .detection import Candidate
from .embedded_network import EmbeddedNetwork
from .net_blazeface import short_range
from .net_blendshapes import BlendshapeNetwork
from .net_landmarks import INPUT_SIZE, LandmarkNetwork

#: The network sees a square this much larger than the longer side of the face.
MARGIN = 1.5
#: Outer eye corners, person's right first: they give the rotation.
EYE_CORNERS = (33, 263)
#: The network's own confidence is a logit of 8 to 25 on faces and mostly negative elsewhere; here it counts half.
EVEN_PRESENCE = 2.0
#: Landmarks that move by less than this share of the face's width when the network looks again have settled.
SETTLED = 0.02
#: Those that still move by this share at the last look are likely of no face; things that fool the detector do so.
UNSTEADY = 0.05
#: A followed face that moved by more than this share of its width is looked at once more from where it is now.
LEAP = 0.1
#: The network looks twice at each candidate, and again at those that are likely and have not settled, up to this often.
#: A detector's wrong guess of a small face's rotation takes four looks to come right.
MAX_LOOKS = 6
LIKELY_SCORE = 0.5
#: The short range detector gives upright, centred faces 0.84 to 0.95 and what is mistaken for one at most 0.65; this
#: logistic curve (middle and steepness) makes a probability of it.
EVEN_OPINION, OPINION_STEEPNESS = 0.75, 15.0


class MeshLandmarker:
    """478 landmarks with irises and 52 blendshapes."""

    def __init__(self, registry: Registry) -> None:
        self._landmarks = EmbeddedNetwork(registry, "face_landmarks_478", LandmarkNetwork)
        self._blendshapes = EmbeddedNetwork(registry, "face_blendshapes_52", BlendshapeNetwork)
        self._short_range = EmbeddedNetwork(registry, "blazeface_short", short_range)

    def landmark(self, images: Tensor, candidates: Sequence[Candidate]) -> list[Face]:
        """One face per candidate.

        images: (B, H, W, 3) in [0, 1]. The network looks first from the detector's box, then from its own landmarks.
        The score is the geometric mean of what speaks for a face then: on one hand the network's confidence and
        landmarks that stay where they are when it looks again, on the other hand the opinion of the short range
        detector, which gets the face upright and centred. The box is that of the landmarks.
        """
        if not candidates:
            return []
        frame = np.array([candidate.frame for candidate in candidates])
        landmarks, confidence = self._settled(images, frame, candidates)
        (blendshapes,) = self._blendshapes(torch.from_numpy(landmarks))
        scores = np.sqrt(confidence * self._second_opinion(images, frame, landmarks))
        return [_face(*measured) for measured in zip(scores, landmarks, blendshapes.numpy(), strict=True)]

    def follow(self, images: Tensor, faces: Sequence[tuple[int, Face]], blendshapes: bool = True) -> list[Face]:
        """The same faces in the next pictures: one look from where each of them was, a second one after a leap.

        images: (B, H, W, 3) in [0, 1]. faces: (index of the picture to look at, face with 478 landmarks as it was).
        blendshapes: measure them, too. The score is the network's confidence that there still is a face.
        """
        if not faces:
            return []
        frame = np.array([index for index, _ in faces])
        before = np.stack([_dense(face) for _, face in faces])
        landmarks, presence = self._look(images, frame, np.stack([region_of_mesh(mesh) for mesh in before]))
        far = np.flatnonzero(_movement(before, landmarks) > LEAP)
        if len(far):
            regions = np.stack([region_of_mesh(mesh) for mesh in landmarks[far]])
            landmarks[far], presence[far] = self._look(images, frame[far], regions)
        shapes = self._blendshapes(torch.from_numpy(landmarks))[0].numpy() if blendshapes else [None] * len(faces)
        return [_face(*measured) for measured in zip(presence, landmarks, shapes, strict=True)]

    def _settled(
        self, images: Tensor, frame: NDArray[np.int64], candidates: Sequence[Candidate]
    ) -> tuple[FloatArray, NDArray[np.float64]]:
        """Landmarks (N, 478, 3) px after as many looks as each candidate needs, and confidence (N,) in [0, 1]."""
        scores = np.array([candidate.score for candidate in candidates])
        regions = np.stack([region(candidate.bbox_xyxy, candidate.eyes) for candidate in candidates])
        landmarks, presence = self._look(images, frame, regions)
        moved = np.full(len(candidates), np.inf)
        unsettled = np.arange(len(candidates))
        for _ in range(MAX_LOOKS - 1):
            regions = np.stack([region_of_mesh(mesh) for mesh in landmarks[unsettled]])
            again, presence[unsettled] = self._look(images, frame[unsettled], regions)
            moved[unsettled] = _movement(landmarks[unsettled], again)
            landmarks[unsettled] = again
            likely = (scores >= LIKELY_SCORE) | (presence >= 0.5)
            unsettled = np.flatnonzero(likely & (moved > SETTLED))
            if len(unsettled) == 0:
                break
        return landmarks, presence * np.exp(-((moved / UNSTEADY) ** 2))

    def _second_opinion(self, images: Tensor, frame: NDArray[np.int64], landmarks: FloatArray) -> NDArray[np.float64]:
        """(N,) probability of the short range detector that there is a face where the landmarks are."""
        crops = _crops(images, frame, np.stack([region_of_mesh(mesh) for mesh in landmarks]))
        half = functional.avg_pool2d(crops.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        scores, _ = self._short_range(half * 2 - 1)
        best = scores.amax(1).sigmoid().numpy().astype(np.float64)
        return 1 / (1 + np.exp((EVEN_OPINION - best) * OPINION_STEEPNESS))

    def _look(
        self, images: Tensor, frame: NDArray[np.int64], regions: NDArray[np.float64]
    ) -> tuple[FloatArray, NDArray[np.float64]]:
        """Landmarks (N, 478, 3) px of the pictures and confidence (N,) in [0, 1] of what lies in each region."""
        points, presence = self._landmarks(_crops(images, frame, regions))
        # no half pixel step: the published landmarker takes its numbers for pixel centres of the crop as well
        meshes = [transform_mesh(invert(matrix), mesh) for matrix, mesh in zip(regions, points.numpy(), strict=True)]
        return np.stack(meshes), (presence.double() - EVEN_PRESENCE).sigmoid().numpy()


def region(bbox_xyxy: FloatArray, eyes: FloatArray) -> Matrix:
    """`crop_from_image` (2, 3): the square around a box that the network looks at, turned so that the eyes are level.

    bbox_xyxy: (4,) px. eyes: (2, 2) px, person's right first. Concretely the side is 1.5 times the box's longer one.
    """
    center = (bbox_xyxy[:2] + bbox_xyxy[2:]) / 2
    side = MARGIN * max(bbox_xyxy[2] - bbox_xyxy[0], bbox_xyxy[3] - bbox_xyxy[1], 1.0)
    return _turned_square(center, float(side), _angle(eyes))


def region_of_mesh(landmarks: FloatArray) -> Matrix:
    """`crop_from_image` as `region`, around landmarks (478, 3) px, in the axes of the face."""
    angle = _angle(landmarks[list(EYE_CORNERS), :2])
    turned = landmarks[:, :2].astype(np.float64) @ _rotation(angle)
    low, high = turned.min(0), turned.max(0)
    center = _rotation(angle) @ ((low + high) / 2)
    return _turned_square(center, MARGIN * max(float((high - low).max()), 1.0), angle)


def _angle(eyes: FloatArray) -> float:
    """Radians by which a face is turned clockwise in the picture."""
    across = eyes[1] - eyes[0]
    return float(np.arctan2(across[1], across[0]))


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _turned_square(center: NDArray[np.floating], side: float, angle: float) -> Matrix:
    linear = _rotation(-angle) * (INPUT_SIZE / side)
    middle = (INPUT_SIZE - 1) / 2
    return np.concatenate([linear, (middle - linear @ center)[:, None]], axis=1)


def _crops(images: Tensor, frame: NDArray[np.int64], regions: NDArray[np.float64]) -> Tensor:
    return crop_pictures(images, tuple(int(index) for index in frame), regions, (INPUT_SIZE, INPUT_SIZE))


def _movement(before: FloatArray, after: FloatArray) -> NDArray[np.float64]:
    """(N,) mean distance between two measurements of landmarks (N, 478, 3), in widths of the face."""
    distance = np.linalg.norm(after[..., :2] - before[..., :2], axis=2).mean(1)
    return distance / np.maximum(np.ptp(after[..., 0], axis=1), 1e-6)


def _dense(face: Face) -> FloatArray:
    """(478, 3) of a face; raises InputError when it has none."""
    if face.landmarks is None or len(face.landmarks) != 478:
        count = 0 if face.landmarks is None else len(face.landmarks)
        raise InputError(f"Only a face with 478 landmarks can be followed, this one has {count}: find it again.")
    return face.landmarks


def _face(score: np.float64, landmarks: FloatArray, blendshapes: FloatArray | None) -> Face:
    box = np.concatenate([landmarks[:, :2].min(0), landmarks[:, :2].max(0)])
    return Face(
        bbox_xyxy=as_float_array(box),
        score=float(score),
        landmarks5=five_points(landmarks),
        landmarks=landmarks,
        blendshapes=blendshapes,
    )
