"""Finding, measuring and recognising faces: one interface, several backends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces, FloatArray, as_float_array, five_points
from ..geometry.transforms import rotation_scale, similarity, transform_points
from ..registry import Registry
from .detection import BlazeFaceDetector, Candidate
from .dlib_recogniser import DlibRecogniser
from .landmarking import MeshLandmarker

MIN_SIDE_PX = 64


class Detector(Protocol):
    """Finds candidates. It lets doubtful ones through: the landmarker has the last word."""

    def candidates(self, images: Tensor, min_size_px: int = 0) -> list[Candidate]:
        """images: (B, H, W, 3) in [0, 1]. min_size_px: faces smaller than this need not be found."""
        ...


class Landmarker(Protocol):
    """Puts the dense mesh on candidates and says how sure it is that they are faces."""

    def landmark(self, images: Tensor, candidates: Sequence[Candidate]) -> list[Face]:
        """One face per candidate, with dense landmarks and blendshapes; its score is the final one in [0, 1]."""
        ...

    def follow(self, images: Tensor, faces: Sequence[tuple[int, Face]], blendshapes: bool = True) -> list[Face]:
        """Each face, given as it was in the frame before, in the picture of that index; its score says if it is there.

        Five points and box are those of the mesh.
        """
        ...


class Recogniser(Protocol):
    """Turns a face into a vector whose distances tell people apart."""

    @property
    def name(self) -> str: ...

    @property
    def licence(self) -> str: ...

    @property
    def commercial_use(self) -> bool: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, images: Tensor, faces: Sequence[tuple[int, Face]]) -> FloatArray:
        """Raw vectors (N, D) of faces given as (index of the picture in `images` (B, H, W, 3), face)."""
        ...

    def distance(self, a: FloatArray, b: FloatArray) -> float:
        """How far two raw vectors (D,) are apart, in this recogniser's own metric."""
        ...

    def probability(self, distance: float) -> float:
        """Calibrated probability in [0, 1] that two faces this far apart are of one person."""
        ...


@dataclass(frozen=True, eq=False)
class FaceAnalysis:
    """A detector, a landmarker and a recogniser that work together."""

    name: str
    detector: Detector
    landmarker: Landmarker
    recogniser: Recogniser

    def detect(self, images: Tensor, threshold: float = 0.5, max_faces: int = 0, min_size_px: int = 0) -> Faces:
        """Every face of every picture, largest first, with dense landmarks and blendshapes.

        images: (B, H, W, C) float in [0, 1], as `as_pictures` takes them. threshold: lowest score in [0, 1] of a face.
        max_faces: keep only so many of the largest per picture, 0 for all. min_size_px: leave out faces whose longer
        side is smaller; a larger number also makes large pictures faster, 0 looks for faces down to about 32 px.
        The best score among what the threshold rejected is in `best_rejected_score`. Raises InputError for broken
        pictures or numbers out of range.
        """
        if not 0.0 <= threshold <= 1.0 or max_faces < 0 or min_size_px < 0:
            raise InputError(
                f"Detect faces: threshold {threshold} must lie in 0 to 1; max_faces {max_faces} and "
                f"min_size_px {min_size_px} must not be negative."
            )
        images = as_pictures(images)
        candidates = self.detector.candidates(images, min_size_px)
        return self.measure(images, candidates, threshold, max_faces, min_size_px)

    def measure(
        self,
        images: Tensor,
        candidates: Sequence[Candidate],
        threshold: float,
        max_faces: int = 0,
        min_size_px: int = 0,
    ) -> Faces:
        """The second half of `detect`: which of the detector's candidates are faces, and their landmarks."""
        measured = self.landmarker.landmark(images, candidates)
        frames: list[list[Face]] = [[] for _ in range(len(images))]
        for candidate, face in zip(candidates, measured, strict=True):
            frames[candidate.frame].append(face)
        frames = [without_duplicates(frame) for frame in frames]
        rejected = [face.score for frame in frames for face in frame if face.score < threshold]
        kept = tuple(_largest_first(frame, threshold, max_faces, min_size_px) for frame in frames)
        return Faces(kept, images.shape[1], images.shape[2], max(rejected, default=0.0))

    def follow(self, image: Tensor, faces: Sequence[Face], blendshapes: bool = True) -> list[Face]:
        """The same faces in the next frame, without a detector, at a fifth of its cost.

        image: (H, W, 3) the next frame. faces: as they were, with 478 landmarks. blendshapes: measure them, too. The
        score in [0, 1] says whether there still is a face; where it is low the numbers mean nothing. Five points and
        box move as the mesh does: concretely new5 = mesh5 + A (old5 - old mesh5), A being the similarity from the old
        mesh to the new one.
        """
        looked = self.landmarker.follow(image[None, ..., :3], [(0, face) for face in faces], blendshapes)
        return [_carried(before, after) for before, after in zip(faces, looked, strict=True)]

    def embed(self, images: Tensor, faces: Faces) -> Faces:
        """The same faces with `unit_embedding` and `encoder` set.

        images: the batch the faces were found in. Raises InputError when it is another one.
        """
        images = as_pictures(images)
        faces.require_frames(len(images), "The batch to recognise faces in")
        raw = self.recogniser.embed(images, list(faces))
        unit = iter(raw / np.linalg.norm(raw, axis=1, keepdims=True).clip(1e-12))
        name = self.recogniser.name
        return faces.with_frames(
            tuple(
                tuple(replace(face, unit_embedding=next(unit), encoder=name) for face in frame)
                for frame in faces.frames
            )
        )


def load_embedded_analysis(registry: Registry) -> FaceAnalysis:
    """The analysis that arrives with the pack: BlazeFace, the 478-point mesh, blendshapes, 128-d vectors."""
    return FaceAnalysis("embedded", BlazeFaceDetector(registry), MeshLandmarker(registry), DlibRecogniser(registry))


def as_pictures(images: Tensor, what: str = "The picture") -> Tensor:
    """A checked batch (B, H, W, 3) of RGB pictures.

    images: (B, H, W, C) float in [0, 1]; C = 1 (grey) is repeated, of C = 4 the alpha channel is dropped. what: names
    the input in messages. Raises InputError for another shape or type, an empty batch, a side below 64 px, NaN or
    infinite pixels.
    """
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or not images.is_floating_point():
        raise InputError(
            f"{what} must be a batch (B, H, W, C) of floating point pixels with 1, 3 or 4 channels; "
            f"this is {images.dtype} of shape {tuple(images.shape)}."
        )
    count, height, width, channels = images.shape
    if count == 0:
        raise InputError(f"{what} is an empty batch of {width} × {height} px: connect at least one picture.")
    if min(height, width) < MIN_SIDE_PX:
        raise InputError(
            f"{what} is {width} × {height} px; faces can be found from {MIN_SIDE_PX} px per side on. Enlarge it first."
        )
    images = images[..., :3] if channels != 1 else images.expand(-1, -1, -1, 3)
    finite = torch.isfinite(images.sum((1, 2, 3)))
    if not finite.all():
        index = int((~finite).nonzero()[0])
        broken = int((~torch.isfinite(images[index])).sum())
        if broken:
            raise InputError(
                f"{what} has {broken} pixel values that are NaN or infinite in frame {index}. "
                "The step that made it has failed, often a VAE in half precision: decode it again in float32."
            )
    return images


def _largest_first(faces: list[Face], threshold: float, max_faces: int, min_size_px: int) -> tuple[Face, ...]:
    wanted = [f for f in faces if f.score >= threshold and max(f.width_px, f.height_px) >= min_size_px]
    wanted.sort(key=lambda face: face.area_px, reverse=True)
    return tuple(wanted[:max_faces] if max_faces else wanted)


def _carried(before: Face, after: Face) -> Face:
    """`after`, found by its mesh alone, with the five points and the box that its detector would give."""
    assert before.landmarks is not None and after.landmarks is not None
    if np.array_equal(before.landmarks5, five_points(before.landmarks)):
        return after
    moved = similarity(after.landmarks[:, :2], before.landmarks[:, :2])
    five = five_points(after.landmarks) + (before.landmarks5 - five_points(before.landmarks)) @ moved[:, :2].T
    middle, half = transform_points(moved, before.center), rotation_scale(moved)[1] * np.ptp(_corners(before), 0) / 2
    box = np.concatenate([middle - half, middle + half])
    return replace(after, landmarks5=as_float_array(five), bbox_xyxy=as_float_array(box))


def _corners(face: Face) -> FloatArray:
    return face.bbox_xyxy.reshape(2, 2)


def without_duplicates(faces: Sequence[Face], overlap: float = 0.65) -> list[Face]:
    """Faces of one picture without those that a better scored one covers.

    overlap: largest allowed intersection of two boxes, in units of the smaller one. Returns them best first.
    """
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (round(face.score, 2), face.area_px), reverse=True):
        if all(_covered(face.bbox_xyxy, other.bbox_xyxy) < overlap for other in kept):
            kept.append(face)
    return kept


def _covered(a: FloatArray, b: FloatArray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return float(max(width, 0) * max(height, 0) / max(smaller, 1e-6))
