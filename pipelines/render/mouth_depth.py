"""What is behind the teeth of an open mouth: darkness and the tongue, which may come forward between the teeth."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face import as_float_tensor

_CAVITY = torch.tensor([0.15, 0.045, 0.040])
_TONGUE = torch.tensor([0.72, 0.37, 0.35])

#: In outer eye corner distances: half the tongue's width, and how high it lies when the mouth is wide open; the same of
#: its tip between the teeth.
_HALF_WIDTH, _RISES, _TIP_WIDTH = 0.21, 0.085, 0.135

Plane = NDArray[np.float64]


def cavity(light: float, from_below: Plane, opening: Plane, across: Plane) -> Tensor:
    """(3, h, w): darkness that grows towards the throat, and the resting tongue where the mouth is wide open.

    light: brightness of the skin, 0 to 1. from_below: (h, w) height above the lower lip, opening: (h, w) between the
    lips, across: (h, w) from the middle of the mouth; in outer eye corner distances.
    """
    wide = np.clip((opening - 0.07) / 0.13, 0, 1)
    side = np.clip(np.abs(across) / _HALF_WIDTH, 0, 1)
    dome = 0.012 + _RISES * wide * np.sqrt(1 - side**2)
    share = np.clip(from_below / np.maximum(dome, 1e-3), 0, 1.5)
    tongue = np.clip((1.12 - share) / 0.35, 0, 1) * np.clip(wide * 1.6, 0, 1) * np.clip((1 - side) / 0.45, 0, 1)
    # its blade lies in the light of the opening, its back in the shadow of the teeth, with a soft hollow in the middle
    shade = 0.80 - 0.38 * np.clip(share, 0, 1) - 0.10 * np.exp(-((across / 0.035) ** 2))
    dark = _CAVITY[:, None, None] * (0.5 + light) * as_float_tensor(0.55 + 0.75 * np.clip(1 - from_below / 0.12, 0, 1))
    return torch.lerp(dark, _red(light, shade), 0.9 * as_float_tensor(tongue))


def with_tip(inside: Tensor, light: float, amount: float, above: Plane, opening: Plane, across: Plane) -> Tensor:
    """`inside` with the tip of the tongue come forward.

    amount: 0 to 1; at half the tip reaches the edge of the upper teeth. above: (h, w) height over the lower lip as a
    share of what is open below the upper teeth, 1 at their edge. opening, across: as in `cavity`.
    """
    if amount <= 0:
        return inside
    side = np.clip(np.abs(across) / _TIP_WIDTH, 0, 1)
    top = min(2 * amount, 1.25) * np.sqrt(1 - side**2)
    cover = np.clip((top - above) / 0.25 + 0.5, 0, 1) * np.clip((1 - side) / 0.3, 0, 1)
    cover *= np.clip(opening / 0.03, 0, 1) * min(4 * amount, 1.0)
    shade = 0.98 - 0.22 * np.clip(above, 0, 1) - 0.08 * np.exp(-((across / 0.03) ** 2))
    return torch.lerp(inside, _red(light, shade), as_float_tensor(cover))


def _red(light: float, shade: Plane) -> Tensor:
    return _TONGUE[:, None, None] * (0.32 + 0.68 * light) * as_float_tensor(shade)
