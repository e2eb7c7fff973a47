"""The three small networks that correct keypoints: stitching at the shoulders, eye opening, lip opening."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .motion import KEYPOINTS


class Mlp(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])

    def forward(self, values: Tensor) -> Tensor:
        return self.mlp(values)


class Retargeting(nn.Module):
    """The networks of the published stitching and retargeting file.

    retarget_shoulder: source and driving keypoints (B, 126) to a move of each and of all in x, y (B, 65).
    retarget_mouth: source keypoints, its lip opening and the wanted one (B, 65) to moves (B, 63).
    retarget_eye: source keypoints, both its eye openings and the wanted one (B, 66) to moves (B, 63).
    """

    def __init__(self) -> None:
        super().__init__()
        points = 3 * KEYPOINTS
        self.retarget_shoulder = Mlp(2 * points, 128, 128, 64, points + 2)
        self.retarget_mouth = Mlp(points + 2, 128, 128, 64, points)
        self.retarget_eye = Mlp(points + 3, 256, 256, 128, 128, 64, points)

    def stitched(self, source: Tensor, driving: Tensor) -> Tensor:
        """Driving keypoints (B, 21, 3) moved so that shoulders and background stay with the source's (B, 21, 3)."""
        change = self.retarget_shoulder(_flat(source, driving))
        moved = driving + change[:, :-2].unflatten(1, (KEYPOINTS, 3))
        moved[..., :2] += change[:, None, -2:]
        return moved

    def eyes(self, source: Tensor, openings: Tensor) -> Tensor:
        """Moves (B, 21, 3) that open or close the eyes. openings: (B, 3), left and right of the source, wanted."""
        return self.retarget_eye(_flat(source, openings)).unflatten(1, (KEYPOINTS, 3))

    def lips(self, source: Tensor, openings: Tensor) -> Tensor:
        """Moves (B, 21, 3) that open or close the lips. openings: (B, 2), of the source and wanted."""
        return self.retarget_mouth(_flat(source, openings)).unflatten(1, (KEYPOINTS, 3))


def _flat(keypoints: Tensor, more: Tensor) -> Tensor:
    return torch.cat([keypoints.flatten(1), more.flatten(1)], 1)
