"""Choosing faces: an order within each picture, limits, an index list, and likeness to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces, FloatArray
from .analysis import Recogniser
from .identity import Identity, likeness

#: detected: the order they come in. likeness: most alike first, and only those that are alike enough.
Order = Literal[
    "largest", "smallest", "left_to_right", "right_to_left", "top_to_bottom", "center", "score", "detected", "likeness"
]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True)
class FaceLimits:
    """What a face must meet; every limit is inclusive.

    min_size_px, max_size_px: of the larger side of its box, 0 means no limit. min_score: the detector's, in [0, 1].
    region: left, top, right, bottom as fractions of the picture; the middle of the face's box must lie inside.
    """

    min_size_px: float = 0.0
    max_size_px: float = 0.0
    min_score: float = 0.0
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Wanted:
    """The person that selected faces must be.

    images: (B, H, W, 3) in [0, 1], the pictures the faces were found in. min_probability: in [0, 1].
    """

    identity: Identity
    recogniser: Recogniser
    images: Tensor
    min_probability: float = 0.5


def select_faces(
    faces: Faces,
    by: Order = "largest",
    count: int = 0,
    indices: str = "",
    limits: FaceLimits | None = None,
    wanted: Wanted | None = None,
    invert: bool = False,
) -> Faces:
    """Some of the faces of every picture.

    Each picture on its own: faces outside the limits are left out, and, with `wanted`, those that are less likely the
    person than its `min_probability`; the rest is ordered by `by`; `indices` such as "0", "0,2" or "1-3" picks
    places of that order (counted from 0, in the order written; places that a picture does not have give nothing);
    the first `count` stay, 0 means all. invert: returns instead the faces that would be left out, in detected order.
    Raises InputError for an unknown order, an unreadable index list, limits that exclude everything, or likeness
    without a person; EncoderMismatchError when the person lacks the recogniser's vectors.
    """
    if by not in ORDERS:
        raise InputError(f"There is no order {by!r}; there are {', '.join(ORDERS)}.")
    if by == "likeness" and wanted is None:
        raise InputError("Selecting by likeness needs an identity, a face analysis and the picture: connect all three.")
    if count < 0:
        raise InputError(f"count is {count}; it must be 0 (all) or more.")
    limits = _checked(limits or FaceLimits())
    places = parse_indices(indices)
    probabilities = _probabilities(faces, wanted)
    frames: list[tuple[Face, ...]] = []
    for frame, alike in zip(faces.frames, probabilities, strict=True):
        fits = [k for k, face in enumerate(frame) if _within(face, limits, faces)]
        if wanted is not None:
            fits = [k for k in fits if alike[k] >= wanted.min_probability]
        order = sorted(fits, key=lambda k: (_rank(by, frame[k], alike[k], faces), k))
        order = [order[place] for place in places if place < len(order)] if places else order
        chosen = order[:count] if count else order
        kept = [k for k in range(len(frame)) if k not in chosen] if invert else chosen
        frames.append(tuple(frame[k] for k in kept))
    return faces.with_frames(tuple(frames))


def describe_selection(before: Faces, after: Faces) -> str:
    """How many faces were kept, in all and in which pictures none was."""
    empty = [k for k, (had, has) in enumerate(zip(before.frames, after.frames, strict=True)) if had and not has]
    text = f"{len(after)} of {len(before)} face(s) kept in {len(before.frames)} picture(s)."
    if not empty:
        return text
    listed = ", ".join(str(k) for k in empty[:20]) + (", …" if len(empty) > 20 else "")
    return f"{text} None of the faces was kept in {len(empty)} picture(s): {listed}."


def parse_indices(text: str) -> tuple[int, ...]:
    """Places such as "0,2" or "1-3", in the order written and each once; "" gives none.

    Raises InputError, quoting the part it cannot read, for anything else.
    """
    places: list[int] = []
    for part in text.replace(";", ",").split(","):
        part = part.strip()
        if not part:
            continue
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        ends = [first, last] if dash else [first, first]
        if not all(end.isascii() and end.isdigit() and len(end) <= 4 for end in ends):
            raise InputError(f"The index list {text[:80]!r} has {part[:20]!r}: write places as 0, 0,2 or 1-3, from 0.")
        low, high = int(ends[0]), int(ends[1])
        if low > high:
            raise InputError(
                f"The index list {text[:80]!r} has {part[:20]!r}, which runs backwards: write {high}-{low}."
            )
        places.extend(range(low, high + 1))
    return tuple(dict.fromkeys(places))


def embed_faces(faces: Faces, images: Tensor, recogniser: Recogniser) -> FloatArray:
    """Raw vectors (N, D) of all faces in the order of iterating them, in one call of the network.

    images: (B, H, W, 3), the pictures the faces were found in. Raises InputError when they do not belong together.
    """
    faces.require_frames(len(images), "The picture")
    if tuple(images.shape[1:3]) != (faces.height, faces.width):
        raise InputError(
            f"The picture has {images.shape[2]} × {images.shape[1]} px but the faces were found in one of "
            f"{faces.width} × {faces.height} px: connect the picture that Detect Faces saw."
        )
    return recogniser.embed(images[..., :3], list(faces))


def _probabilities(faces: Faces, wanted: Wanted | None) -> list[list[float]]:
    """Per picture and face how likely it is the wanted person; zeros when nobody is."""
    if wanted is None:
        return [[0.0] * len(frame) for frame in faces.frames]
    wanted.identity.references(wanted.recogniser.name)  # tell of a mismatch even when there is no face
    raw = iter(embed_faces(faces, wanted.images, wanted.recogniser))
    return [[likeness(wanted.recogniser, next(raw), wanted.identity)[1] for _ in frame] for frame in faces.frames]


def _checked(limits: FaceLimits) -> FaceLimits:
    left, top, right, bottom = limits.region
    if not (left < right and top < bottom):
        raise InputError(f"The region {limits.region} is empty: left must be below right and top below bottom.")
    if 0 < limits.max_size_px < limits.min_size_px:
        raise InputError(
            f"No face can be at least {limits.min_size_px:g} px and at most {limits.max_size_px:g} px large."
        )
    return limits


def _within(face: Face, limits: FaceLimits, faces: Faces) -> bool:
    size = max(face.width_px, face.height_px)
    x, y = (face.center + 0.5) / np.array([faces.width, faces.height])
    left, top, right, bottom = limits.region
    return bool(
        size >= limits.min_size_px
        and (limits.max_size_px == 0 or size <= limits.max_size_px)
        and face.score >= limits.min_score
        and _inside(x, left, right)
        and _inside(y, top, bottom)
    )


def _inside(value: float, low: float, high: float) -> bool:
    """Whether a fraction lies in a range; a range that reaches an edge of the picture takes in what is beyond it."""
    return (low <= 0 or value >= low) and (high >= 1 or value <= high)


def _rank(by: Order, face: Face, alike: float, faces: Faces) -> float:
    """What faces are sorted by, smallest first."""
    x, y = (float(value) for value in face.center)
    ranks = {
        "largest": -face.area_px,
        "smallest": face.area_px,
        "left_to_right": x,
        "right_to_left": -x,
        "top_to_bottom": y,
        "center": float(np.hypot(x - (faces.width - 1) / 2, y - (faces.height - 1) / 2)),
        "score": -face.score,
        "detected": 0.0,
        "likeness": -alike,
    }
    return ranks[by]
