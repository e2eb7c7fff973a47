"""Glasses: a stiff frame in front of the brows, which a mesh bends when the brows go far."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..face import FloatArray, as_float_tensor
from ..geometry.features import PLAIN_SKIN
from ..geometry.texture import sample_at

#: From the middle between the brows down the back of the nose: where a bridge crosses bare skin.
_NOSE_TOP, _NOSE_BACK = 9, 195

#: A bridge changes the skin's brightness by this share of it within `_STEP` outer eye corner distances. Faces without
#: glasses stay below 0.3.
_BRIDGE, _STEP = 0.45, 0.035


def wears_glasses(pixels: Tensor, landmarks: FloatArray) -> bool:
    """Whether something crosses the back of the nose of a face.

    pixels: (3, h, w) in [0, 1]. landmarks: (478, 3) px of it. Concretely the largest step of brightness along a strip
    of the nose's back from between the brows, against the brightness of the skin.
    """
    points = landmarks[:, :2].astype(np.float64)
    across = points[263] - points[33]
    unit = max(float(np.linalg.norm(across)), 1.0)
    start, end = points[_NOSE_TOP], points[_NOSE_BACK]
    length = max(float(np.linalg.norm(end - start)) / unit, 1e-3)
    along = np.linspace(0, 1, 60)[:, None, None]
    aside = np.linspace(-0.03, 0.03, 9)[None, :, None] * across
    profile = sample_at(pixels, as_float_tensor(start + (end - start) * along + aside)).median(2).values
    step = max(round(_STEP / length * 60), 1)
    most = float((profile[:, step:] - profile[:, :-step]).abs().max())
    skin = sample_at(pixels, as_float_tensor(points[list(PLAIN_SKIN)])[None])[:, 0].mean(0).median()
    return most > _BRIDGE * max(float(skin), 0.05)
