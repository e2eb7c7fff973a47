"""The face values every room shares: `Face`, `Faces` and `FaceCrops`.

Points are numpy float32 in pixels of the picture they belong to (x right, y down, the centre of the first pixel
is (0, 0), as in OpenCV and the field's recognisers); pictures and masks are torch tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .errors import FaceNotFoundError, InputError

FloatArray = NDArray[np.float32]

#: Dense mesh points (MediaPipe's numbering) that give the five points; the eyes are means of the two corners.
MESH_LEFT_EYE, MESH_RIGHT_EYE, MESH_NOSE, MESH_LEFT_MOUTH, MESH_RIGHT_MOUTH = (33, 133), (362, 263), 1, 61, 291

#: In `TrackedFrame.who`: nobody of the people asked for.
NOBODY = -1


def five_points(landmarks: FloatArray) -> FloatArray:
    """Five points from dense mesh landmarks.

    landmarks: (468 or 478, 2 or 3) px. Returns (5, 2) px: image-left eye, image-right eye, nose tip,
    image-left and image-right mouth corner; the eyes are the iris centres where the mesh has them
    (478 points), else the midpoint of the two corners.
    """
    points = landmarks[:, :2]
    if len(points) == 478:
        left, right = points[468], points[473]
    else:
        left, right = points[list(MESH_LEFT_EYE)].mean(0), points[list(MESH_RIGHT_EYE)].mean(0)
    return np.stack([left, right, points[MESH_NOSE], points[MESH_LEFT_MOUTH], points[MESH_RIGHT_MOUTH]]).astype(
        np.float32
    )


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one picture.

    bbox_xyxy: (4,) px. score: detector's confidence in [0, 1]. landmarks5: (5, 2) px, order of `five_points`.
    landmarks: dense mesh (468 or 478, 3) px, z in the same pixels, smaller is nearer to the camera; None where
    the detector gives five points only. blendshapes: (52,) ARKit activations in [0, 1] in MediaPipe's order
    (`_neutral` first), or None. track: the same number for the same person over frames, -1 when not tracked.
    unit_embedding: (D,) of the recogniser named by `encoder`, or None.
    """

    bbox_xyxy: FloatArray
    score: float
    landmarks5: FloatArray
    landmarks: FloatArray | None = None
    blendshapes: FloatArray | None = None
    track: int = -1
    unit_embedding: FloatArray | None = None
    encoder: str = ""

    @property
    def width_px(self) -> float:
        return float(self.bbox_xyxy[2] - self.bbox_xyxy[0])

    @property
    def height_px(self) -> float:
        return float(self.bbox_xyxy[3] - self.bbox_xyxy[1])

    @property
    def area_px(self) -> float:
        return self.width_px * self.height_px

    @property
    def center(self) -> FloatArray:
        """(2,) px: the middle of the box."""
        return as_float_array((self.bbox_xyxy[:2] + self.bbox_xyxy[2:]) / 2)


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of a batch of pictures of one size.

    frames: per picture a tuple of faces in the detector's order (largest first unless selected otherwise).
    height, width: px of the pictures. best_rejected_score: the best score among what the threshold left out, 0 when
    there was nothing like a face.
    """

    frames: tuple[tuple[Face, ...], ...]
    height: int
    width: int
    best_rejected_score: float = 0.0

    def __iter__(self) -> Iterator[tuple[int, Face]]:
        """Every (frame index, face), in order."""
        for index, frame in enumerate(self.frames):
            for face in frame:
                yield index, face

    def __len__(self) -> int:
        return sum(len(frame) for frame in self.frames)

    def require_frames(self, count: int, what: str) -> None:
        """Raise InputError unless these faces belong to a batch of `count` pictures."""
        if len(self.frames) != count:
            raise InputError(
                f"{what} has {count} picture(s) but the faces were found in {len(self.frames)}: "
                "connect the picture that Detect Faces saw."
            )

    def require_any(self, what: str) -> None:
        """Raise FaceNotFoundError when there is no face at all."""
        if len(self) == 0:
            best = self.best_rejected_score
            below = f" The best candidate scored {best:.2f}, below the threshold." if best > 0 else ""
            raise FaceNotFoundError(
                f"{what}: none of the {len(self.frames)} picture(s) ({self.width} × {self.height} px) has a face."
                f"{below} Lower the threshold or the smallest size in Detect Faces, "
                "or use a picture where the face is larger."
            )

    def with_frames(self, frames: tuple[tuple[Face, ...], ...]) -> Faces:
        """Other faces of pictures of the same size, one tuple per picture."""
        return replace(self, frames=frames)


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame of a video and who is in it.

    picture: (H, W, 3) float in [0, 1]. faces: tracked ones, `track` is set. who: per face the number of the person it
    was recognised as, -1 for nobody who was asked for. index: of the frame, from 0. time_s: when it shows.
    cut: whether a new shot begins with it.
    """

    picture: Tensor
    faces: tuple[Face, ...]
    who: tuple[int, ...]
    index: int
    time_s: float
    cut: bool = False

    @property
    def people(self) -> tuple[tuple[Face, int], ...]:
        """The faces that are somebody, with who they are."""
        return tuple((face, who) for face, who in zip(self.faces, self.who, strict=True) if who != NOBODY)


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """Crops of faces together with the way back.

    images: (N, S, S, 3) float in [0, 1]. masks: (N, S, S) float in [0, 1] in crop space, 1 where the crop may
    change the picture. crop_from_image: (N, 2, 3) float64, maps picture px to crop px. frame: (N,) which picture of
    the batch each crop is from. faces: the faces the crops are of, in picture px. height, width: px of the pictures.
    before: the crops as they were cut, when `images` still lie on the same pixels: what equals them does not touch the
    picture; None when everything is new.
    """

    images: Tensor
    masks: Tensor
    crop_from_image: NDArray[np.float64]
    frame: tuple[int, ...]
    faces: tuple[Face, ...]
    height: int
    width: int
    before: Tensor | None = None

    def with_images(self, images: Tensor) -> FaceCrops:
        """The same crops with other pixels: (N, S', S', 3 or more), any size S'; the masks come along.

        Channels after the third are dropped. Raises InputError unless there is one colour picture per crop.
        """
        if images.ndim != 4 or images.shape[0] != len(self.frame) or images.shape[3] < 3:
            raise InputError(
                f"There are {len(self.frame)} crop(s) but {tuple(images.shape)} was given: "
                "every crop needs exactly one processed colour picture, in the same order."
            )
        scale = np.array([images.shape[2] / self.images.shape[2], images.shape[1] / self.images.shape[1]])
        matrices = self.crop_from_image * scale[None, :, None]
        matrices[:, :, 2] += (scale - 1) / 2  # the first pixel's centre, not its corner, is the origin
        masks = self.masks
        if masks.shape[1:] != images.shape[1:3] and len(masks):
            size = (images.shape[1], images.shape[2])
            masks = F.interpolate(masks[None], size=size, mode="bilinear", antialias=True)[0].clamp(0, 1)
        before = self.before if images.shape[1:3] == self.images.shape[1:3] else None
        return replace(self, images=images[..., :3], masks=masks, crop_from_image=matrices, before=before)

    def altered(self) -> Faces:
        """The faces whose crops differ from `before`; all of them where there is none to compare with."""
        frames: list[list[Face]] = [[] for _ in range(max(self.frame, default=-1) + 1)]
        for row, (index, face) in enumerate(zip(self.frame, self.faces, strict=True)):
            if self.before is None or not torch.equal(self.images[row], self.before[row].to(self.images)):
                frames[index].append(face)
        return Faces(tuple(map(tuple, frames)), self.height, self.width)

    def with_masks(self, masks: Tensor) -> FaceCrops:
        """The same crops with other masks: (N or 1 for all, h, w) float in [0, 1], of any size."""
        if masks.ndim != 3 or len(masks) not in (1, len(self.frame)):
            raise InputError(
                f"There are {len(self.frame)} crop(s) but the masks have the shape {tuple(masks.shape)}: "
                "give one mask per crop, in the same order, or one for all."
            )
        return replace(self, masks=masks.expand(len(self.frame), -1, -1))


def as_float_array(values: Any) -> FloatArray:
    """Any numbers as a float32 array."""
    return np.asarray(values, dtype=np.float32)


def as_float_tensor(values: Any) -> Tensor:
    """Any numbers as a float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
