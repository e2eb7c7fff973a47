"""The gaze: the source's irises brought to where the target looks."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray
from ..geometry.features import EYES

#: An iris is perceived to move less than it does, as the lids around it stay: measured with the landmark network.
_OVERSHOOT = 1.5

#: Iris radii from its centre after which nothing moves.
_REACH = 3.5


def steer_irises(
    places: FloatArray, source: FloatArray, moved: FloatArray, blinks: tuple[float, float] = (0.0, 0.0)
) -> FloatArray:
    """Where in the source to look for each pixel, such that its irises fall on the target's.

    places: (2, h, w) px of the source's crop, as the mesh gives them; changed in place. source: (478, 3) px of the
    crop. moved: (478, 3) px of the window. blinks: how far each eye is closed, 0 to 1, for a closed eye looks nowhere.
    Returns the places: near each iris they are shifted by what brings the source's iris centre onto the pixel of the
    moved one, fading with the distance; lids and corners stay.
    """
    height, width = places.shape[1:]
    for eye, blink in zip(EYES, blinks, strict=True):
        corners = moved[list(eye.lids.corners), :2]
        middle, radius = moved[eye.iris, :2], _radius(moved, eye.iris, eye.iris_edge)
        x0, y0 = np.maximum(np.floor(middle - _REACH * radius), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(middle + _REACH * radius) + 1, [width, height]).astype(int)
        column, row = int(middle[0]), int(middle[1])
        if not (0 <= middle[0] < width - 1 and 0 <= middle[1] < height - 1) or x1 <= x0 or y1 <= y0:
            continue
        right, down = middle - np.array([column, row])
        above, below = (
            (1 - right) * places[:, line, column] + right * places[:, line, column + 1] for line in (row, row + 1)
        )
        shift = source[eye.iris, :2] - ((1 - down) * above + down * below)
        shift = _OVERSHOOT * (1 - blink) * shift
        limit = 1.2 * _radius(source, eye.iris, eye.iris_edge)
        shift = shift * min(1.0, limit / max(float(np.linalg.norm(shift)), 1e-6))
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        along = (corners[1] - corners[0]) / max(float(np.linalg.norm(corners[1] - corners[0])), 1e-6)
        u = ((x - middle[0]) * along[0] + (y - middle[1]) * along[1]) / (2.0 * radius)
        v = (-(x - middle[0]) * along[1] + (y - middle[1]) * along[0]) / (1.8 * radius)
        u, v = u * u, v * v
        places[:, y0:y1, x0:x1] += np.exp(-u * u - v * v) * shift[:, None, None]
    return places


def _radius(points: FloatArray, centre: int, edge: tuple[int, int, int, int]) -> float:
    return max(float(np.linalg.norm(points[list(edge), :2] - points[centre, :2], axis=1).mean()), 1e-3)
