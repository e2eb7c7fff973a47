"""Teeth: what is bright and little coloured inside the mouth."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces
from ..geometry.features import LIPS, PLAIN_SKIN
from .regions import region_mask, soften

#: Brightness, in parts of the skin's, from which a pixel may be a tooth, and from which it surely is.
_BRIGHT = (0.55, 0.8)

#: Redness, in parts of the skin's, up to which a pixel surely is a tooth, and from which it is tongue or gum.
_RED = (0.6, 0.95)


def teeth_masks(images: Tensor, faces: Faces, feather: float = 0.02) -> Tensor:
    """(B, H, W) in [0, 1]: the teeth that pictures (B, H, W, C >= 3) show, of each picture the union.

    faces: of these pictures, with dense landmarks. feather: width of the soft edge in parts of each face's width.
    Concretely the opening of the mouth, where it is nearly as bright as the face's skin and clearly less red.
    Raises InputError for other pictures and for faces without dense landmarks.
    """
    faces.require_frames(len(images), "The picture for teeth")
    if tuple(images.shape[1:3]) != (faces.height, faces.width):
        raise InputError(
            f"The pictures for teeth are {images.shape[2]} × {images.shape[1]} px but the faces were found in pictures "
            f"of {faces.width} × {faces.height} px: connect the same pictures."
        )
    out = torch.zeros(images.shape[:3])
    for index, face in faces:
        _add_teeth(out[index], images[index], face, feather)
    return out


def _add_teeth(out: Tensor, picture: Tensor, face: Face, feather: float) -> None:
    if face.landmarks is None:
        raise InputError("Teeth need dense landmarks, this face has five points: find it with the embedded analysis.")
    height, width = out.shape
    soft_px = feather * float(np.ptp(face.landmarks[:468, 0]))
    mouth = face.landmarks[list(LIPS), :2]
    x0, y0 = np.maximum(np.floor(mouth.min(0) - soft_px - 3), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(mouth.max(0) + soft_px + 4), [width, height]).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    points = face.landmarks - np.array([x0, y0, 0], dtype=np.float32)
    opening = region_mask(points, (int(y1 - y0), int(x1 - x0)), ("mouth_interior",), 0.0, 0.0)
    skin = np.round(face.landmarks[list(PLAIN_SKIN), :2]).astype(int).clip(0, [width - 1, height - 1])
    bright, red = _light(picture[skin[:, 1], skin[:, 0], :3])
    own_bright, own_red = _light(picture[y0:y1, x0:x1, :3])
    light = own_bright / bright.median().clamp(min=1e-3)
    colour = own_red / red.median().clamp(min=0.02)
    teeth = opening * _rising(light, *_BRIGHT) * (1 - _rising(colour, *_RED))
    part = out[y0:y1, x0:x1]
    torch.maximum(part, soften(teeth[None, None], soft_px)[0, 0], out=part)


def _light(colours: Tensor) -> tuple[Tensor, Tensor]:
    """Brightness and redness of (..., 3)."""
    bright = colours.mean(-1)
    return bright, (colours[..., 0] - colours[..., 1:].mean(-1)) / bright.clamp(min=1e-3)


def _rising(values: Tensor, low: float, high: float) -> Tensor:
    return ((values - low) / (high - low)).clamp(0, 1)
