"""Finding faces with the three BlazeFace detectors over a pyramid of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..face import FloatArray
from ..registry import Registry
from .embedded_network import EmbeddedNetwork
from .net_blazeface import FullRangeDetector, back_camera, short_range

#: The full range network finds faces of this size in its input, px, up to about six times as large.
SMALLEST_IN_INPUT_PX = 20
#: The smallest face that is looked for unless the caller names a size, px of the picture.
SMALLEST_FACE_PX = 32
#: Between two levels of the pyramid; each covers faces of 20 to about 130 px, so neighbours overlap.
LEVEL_RATIO = 4
#: A level whose longer side is at most this is the last one.
LAST_LEVEL_PX = 256
#: Levels larger than this are cut into tiles that overlap by more than the largest face the level must find.
TILE_PX, TILE_OVERLAP_PX = 768, 128
#: The full range network was trained on inputs of this side; smaller levels are padded to it.
TRAINED_PX = 192
#: Below this a network's score is noise; the landmarker sorts out the rest.
LOWEST_SCORE = 0.3
#: When the best candidate of a picture scores less, the back camera network looks, too.
SURE_SCORE = 0.75
#: Boxes that overlap more are views of one face.
SAME_FACE_IOU = 0.3
#: The candidates of one picture that the landmarker is asked about, best first.
MAX_CANDIDATES = 256


@dataclass(frozen=True, eq=False)
class Candidate:
    """Where a detector suspects a face.

    frame: which picture of the batch. bbox_xyxy: (4,) px. score: in [0, 1]. eyes: (2, 2) px, the person's right eye
    (on the left of the picture) first.
    """

    frame: int
    bbox_xyxy: FloatArray
    score: float
    eyes: FloatArray
    landmarks5: FloatArray | None = None


class BlazeFaceDetector:
    """Full range over a pyramid, short range for near faces, back camera where neither is sure."""

    def __init__(self, registry: Registry) -> None:
        self._full = EmbeddedNetwork(registry, "blazeface_full_range", FullRangeDetector)
        self._short = EmbeddedNetwork(registry, "blazeface_short", short_range)
        self._back = EmbeddedNetwork(registry, "blazeface_back", back_camera)

    def candidates(self, images: Tensor, min_size_px: int = 0) -> list[Candidate]:
        """Every place that may be a face, ordered by picture, best first.

        images: (B, H, W, 3) in [0, 1]. min_size_px: smaller faces need not be found; 0 stands for 32.
        """
        rows = [self._level(images, scale) for scale in pyramid_scales(images.shape[1:3], min_size_px)]
        rows.append(_whole(self._short, images, 128))
        merged = [merge_boxes(np.concatenate([r[r[:, 0] == frame] for r in rows])) for frame in range(len(images))]
        unsure = [frame for frame, found in enumerate(merged) if len(found) == 0 or found[0, 1] < SURE_SCORE]
        if unsure:
            again = _whole(self._back, images[unsure], 256)
            for index, frame in enumerate(unsure):
                found = again[again[:, 0] == index]
                found[:, 0] = frame
                merged[frame] = merge_boxes(np.concatenate([merged[frame], found]))
        return [_candidate(row) for found in merged for row in found[:MAX_CANDIDATES]]

    def _level(self, images: Tensor, scale: float) -> FloatArray:
        """Rows of the full range network at one scale of the pictures."""
        level = _resized(images, scale)
        ratio = level.shape[2] / images.shape[2], level.shape[1] / images.shape[1]
        (height, tops), (width, lefts) = tiling(level.shape[1]), tiling(level.shape[2])
        rows: list[FloatArray] = []
        for top in tops:  # one row of tiles of all pictures at a time, so that huge pictures are not held twice
            tiles = [_padded(level[:, top : top + height, left : left + width], (height, width)) for left in lefts]
            scores, boxes = self._full(torch.cat(tiles) * 2 - 1)
            parts = zip(lefts, scores.split(len(images)), boxes.split(len(images)), strict=True)
            rows.extend(_rows(score, box, (left, top), ratio) for left, score, box in parts)
        return np.concatenate(rows)


def pyramid_scales(size_hw: Sequence[int], min_size_px: int = 0) -> list[float]:
    """How much smaller (or larger) than the picture each level is, finest first.

    Concretely 20 / smallest face, but enough to fill the network's input, then a quarter of it and so on until the
    longer side is at most 256 px.
    """
    longest = max(size_hw)
    scale = max(SMALLEST_IN_INPUT_PX / (min_size_px or SMALLEST_FACE_PX), TRAINED_PX / longest)
    scale = min(scale, max(1.0, TRAINED_PX / longest))
    scales = [scale]
    while scales[-1] * longest > LAST_LEVEL_PX:
        scales.append(max(scales[-1] / LEVEL_RATIO, TRAINED_PX / longest / LEVEL_RATIO))
    return scales


def tiling(length: int) -> tuple[int, list[int]]:
    """(side of a tile, first pixels of the tiles) that cover a length evenly and overlap.

    The side is a multiple of 32 and at least 192 px, as the network needs it, even where the length is smaller.
    """
    count = max(1, -(-(length - TILE_OVERLAP_PX) // (TILE_PX - TILE_OVERLAP_PX)))
    side = -(-(length + (count - 1) * TILE_OVERLAP_PX) // count)
    side = max(TRAINED_PX, -(-side // 32) * 32)
    return side, [index * (side - TILE_OVERLAP_PX) for index in range(count)]


def _resized(images: Tensor, scale: float) -> Tensor:
    size = [max(1, round(side * scale)) for side in images.shape[1:3]]
    pictures = images.permute(0, 3, 1, 2).float()
    resized = F.interpolate(pictures, size, mode="bilinear", antialias=scale < 1)
    return resized.permute(0, 2, 3, 1)


def _padded(tile: Tensor, side: Sequence[int]) -> Tensor:
    return F.pad(tile, (0, 0, 0, side[1] - tile.shape[2], 0, side[0] - tile.shape[1]))


def _whole(network: EmbeddedNetwork, images: Tensor, size: int) -> FloatArray:
    """Rows of a network of fixed input size on the whole pictures, fitted into it."""
    level = _resized(images, size / max(images.shape[1:3]))
    ratio = level.shape[2] / images.shape[2], level.shape[1] / images.shape[1]
    scores, boxes = network(_padded(level, (size, size)) * 2 - 1)
    return _rows(scores, boxes, (0, 0), ratio)


def _rows(scores: Tensor, boxes: Tensor, origin_xy: tuple[int, int], ratio_xy: tuple[float, float]) -> FloatArray:
    """(K, 10) frame, score, x0, y0, x1, y1, both eyes in px of the pictures, of what scores high enough.

    scores: (B, A) logits. boxes: (B, A, 16) px of the network's input, at `origin_xy` of pictures scaled by `ratio_xy`.
    """
    probability = scores.sigmoid()
    frame, anchor = torch.nonzero(probability >= LOWEST_SCORE, as_tuple=True)
    values = boxes[frame, anchor].numpy()
    points = np.concatenate([values[:, :2] - values[:, 2:4] / 2, values[:, :2] + values[:, 2:4] / 2, values[:, 4:8]], 1)
    points = (points + np.tile(origin_xy, 4)) / np.tile(ratio_xy, 4) - 0.5  # the first pixel's centre is the origin
    head = np.stack([frame.numpy(), probability[frame, anchor].numpy()], 1)
    return np.concatenate([head, points], 1).astype(np.float32)


def merge_boxes(rows: FloatArray) -> FloatArray:
    """Weighted non-maximum suppression of one picture's rows (frame, score, box, points), best first.

    Boxes that overlap the best one by an IoU above 0.3 become one whose numbers are their means, weighted by score,
    and whose score is the best one's. Source: Bazarevsky et al. 2019, section 3.2.
    """
    rows = rows[np.argsort(-rows[:, 1], kind="stable")]
    merged: list[FloatArray] = []
    while len(rows):
        same = _iou(rows[0, 2:6], rows[:, 2:6]) > SAME_FACE_IOU
        same[0] = True
        group = rows[same]
        row = np.average(group, axis=0, weights=group[:, 1])
        row[:2] = group[0, :2]  # the mean of a frame number would be rounded, too
        merged.append(row.astype(np.float32))
        rows = rows[~same]
    return np.stack(merged) if merged else rows


def overlaps(box: FloatArray, boxes: Sequence[FloatArray]) -> FloatArray:
    """(N,) intersection over union of a box (4,) with others."""
    return _iou(box, np.stack(boxes)) if boxes else np.zeros(0, np.float32)


def _iou(box: FloatArray, boxes: FloatArray) -> FloatArray:
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return shared / np.maximum(areas - shared, 1e-6)


def _candidate(row: FloatArray) -> Candidate:
    return Candidate(int(row[0]), row[2:6], float(row[1]), row[6:10].reshape(2, 2))
