"""The part of a picture that MuseTalk sees and the part that it may change.

The crop is as wide as the face, ends below the chin and has the nose in the middle of its height; the network sees its
upper half twice and its lower half once, in the reference. Source: MuseTalk, musetalk/utils/{preprocessing,blending}.py
and face_parsing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..face import Face
from ..geometry.features import LIPS, NOSE
from ..geometry.transforms import Matrix, transform_mesh
from ..stitch.regions import region_mask, soften

SIZE_PX = 256
#: The point at the lower third of the nose's bridge, which lies on the middle row.
MIDDLE_POINT = 5
#: The outline of the face from ear to ear below the chin.
_JAW = (
    234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454,
)  # fmt: skip
_SEEN = (*_JAW, *LIPS, *NOSE)
#: As parts of the crop's side: over how much below the middle row the mask rises, how wide its other edges are, and how
#: far it reaches below the chin and beyond the cheeks.
_RISE, _EDGE, _BELOW = 0.08, 0.05, 0.03


@dataclass(frozen=True)
class CropRule:
    """What differs between versions.

    margin_px: how far the crop ends below the chin, in px of the picture. jaw: whether the mask goes on a little below
    the chin and beyond the cheeks.
    """

    margin_px: float
    jaw: bool


def mouth_crop(face: Face, rule: CropRule, shift_px: float = 0.0) -> Matrix:
    """(2, 3): picture px to crop px, upright and stretched to a square.

    shift_px: moves the middle row down (up when negative), which opens the mouth more (less). Raises InputError for a
    face without dense landmarks.
    """
    if face.landmarks is None:
        raise InputError(
            "Dubbing needs dense landmarks, this face has five points: find it with a face analysis that has dense "
            "landmarks (the embedded one has)."
        )
    points = face.landmarks[list(_SEEN), :2].astype(np.float64)
    (left, _), (right, chin) = points.min(0), points.max(0)
    middle = float(face.landmarks[MIDDLE_POINT, 1]) + shift_px
    top, bottom = 2 * middle - chin, chin + rule.margin_px
    if right - left < 2 or bottom - top < 2:
        raise InputError(
            f"The face is {right - left:.0f} px wide and its lower half {chin - middle:.0f} px high: too small to dub. "
            "Raise the least size of a face, or choose a person who is nearer to the camera."
        )
    scale = np.array([SIZE_PX / (right - left), SIZE_PX / (bottom - top)])
    # the box ends at its outermost points, the crop half a pixel beyond the centres of its outermost pixels
    offset = -0.5 - scale * [left, top]
    return np.concatenate([np.diag(scale), offset[:, None]], 1)


def without_lower_half(crops: Tensor) -> Tensor:
    """Crops (N, S, S, 3) whose rows from the middle on are black."""
    masked = crops.clone()
    masked[:, crops.shape[1] // 2 :] = 0
    return masked


def mouth_mask(face: Face, crop: Matrix, rule: CropRule, parsed: Tensor | None = None) -> Tensor:
    """(256, 256) in [0, 1]: where the crop replaces the picture; 0 from the middle row of the crop upwards.

    crop: of `mouth_crop`. parsed: (2, 256, 256), the face and its nose as a parser sees them in the crop, which
    leaves out what lies in front; without it both come from the landmarks.
    """
    if parsed is None:
        assert face.landmarks is not None
        points = transform_mesh(crop, face.landmarks)
        whole, nose = (region_mask(points, (SIZE_PX, SIZE_PX), (name,), 0.0, 0.0) for name in ("face", "nose"))
    else:
        whole, nose = parsed.unbind()
    if rule.jaw:
        whole = _grown(whole, round(_BELOW * SIZE_PX))
    soft = soften((whole * (1 - nose))[None, None], _EDGE * SIZE_PX)[0, 0]
    return soft * _inside()


def _grown(mask: Tensor, reach: int) -> Tensor:
    """A mask that also covers what lies up to `reach` px below or beside it."""
    padded = F.pad(mask[None, None], (reach, reach, reach, 0))
    return F.max_pool2d(padded, (reach + 1, 2 * reach + 1), stride=1)[0, 0]


def _inside() -> Tensor:
    """(256, 256): 0 down to the middle row, rising below it, and falling to 0 at the other borders of the crop."""
    at = torch.arange(SIZE_PX, dtype=torch.float32)
    below = _smooth((at - SIZE_PX // 2) / (_RISE * SIZE_PX))
    edge = _EDGE * SIZE_PX
    bottom = _smooth((SIZE_PX - 1 - at) / edge)
    sides = _smooth(torch.minimum(at, SIZE_PX - 1 - at) / edge)
    return (below * bottom)[:, None] * sides[None]


def _smooth(x: Tensor) -> Tensor:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
