"""Where the source shows: the face's hull without hair, the chosen regions, the opening of the mouth left free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..face import FloatArray
from ..geometry.features import BROWS, EYES, LIP_RINGS, LIPS, NOSE, NOSTRILS, ORBITS, OVAL, PLAIN_SKIN
from ..geometry.layout import region, rings_from_oval
from .colour import skin_likelihood, smooth
from .drawing import Drawing
from .options import SwapOptions

#: Edges from the oval (negative: in the collar) where the source begins to show and where it is all there.
_RIM = (-0.15, 0.45)

_ABOVE_BROWS = (10, 338, 297, 332, 284, 109, 67, 103, 54, 151, 108, 337, 69, 299, 104, 333, 9, 107, 336)

_JAW = (
    397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 199, 200, 175, 171, 396, 428, 208, 18, 83, 313,
    201, 421, 194, 418, 140, 369, 170, 395, 169, 394, 135, 364, 32, 262, 211, 431, 204, 424, 182, 406,
)  # fmt: skip

#: Points of the regions that can be swapped on their own; the rest is "skin".
_AREAS: dict[str, tuple[int, ...]] = {
    "forehead": _ABOVE_BROWS,
    "jaw": _JAW,
    "nose": NOSE,
    "brows": (*BROWS[0], *BROWS[1]),
    "mouth": LIPS,
    "eyes": (*EYES[0].lids.loop, *ORBITS[0], *EYES[1].lids.loop, *ORBITS[1]),
}

#: Around the corners of the target's mouth a little more of it shows, against the gaps in the source's.
_MOUTH_CORNERS = {78: 1.0, 308: 1.0, 62: 0.8, 292: 0.8, 76: 0.4, 306: 0.4, 191: 0.5, 95: 0.5, 415: 0.5, 324: 0.5}


@dataclass(frozen=True, eq=False)
class SkinMaps:
    """Small maps (h', w') in [0, 1]: skin of the source and of the target where the light is read; plain: 0 in eyes,
    brows and mouth; fill: where the source's texture is hair, a hat or what lies behind its face; keep: 0 where the
    target's hair or hat stays in front."""

    source: Tensor
    target: Tensor
    plain: Tensor
    fill: Tensor
    keep: Tensor


def skin_maps(drawing: Drawing, front: Tensor, back: Tensor, closed: tuple[float, float] = (0.0, 0.0)) -> SkinMaps:
    """Where skin lies in both pictures and where the source may show.

    front, back: (3, h', w'), the source's texture and the target's picture in their common place, small. closed: how
    far each eye is covered by its lids, 0 to 1, the one on the left first.
    """
    skin = np.ones(468, dtype=np.float32)
    skin[list({*LIPS, *NOSTRILS, *BROWS[0], *BROWS[1], *ORBITS[0], *ORBITS[1]})] = 0
    for eye in EYES:
        skin[list(eye.lids.loop)] = 0
    skin[list(OVAL)] = 0
    plain = np.ones(468, dtype=np.float32)
    plain[list(LIP_RINGS[-1].loop)] = 0
    for eye, blink in zip(EYES, closed, strict=True):
        plain[list(eye.lids.lower)] = blink
        plain[[*eye.lids.corners, *eye.lids.upper]] = _lid_skin(blink)
    rim = np.clip(1.5 - rings_from_oval(), 0, 1).astype(np.float32)
    attributes = np.stack(
        [
            drawing.vertices(skin, 0, 0, 0, 0),
            drawing.vertices(region(PLAIN_SKIN), 0, 0, 0, 0),
            drawing.vertices(region(_ABOVE_BROWS), 0, 0, 0, 1),
            _with_lids(drawing.vertices(plain, *closed, 0, 1), closed),
            drawing.vertices(rim, 0, 0, 0, 1),
        ],
        1,
    )
    size = (front.shape[1], front.shape[2])
    skin_map, sample, above, plain_map, rim_map = drawing.small_maps(attributes, size, size[0] / drawing.height)
    like_front, like_back = skin_likelihood(front, sample), skin_likelihood(back, sample)
    covered = torch.stack([(1 - like_front) * torch.maximum(above, rim_map), (1 - like_back) * above])
    wide = torch.stack([F.max_pool2d(covered[:1], 5, 1, 2)[0], F.max_pool2d(covered[1:], 3, 1, 1)[0]])
    fill, hair = smooth(wide[None], 1.0)[0].clamp(0, 1)
    return SkinMaps(skin_map * like_front, skin_map * like_back, plain_map, fill, 1 - hair)


def _with_lids(values: FloatArray, closed: tuple[float, float]) -> FloatArray:
    """Values of the vertices, at the upper edges of the eyes' openings as of the lids that come down from there."""
    start = 468
    for eye, blink in zip(EYES, closed, strict=True):
        values[start : start + len(eye.lids.upper) + 2] = _lid_skin(blink)
        start += len(eye.lids.loop)
    return values


def _lid_skin(blink: float) -> float:
    """How much of what lies at the upper edge of an eye's opening is skin."""
    return min(1.0, 4 * blink)


def shown_vertices(drawing: Drawing, options: SwapOptions) -> FloatArray:
    """(V, 2): how much of the source the chosen regions show, and how much of the target the mouth's opening does."""
    parts = options.parts()
    face = np.full(468, 1.0 if "skin" in parts else 0.0, dtype=np.float32)
    for name, points in _AREAS.items():
        face[list(points)] = 1.0 if name in parts else 0.0
    eyes = 1.0 if "eyes" in parts else 0.0
    lips, inside = _targets_mouth(drawing)
    inside = max(inside, 0.0 if "mouth" in parts else 1.0)
    return np.stack([drawing.vertices(face, eyes, eyes, 1, 1), drawing.vertices(lips, 0, 0, inside, 0)], 1)


def _targets_mouth(drawing: Drawing) -> tuple[FloatArray, float]:
    """How much of the target's mouth shows: (468,) on the lips, and between them.

    Between them the source's own teeth show when both mouths are open about as wide. Where only the source's is open
    the line between the target's closed lips shows, and its corners of the mouth.
    """
    source_gap, target_gap = (_mouth_gap(points) for points in (drawing.source, drawing.new))
    closed = float(np.clip((source_gap - target_gap) / 0.06, 0, 1)) * float(target_gap < 0.05)
    apart = abs(float(np.log(max(target_gap, 1e-3) / max(source_gap, 1e-3))))
    alike = float(np.clip((0.6 - apart) / 0.3, 0, 1)) * float(np.clip((source_gap - 0.03) / 0.03, 0, 1))
    lips = region(())
    for ring, value in zip(LIP_RINGS[::-1], (1.0, 0.5), strict=False):
        lips[list(ring.loop)] = value * closed
    lips[list(_MOUTH_CORNERS)] = np.array(list(_MOUTH_CORNERS.values())) * (1 - alike)
    return lips, 1 - alike


def _mouth_gap(points: FloatArray) -> float:
    """Largest distance between the inner lips, in widths of the mouth."""
    inner = LIP_RINGS[-1]
    gaps = np.linalg.norm(points[list(inner.lower)] - points[list(inner.upper)], axis=1)
    return float(gaps.max() / max(np.linalg.norm(points[inner.corners[1]] - points[inner.corners[0]]), 1e-6))


def face_alpha(inside: Tensor, shown: Tensor, mouth: Tensor, keep: Tensor) -> Tensor:
    """(h, w) in [0, 1]: how much of the source shows.

    inside: edges from the oval. shown, mouth: maps of `shown_vertices`. keep: as in `SkinMaps`, grown.
    """
    rim = ((inside - _RIM[0]) / (_RIM[1] - _RIM[0])).clamp(0, 1)
    rim = rim * rim * (3 - 2 * rim)
    return rim * keep * shown * (1 - _widened(mouth))


def _widened(mouth: Tensor) -> Tensor:
    """One pixel wider with a border of one pixel; only where the mouth is."""
    rows, columns = torch.nonzero(mouth.amax(1) > 0)[:, 0], torch.nonzero(mouth.amax(0) > 0)[:, 0]
    if len(rows) == 0:
        return mouth
    y0, y1 = max(int(rows[0]) - 3, 0), int(rows[-1]) + 4
    x0, x1 = max(int(columns[0]) - 3, 0), int(columns[-1]) + 4
    out = mouth.clone()
    part = out[y0:y1, x0:x1]
    out[y0:y1, x0:x1] = F.avg_pool2d(F.max_pool2d(part[None], 3, 1, 1), 3, 1, 1)[0]
    return out
