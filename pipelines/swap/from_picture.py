"""The source as a picture, for swappers that take one instead of a vector."""

from __future__ import annotations

import numpy as np

from ..face import FloatArray, as_float_array
from ..geometry.templates import crop_from_image
from ..geometry.warp import crop_pictures
from ..identity.identity import Identity


def source_picture(identity: Identity, template: str, size: int) -> FloatArray:
    """(1, 3, size, size) RGB in [0, 1]: the best reference, aligned to a template."""
    best = identity.best
    face = identity.faces()[best][1]
    matrix = crop_from_image(face, template, size)
    crop = crop_pictures(identity.crops[best : best + 1].float() / 255, (0,), matrix[None], (size, size), "border")
    return as_float_array(np.ascontiguousarray(crop.permute(0, 3, 1, 2).numpy()))
