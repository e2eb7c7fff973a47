"""Where the points of the swapped face lie: the source's shape in the target's pose with the target's expression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..face import FloatArray, as_float_array
from ..geometry.features import BROWS, EYES, LIP_RINGS, NOSE, OVAL, RIGID, Eye, Rows
from ..geometry.layout import KEYS, spread_matrix
from ..geometry.pose import head_rotation


@dataclass(frozen=True)
class ShapeWeights:
    """How much of the source each feature takes at shape 1.

    The rest is what the target's expression or pose is told by: how far lids and lips are open, the mouth's corners.
    """

    brows: float = 1.0
    nose: float = 1.0
    eyes: float = 1.0
    lid_opening: float = 0.2
    mouth: float = 1.0
    mouth_profile: float = 0.2
    lip_thickness: float = 0.9
    outline: float = 0.9


WEIGHTS = ShapeWeights()


#: How much of a gap between the lips comes from the jaw; a smile opens them by lifting the upper lip.
_GAP_FROM_JAW = 0.5


def align(source: FloatArray, target: FloatArray) -> FloatArray:
    """The source's head turned, scaled and shifted onto the target's.

    source, target: (478, 3) px of their own pictures. Returns (478, 3) px of the target's picture: turned by the
    difference of the two heads' rotations, so that the pose stays the target's whatever the shapes are, then scaled
    and shifted by least squares over the points that hardly move with the expression.
    """
    flip = np.array([1.0, -1.0, -1.0])  # the pose is measured with y up and z towards the camera
    turn = head_rotation(target) @ head_rotation(source).T
    turned = source.astype(np.float64) * flip @ turn.T * flip
    rigid = list(RIGID)
    a, b = target[rigid].astype(np.float64), turned[rigid]
    a_mean, b_mean = a.mean(0), b.mean(0)
    scale = ((a - a_mean) * (b - b_mean)).sum() / ((b - b_mean) ** 2).sum()
    return as_float_array((turned - b_mean) * scale + a_mean)


def transfer_shape(
    source: FloatArray, target: FloatArray, amount: float, weights: ShapeWeights = WEIGHTS
) -> FloatArray:
    """The target's landmarks with the source's shape.

    source: (478, 3) px of its crop. target: (478, 3) px of the picture. amount: 0 returns the target's.
    Returns (478, 3) px of the picture: concretely target + amount * (spread of the features' displacements towards
    the aligned source), where a displacement leaves out what differs by expression.
    """
    if amount == 0:
        return target.copy()
    aligned = align(source, target)
    difference = aligned - target
    offsets = np.zeros_like(target)
    nose, brows, oval = list(NOSE), [*BROWS[0], *BROWS[1]], list(OVAL)
    offsets[nose] = weights.nose * difference[nose]
    offsets[brows] = weights.brows * difference[brows]
    offsets[oval] = weights.outline * (difference + _jaw_opening(aligned, target))[oval]
    for eye in EYES:
        _lids(offsets, difference, eye.lids, weights)
    _lips(offsets, difference, weights)
    moved = target.copy()
    moved[:468] += amount * (spread_matrix() @ offsets[list(KEYS)])
    for eye in EYES:
        _iris(moved, aligned, target, eye, amount)
    return moved


def _lids(offsets: FloatArray, difference: FloatArray, lids: Rows, weights: ShapeWeights) -> None:
    upper, lower, corners = list(lids.upper), list(lids.lower), list(lids.corners)
    common = (difference[upper] + difference[lower]) / 2
    opening = (difference[upper] - difference[lower]) / 2
    offsets[corners] = weights.eyes * difference[corners]
    offsets[upper] = weights.eyes * common + weights.lid_opening * opening
    offsets[lower] = weights.eyes * common - weights.lid_opening * opening


def _lips(offsets: FloatArray, difference: FloatArray, weights: ShapeWeights) -> None:
    """Upper and lower lip share the upper lip's displacement, so that the mouth stays as open as the target's."""
    inner = LIP_RINGS[-1]
    order = [inner.corners[0], *inner.upper, inner.corners[1]]
    along = difference[order]
    mean = along.mean(0)
    shared = weights.mouth * mean + weights.mouth_profile * (along - mean)
    for ring in LIP_RINGS:
        for row, inner_row in ((ring.upper, inner.upper), (ring.lower, inner.lower)):
            thickness = difference[list(row)] - difference[list(inner_row)]
            offsets[list(row)] = shared[1:-1] + weights.lip_thickness * thickness
        for corner, inner_corner, value in zip(ring.corners, inner.corners, shared[[0, -1]], strict=True):
            offsets[corner] = value + weights.lip_thickness * (difference[corner] - difference[inner_corner])


def _jaw_opening(aligned: FloatArray, target: FloatArray) -> FloatArray:
    """(478, 3): by how much the target's jaw hangs lower than the source's, growing from the mouth to the chin."""
    upper, lower, chin = 13, 14, 152
    gap = (target[lower] - target[upper]) - (aligned[lower] - aligned[upper])
    down = target[chin] - target[upper]
    share = np.clip((target - target[upper]) @ down / (down @ down) / 0.75, 0, 1)
    return as_float_array(_GAP_FROM_JAW * share[:, None] * gap)


def _iris(moved: FloatArray, aligned: FloatArray, target: FloatArray, eye: Eye, amount: float) -> None:
    """The iris at the same place between the corners and the lids as in the target, of the source's size."""
    corners = list(eye.lids.corners)
    points = [eye.iris, *eye.iris_edge]
    lids = list(eye.lids.loop)
    in_eye = np.linalg.solve(_axes(target[corners]).T, target[eye.iris] - target[lids].mean(0))
    shift = as_float_array(in_eye @ _axes(moved[corners]) + moved[lids].mean(0) - target[eye.iris])
    radius_target = np.linalg.norm(target[list(eye.iris_edge), :2] - target[eye.iris, :2], axis=1).mean()
    radius_source = np.linalg.norm(aligned[list(eye.iris_edge), :2] - aligned[eye.iris, :2], axis=1).mean()
    scale = 1 + amount * (float(np.clip(radius_source / max(radius_target, 1e-6), 0.8, 1.25)) - 1)
    moved[points] = target[eye.iris] + shift + scale * (target[points] - target[eye.iris])


def _axes(corners: FloatArray) -> FloatArray:
    """(3, 3): half the eye's width along its corners, the same length across them, and depth."""
    half = (corners[1] - corners[0]) / 2
    length = float(np.linalg.norm(half[:2]))
    across = np.array([-half[1], half[0], 0.0])
    if across[1] < 0:
        across = -across
    return as_float_array(np.stack([half, across, [0, 0, max(length, 1e-6)]]))
