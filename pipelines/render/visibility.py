"""How much of a motion a face in its pose can show, and what of it will be seen as a defect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..face import Face
from ..geometry.pose import rotation_from_landmarks
from ..motion.channels import BROWS, INDEX
from ..motion.motion import Motion
from .glasses import wears_glasses

#: Radians of yaw of a portrait from which on what it does fades, and at which nothing of it is left: half of the face
#: is hidden then, and moving what is not seen would smear what is.
FADE_FROM, MOST_YAW = 0.55, 0.9

#: Brows beyond this bend the frame of glasses so that one sees it.
_BENDS_GLASSES = 0.5


def facing(face: Face) -> float:
    """How much of a motion a face in its pose can show: 1 up to `FADE_FROM`, falling smoothly to 0 at `MOST_YAW`."""
    if face.landmarks is None:
        return 1.0
    left = np.clip((MOST_YAW - abs(rotation_from_landmarks(face.landmarks)[1])) / (MOST_YAW - FADE_FROM), 0, 1)
    return float(left * left * (3 - 2 * left))


def require_visible(faces: Sequence[Face]) -> None:
    """Raise InputError, with every yaw, when the far sides of all faces are hidden."""
    if faces and all(facing(face) == 0 for face in faces):
        raise InputError(
            "\n".join(turned_away(faces)) + "\nNo face is left to move: use a more frontal portrait, or several faces."
        )


def turned_away(faces: Sequence[Face]) -> list[str]:
    """One line per face that moves less than it is told: its yaw, the limits, how much is left."""
    lines: list[str] = []
    for face in faces:
        share = facing(face)
        if share == 1.0 or face.landmarks is None:
            continue
        yaw = np.rad2deg(rotation_from_landmarks(face.landmarks)[1])
        place = np.round(face.bbox_xyxy).astype(int).tolist()
        left = f"{100 * share:.0f} % of the motion is shown" if share else "it is left as it is"
        lines.append(
            f"The face at {place} is turned by {yaw:.0f}°: from {np.rad2deg(FADE_FROM):.0f}° on its motion fades, "
            f"beyond {np.rad2deg(MOST_YAW):.0f}° half of it is hidden and nothing moves; {left}."
        )
    return lines


def bent_glasses(picture: Tensor, faces: Sequence[Face], motion: Motion, strength: float) -> list[str]:
    """One line per face whose brows go so far that they bend its glasses; picture: (H, W, 3)."""
    brows = [INDEX[name] for name in BROWS]
    if strength * float(np.abs(motion.blendshapes[:, brows]).max()) <= _BENDS_GLASSES:
        return []
    pixels = picture[..., :3].permute(2, 0, 1)
    worn = [face for face in faces if face.landmarks is not None and wears_glasses(pixels, face.landmarks)]
    return [
        f"The face at {np.round(face.bbox_xyxy).astype(int).tolist()} wears glasses: brows beyond {_BENDS_GLASSES:g} "
        "bend a frame that lies on them."
        for face in worn
    ]
