"""Between display values, linear light and Lab."""

from __future__ import annotations

import torch
from torch import Tensor

_XYZ_FROM_RGB = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = (0.95047, 1.0, 1.08883)
_EDGE = 6 / 29


def linear_from_srgb(values: Tensor) -> Tensor:
    """Any shape, display values to light; concretely IEC 61966-2-1, mirrored for values below 0."""
    size = values.abs()
    return torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4) * values.sign()


def srgb_from_linear(values: Tensor) -> Tensor:
    """The inverse of `linear_from_srgb`."""
    size = values.abs()
    return torch.where(size <= 0.0031308, size * 12.92, 1.055 * size.clamp(min=1e-8) ** (1 / 2.4) - 0.055) * (
        values.sign()
    )


def lab_from_srgb(pictures: Tensor) -> Tensor:
    """(..., 3) display values to CIE 1976 L*a*b* of D65, L* in [0, 100]."""
    matrix = pictures.new_tensor(_XYZ_FROM_RGB)
    xyz = linear_from_srgb(pictures) @ matrix.T / pictures.new_tensor(_WHITE)
    root = torch.where(xyz > _EDGE**3, xyz.clamp(min=1e-6) ** (1 / 3), xyz / (3 * _EDGE**2) + 4 / 29)
    x, y, z = root.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def srgb_from_lab(lab: Tensor) -> Tensor:
    """The inverse of `lab_from_srgb`; colours outside sRGB leave [0, 1]."""
    y = (lab[..., 0] + 16) / 116
    root = torch.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = torch.where(root > _EDGE, root**3, 3 * _EDGE**2 * (root - 4 / 29)) * lab.new_tensor(_WHITE)
    matrix = torch.linalg.inv(torch.tensor(_XYZ_FROM_RGB, dtype=torch.float64)).to(lab)
    return srgb_from_linear(xyz @ matrix.T)
