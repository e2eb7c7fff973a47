"""Named crop templates: where the five points lie in the crop a network was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..face import Face
from .transforms import Matrix, similarity

_ARCFACE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_FFHQ_512 = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)


def _scaled(points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    return points / size


#: Template name -> (5, 2) points in units of the crop's side.
TEMPLATES: dict[str, NDArray[np.float64]] = {
    "arcface_112": _scaled(_ARCFACE_112, 112),
    # insightface's 128-based sizes put the 112 template 8 px further right instead of scaling it
    "arcface_128": _scaled(_ARCFACE_112 + np.array([8.0, 0.0]), 128),
    "ffhq_512": _scaled(_FFHQ_512, 512),
}


def crop_from_image(face: Face, template: str, size: int, zoom: float = 1.0) -> Matrix:
    """The similarity that brings a face's five points onto a template.

    size: crop side in px. zoom: above 1 shows more around the face. Returns (2, 3): concretely the Umeyama fit
    of `face.landmarks5` to `TEMPLATES[template] * size`, shrunk towards the crop's middle by `zoom`.
    """
    points = TEMPLATES[template] * size
    middle = (size - 1) / 2
    return similarity(middle + (points - middle) / zoom, face.landmarks5)
