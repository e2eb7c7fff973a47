"""One expression from a photo."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from ..face import Faces
from .blending import scale
from .capture import capture_photo
from .channels import BROWS, CHEEKS, EYES, GAZE, JAW, MOUTH, ROTATION_NAMES, VALUE_NAMES
from .motion import Motion
from .retargeting import changed_from, middle_row

#: Word -> the channels that are taken from a photo.
PARTS: dict[str, tuple[str, ...]] = {
    "whole": VALUE_NAMES,
    "expression": (*BROWS, *EYES, *GAZE, *JAW, *MOUTH, *CHEEKS),
    "eyes": (*EYES, *GAZE),
    "mouth": (*JAW, *MOUTH, *CHEEKS),
    "brows": BROWS,
    "pose": ROTATION_NAMES,
}


def expression_from_photo(
    faces: Faces,
    blendshape_names: Sequence[str],
    neutral: Faces | None = None,
    part: str = "whole",
    strength: float = 1.0,
    number: int = 0,
) -> Motion:
    """One frame with the expression and head turn of a face.

    faces: the first picture that has face `number` counts. blendshape_names: as in `measured_values`. neutral: the same
    person at rest, in one picture or many, of which the median counts; the expression is then the change against it
    (see `changed_from`). part: of `PARTS`. strength: factor on all that is taken. Raises InputError for another part,
    FaceNotFoundError when the face is missing in the photo or in `neutral`.
    """
    if part not in PARTS:
        raise InputError(f"The part is {part!r}, it must be one of {', '.join(PARTS)}.")
    measured = capture_photo(faces, blendshape_names, number)
    first = measured.map_frames(lambda values: values[:1])
    if neutral is not None:
        # a photo at rest shows one person: its first face, whatever the number in the other photo is
        first = changed_from(first, middle_row(capture_photo(neutral, blendshape_names, 0, "The neutral photo")))
    left_out = [name for name in VALUE_NAMES if name not in PARTS[part]]
    return scale(scale(first, 0.0, left_out), strength)
