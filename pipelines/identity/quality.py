"""How good a reference picture is: sharpness, size, pose, and agreement with the other references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..face import Face, FloatArray
from ..geometry.pose import rotation_from_landmarks
from .analysis import Recogniser

Part = Literal["sharpness", "size", "pose", "agreement"]
PARTS: tuple[Part, ...] = ("sharpness", "size", "pose", "agreement")

#: Relative Laplacian variance at which a crop counts as half sharp; in-focus portraits measure 0.02 to 0.1 at 256 px.
_HALF_SHARP = 0.006

#: Inter-eye distance in px that gives 63 %; below 40 px recognisers lose a person, above 100 px nothing is gained.
_SIZE_SCALE_PX = 32.0


@dataclass(frozen=True)
class Quality:
    """The parts of one reference's weight, each in [0, 1] and 1 the best, and the measures behind them.

    detail: Laplacian variance over luminance variance. inter_eye_px: distance of the eye centres in the photo.
    pitch_rad, yaw_rad: turn of the head. distance: to the consensus of all references, in the recogniser's metric.
    """

    sharpness: float
    size: float
    pose: float
    agreement: float
    detail: float
    inter_eye_px: float
    pitch_rad: float
    yaw_rad: float
    distance: float

    @property
    def weight(self) -> float:
        """The product of the parts."""
        return self.sharpness * self.size * self.pose * self.agreement

    @property
    def weakest(self) -> Part:
        return min(PARTS, key=lambda part: float(getattr(self, part)))

    @property
    def text(self) -> str:
        return (
            f"sharpness {self.sharpness:.2f}, size {self.size:.2f} ({self.inter_eye_px:.0f} px between the eyes), "
            f"pose {self.pose:.2f} (yaw {np.degrees(self.yaw_rad):+.0f}°, pitch {np.degrees(self.pitch_rad):+.0f}°), "
            f"agreement {self.agreement:.2f} (distance {self.distance:.2f} to the consensus)"
        )


def detail(crops: Tensor) -> NDArray[np.float64]:
    """Fine detail of aligned face crops, independent of the photo's size, brightness and contrast.

    crops: (R, S, S, 3) float in [0, 1] or uint8, aligned to "ffhq_512", S at least 256. Returns (R,): concretely
    variance of the Laplacian over variance of the luminance (Rec. 709) in the middle of the face, where hair and
    background do not reach, with the crop reduced to 256 px and smoothed by the binomial (1 2 1)² / 16 that keeps
    single noisy pixels from counting. After Pech-Pacheco et al. 2000, "Diatom autofocusing", section 2.
    """
    scale = 255.0 if crops.dtype == torch.uint8 else 1.0
    rec709 = torch.tensor([0.2126, 0.7152, 0.0722], device=crops.device)
    luminance = ((crops.float() / scale) @ rec709)[:, None]
    luminance = F.interpolate(luminance, size=(256, 256), mode="area")
    binomial = torch.tensor([1.0, 2.0, 1.0], device=crops.device)
    smooth = F.conv2d(luminance, (binomial[:, None] * binomial)[None, None] / 16)
    laplacian = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], device=crops.device)
    edges = F.conv2d(smooth, laplacian[None, None])[..., 90:205, 70:186]
    middle = luminance[..., 92:207, 72:188]
    ratio = edges.flatten(1).var(1, correction=0) / middle.flatten(1).var(1, correction=0).clamp_min(1e-6)
    return ratio.double().cpu().numpy()


def sharpness_part(measured_detail: float) -> float:
    """[0, 1): concretely d / (d + half), the half-way point being a portrait that is visibly soft."""
    return measured_detail / (measured_detail + _HALF_SHARP)


def size_part(inter_eye_px: float) -> float:
    """[0, 1): concretely 1 - exp(-px / 32)."""
    return float(1 - np.exp(-inter_eye_px / _SIZE_SCALE_PX))


def pose_part(pitch_rad: float, yaw_rad: float) -> float:
    """[0, 1]: the squared cosine of the angle between the line of sight and the camera; 0 for a full profile."""
    return float((max(0.0, np.cos(pitch_rad)) * max(0.0, np.cos(yaw_rad))) ** 2)


def inter_eye_px(face: Face) -> float:
    """Distance of the two eye centres in px of the picture."""
    return float(np.linalg.norm(face.landmarks5[1] - face.landmarks5[0]))


def head_turn(face: Face) -> tuple[float, float]:
    """(pitch, yaw) in radians from the dense landmarks; (0, 0) is assumed for a face that has only five points."""
    if face.landmarks is None:
        return 0.0, 0.0
    pitch, yaw, _ = rotation_from_landmarks(face.landmarks)
    return float(pitch), float(yaw)


def same_person_matrix(recogniser: Recogniser, first: FloatArray, second: FloatArray) -> NDArray[np.float64]:
    """(A, B) probabilities that row a of `first` (A, D) and row b of `second` (B, D) are one person."""
    rows = [[recogniser.probability(recogniser.distance(a, b)) for b in second] for a in first]
    return np.array(rows, dtype=np.float64).reshape(len(first), len(second))


def consensus(
    recogniser: Recogniser, raw: FloatArray, priors: NDArray[np.float64], min_probability: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Which references are one person, whatever the others are.

    raw: (R, D). priors: (R,) positive weights without agreement. Returns (distances (R,) to the consensus, inliers
    (R,)): the anchor is the reference with the most support, concretely prior + sum of prior_j x probability(i, j);
    what is the anchor's person with `min_probability` votes for the mean, and what is the mean's person with
    `min_probability` is an inlier. The anchor itself always is.
    """
    support = same_person_matrix(recogniser, raw, raw) @ priors
    anchor = int(np.argmax(support))
    votes = same_person_matrix(recogniser, raw, raw[[anchor]])[:, 0] >= min_probability
    votes[anchor] = True
    mean = _mean(raw, priors * votes)
    distances = np.array([recogniser.distance(vector, mean) for vector in raw])
    inliers = np.array([recogniser.probability(float(distance)) >= min_probability for distance in distances])
    inliers[anchor] = True
    return distances, inliers


def mean_vector(raw: FloatArray, weights: Sequence[float]) -> FloatArray:
    """(D,): the weighted mean of vectors (R, D)."""
    return _mean(raw, np.asarray(weights, dtype=np.float64))


def _mean(raw: FloatArray, weights: NDArray[np.float64]) -> FloatArray:
    return (weights @ raw.astype(np.float64) / weights.sum()).astype(np.float32)
