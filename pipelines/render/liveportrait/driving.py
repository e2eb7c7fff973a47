"""A driver's frames as a `Motion`: what LivePortrait's motion extractor sees, beside our own blendshapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ...face import Face, Faces, FloatArray, as_float_array
from ...geometry.warp import crop_pictures
from ...motion.capture import Captured, capture, follow, measured_values
from ...motion.channels import ARKIT_NAMES
from ...motion.gaps import fill_gaps
from ...motion.motion import Motion, motion_from_values
from ...motion.retargeting import angles, calm_frames, changed_from, rotations
from .appearance import INPUT_SIZE
from .crop import dense, driving_crop, eye_distance, openings
from .directions import WIDTH, Directions, published
from .motion import ExtractedMotion, rotation_matrix
from .moving import EXPRESSION_CHANNEL, OPENINGS_CHANNEL
from .networks import Networks
from .renderer import LivePortraitPortrait, one_side_is_right
from .space import CropSpace

Array = NDArray[np.float64]

Against = Literal["calm", "first frame", "portrait"]
AGAINST: tuple[str, ...] = get_args(Against)

#: Keypoints that carry expression from one face to another; the rest are the face's own shape and where it sits. Of
#: these, only some axes (1 is down, 2 is away). Source: absolute motion in LivePortrait's pipeline.
_ABSOLUTE = {index: (0, 1, 2) for index in (1, 2, 6, *range(11, 21))} | {
    3: (1,),
    4: (1,),
    5: (2,),
    8: (2,),
    9: (1, 2),
}
_SHAPES = len(ARKIT_NAMES)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Per frame of a take: values (T, 58) as measured; what the extractor read, angles in the picture's axes; and on
    which side of the picture its keypoints `ONE_SIDE` lie."""

    values: FloatArray
    expression: FloatArray
    angles: FloatArray
    place: FloatArray
    scale: FloatArray
    openings: FloatArray
    one_side_is_right: bool


def driving_motion(
    networks: Networks,
    images: Tensor,
    faces: Faces,
    fps: float,
    blendshape_names: Sequence[str],
    against: str = "calm",
    number: int = 0,
    portrait: LivePortraitPortrait | None = None,
    measured: Directions | None = None,
) -> tuple[Motion, str]:
    """The motion of one face through a driver's frames, for LivePortrait and for every other renderer.

    images: (T, H, W, 3) in [0, 1], in which `faces` were found with 478 landmarks. number: which face,
    as in `capture`. against: relative to the driver's calmest tenth of frames or to its first frame; or "portrait",
    absolute: the portrait ends with the driver's expression and pose, and `portrait` is needed. measured: directions of
    the user's files. Turn, place and nearness are the extractor's; blendshapes those of the faces, or where a face has
    none, what the keypoints' change comes nearest to (`Directions.blendshapes`); the change of its expression is the
    channel "liveportrait.expression" (T, 63), that of the openings "liveportrait.openings" (T, 3). Frames without the
    face are filled. Returns the motion and what happened. Raises InputError for another word or a missing portrait,
    FaceNotFoundError without the face.
    """
    if against not in AGAINST:
        raise InputError(f"against is {against!r}, it must be one of {', '.join(AGAINST)}.")
    if against == "portrait" and portrait is None:
        raise InputError("against is portrait, but no portrait is connected: connect image and faces of the portrait.")
    faces.require_frames(len(images), "The driving video")
    mute = any(face.blendshapes is None for _, face in faces)
    faces = _with_zeros(faces, len(blendshape_names)) if mute else faces
    captured = capture(faces, fps, blendshape_names, number)
    followed, cuts = follow(faces.frames, number)
    bounds = list(zip([0, *cuts], [*cuts, len(images)], strict=True))
    seen, spaces = _seen(networks, images, faces, followed, bounds, blendshape_names)
    if portrait is not None and against == "portrait":
        motion = _absolute(seen, fps, portrait, blendshape_names, (faces.height, faces.width))
    else:
        motion = _relative(seen, fps, captured, bounds, spaces, against)
    said = f"{captured.text}\nmeasured by LivePortrait's motion extractor against: {against}"
    if not mute:
        return motion, said
    directions = measured or published(seen.one_side_is_right)
    blendshapes = directions.blendshapes(motion.channels[EXPRESSION_CHANNEL])
    said += f"\nThe faces have no blendshapes: they were estimated from the keypoints by {directions.source}."
    return replace(motion, blendshapes=blendshapes), said


def _with_zeros(faces: Faces, count: int) -> Faces:
    zeros = np.zeros(count, np.float32)
    return faces.with_frames(tuple(tuple(replace(face, blendshapes=zeros) for face in frame) for frame in faces.frames))


def _seen(
    networks: Networks,
    images: Tensor,
    faces: Faces,
    followed: Sequence[Face | None],
    bounds: Sequence[tuple[int, int]],
    names: Sequence[str],
) -> tuple[_Seen, list[CropSpace]]:
    known = np.array([face is not None for face in followed])
    rows: dict[int, FloatArray] = {}
    spaces: list[CropSpace] = []
    sides: list[bool] = []
    for start, end in bounds:
        scene = {index: face for index in range(start, end) if (face := followed[index]) is not None}
        if not scene:
            spaces.append(CropSpace(1.0))
            continue
        matrix = driving_crop([dense(face) for face in scene.values()])
        distance = float(np.median([eye_distance(dense(face)) for face in scene.values()]))
        spaces.append(CropSpace.of(distance * float(matrix[0, 0]), INPUT_SIZE))
        read = _extract(networks, images, list(scene), matrix)
        sides.append(one_side_is_right(read))
        for row, (index, face) in enumerate(scene.items()):
            rows[index] = np.concatenate(
                [
                    measured_values(face, (faces.height, faces.width), names),
                    read.expression[row].flatten().numpy(),
                    spaces[-1].angles(rotation_matrix(read.rotation[row : row + 1])[0].T.double().numpy()),
                    read.translation[row, :2].numpy(),
                    read.scale[row].numpy(),
                    openings(dense(face)),
                ]
            )
    width = len(next(iter(rows.values())))
    table = np.stack([rows.get(index, np.zeros(width, np.float32)) for index in range(len(images))])
    filled = fill_gaps(as_float_array(table), known, [start for start, _ in bounds if start])
    ends = np.cumsum([_SHAPES + 6, WIDTH, 3, 2, 1, 3])
    values, expression, turns, place, scale, opened = np.split(filled, ends[:-1], 1)
    return _Seen(values, expression, turns, place, scale, opened, sides[0]), spaces


def _extract(networks: Networks, images: Tensor, indices: Sequence[int], matrix: Array) -> ExtractedMotion:
    size = (INPUT_SIZE, INPUT_SIZE)

    def crop(index: int) -> Tensor:
        return crop_pictures(images[index : index + 1, :, :, :3], (0,), matrix[None], size, padding="border")

    return networks.extract_each(len(indices), lambda n: crop(indices[n]).permute(0, 3, 1, 2).clamp(0, 1))


def _relative(
    seen: _Seen,
    fps: float,
    captured: Captured,
    bounds: Sequence[tuple[int, int]],
    spaces: Sequence[CropSpace],
    against: str,
) -> Motion:
    measured = motion_from_values(fps, seen.values)
    if against == "calm":
        at_rest = calm_frames(measured)
    else:
        at_rest = np.array([next(index for index in range(len(measured)) if index not in captured.missing)])
    rest = as_float_array(np.median(seen.values[at_rest], 0))
    turn = rotations(np.median(seen.angles[at_rest], 0)[None])[0]
    moves = np.zeros((len(measured), 3), np.float32)
    for (start, end), space in zip(bounds, spaces, strict=True):
        inside = at_rest[(at_rest >= start) & (at_rest < end)]
        base = inside if len(inside) else np.arange(start, end)
        place, scale = np.median(seen.place[base], 0), float(np.median(seen.scale[base]))
        for index in range(start, end):
            moves[index] = space.translation(seen.place[index] - place, float(seen.scale[index, 0]) / scale)
    open_at_rest = np.median(seen.openings[at_rest], 0)
    return Motion(
        fps=fps,
        blendshapes=changed_from(measured, rest).blendshapes,
        rotation=_turned(seen.angles, turn),
        translation=moves,
        channels=_channels(seen.expression - np.median(seen.expression[at_rest], 0), seen.openings, open_at_rest),
    )


def _absolute(
    seen: _Seen, fps: float, portrait: LivePortraitPortrait, names: Sequence[str], size_hw: tuple[int, int]
) -> Motion:
    subject = portrait.subject
    own = subject.motion
    mask = np.zeros((WIDTH // 3, 3), np.float32)
    for keypoint, axes in _ABSOLUTE.items():
        mask[keypoint, list(axes)] = 1
    turn = rotations(subject.space.orientation(rotation_matrix(own.rotation)[0].T.double().numpy())[None])[0]
    shown = measured_values(portrait.face, size_hw, names)
    moves = seen.place - own.translation[0, :2].numpy()
    return Motion(
        fps=fps,
        blendshapes=changed_from(motion_from_values(fps, seen.values), shown).blendshapes,
        rotation=_turned(seen.angles, turn),
        translation=np.stack([subject.space.translation(move, 1.0) for move in moves]),
        channels=_channels(
            (seen.expression - own.expression[0].flatten().numpy()) * mask.flatten(), seen.openings, subject.openings
        ),
    )


def _turned(seen: FloatArray, at_rest: Array) -> FloatArray:
    """(T, 3): the turns that lead from rest (3, 3) to what was seen (T, 3); what rounding leaves of none is none."""
    turned = angles(rotations(seen) @ at_rest.T)
    return np.where(np.abs(turned) < 1e-6, np.float32(0), turned)


def _channels(
    expression: Array | FloatArray, opened: FloatArray, at_rest: Array | FloatArray
) -> Mapping[str, FloatArray]:
    eyes = opened[:, :2] / np.maximum(at_rest[:2], 0.05) - 1
    lips = opened[:, 2:] - at_rest[2:]
    return {
        EXPRESSION_CHANNEL: as_float_array(expression),
        OPENINGS_CHANNEL: as_float_array(np.concatenate([eyes, lips], 1)),
    }
