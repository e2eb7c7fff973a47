"""A motion on the faces of a picture, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..face import Face, Faces, FloatArray
from ..geometry.pose import rotation_from_landmarks
from ..motion.channels import ARKIT_NAMES
from ..motion.motion import Motion
from ..registry import Registry
from .movement import TURN_LIMITS
from .renderers import RENDERERS, PreparedPortrait, Renderer, RendererEntry, renderer_named

#: Radians of yaw from which on half of a portrait's face is hidden, so that there is nothing to move there.
MOST_YAW = 0.9


def load_renderer(registry: Registry, name: str = "auto") -> tuple[Renderer, str]:
    """Load a renderer by name, or the last of `RENDERERS` whose weights are all present.

    Returns it and a text that says which it is, its licence, and, for "auto", what each better one lacks. Raises
    MissingWeightsError for a named one without its weights, InputError for another name.
    """
    if name != "auto":
        entry = renderer_named(name)
        return entry.load(registry), _describe(entry)
    passed: list[str] = []
    for entry in reversed(RENDERERS):
        missing = [weights_id for weights_id in entry.requires if registry.find(weights_id) is None]
        if not missing:
            return entry.load(registry), "\n".join([_describe(entry), *passed])
        passed.append(f"Not {entry.name}: {', '.join(missing)} missing.")
    raise InputError("\n".join(["No renderer can be loaded.", *passed]))


def animate(
    registry: Registry,
    renderer: Renderer,
    picture: Tensor,
    faces: Sequence[Face],
    motion: Motion,
    strength: float,
    names: Sequence[str],
) -> tuple[Tensor, str]:
    """Every frame of a motion on a picture.

    picture: (H, W, 3) float in [0, 1]. faces: of the picture, each makes the motion. strength: of blendshapes, turn and
    shift; 0 repeats the picture bit for bit. names: of the entries of `Face.blendshapes`. Returns (T, H, W, 3) and a
    text: what turns were limited. Raises InputError for a face in profile, and CancelledError when the user stops.
    """
    for face in faces:
        require_frontal(face)
    portraits = [renderer.prepare(picture, face, shown_already(face, names)) for face in faces]
    frames = torch.empty(len(motion), *picture.shape, dtype=picture.dtype)
    progress = registry.runtime.progress(len(motion))
    for index in range(len(motion)):
        registry.runtime.check_cancelled()
        frames[index] = _frame(picture, portraits, motion, index, strength)
        progress.update()
    return frames, _limits(motion, strength)


def _frame(
    picture: Tensor, portraits: Sequence[PreparedPortrait], motion: Motion, index: int, strength: float
) -> Tensor:
    amount = np.float32(strength)
    values = (amount * motion.blendshapes[index], amount * motion.rotation[index], amount * motion.translation[index])
    out = picture
    for portrait in portraits:
        drawn = portrait.frame(*values)
        out = drawn if out is picture else torch.where(drawn != picture, drawn, out)
    return out


def shown_already(face: Face, names: Sequence[str]) -> FloatArray | None:
    """(52,) what a face already shows, in the order of `ARKIT_NAMES`; None when it was not measured."""
    if face.blendshapes is None:
        return None
    known = dict(zip(names, face.blendshapes, strict=True))
    return np.array([known.get(name, 0.0) for name in ARKIT_NAMES], dtype=np.float32)


def require_frontal(face: Face) -> None:
    """Raise InputError for a face whose far side cannot be seen."""
    if face.landmarks is None:
        return
    yaw = rotation_from_landmarks(face.landmarks)[1]
    if abs(yaw) > MOST_YAW:
        raise InputError(
            f"The face at {np.round(face.bbox_xyxy).astype(int).tolist()} is turned by {np.rad2deg(yaw):.0f}°; beyond "
            f"{np.rad2deg(MOST_YAW):.0f}° half of it is hidden and cannot be moved. Use a more frontal portrait."
        )


def faces_to_animate(faces: Faces) -> tuple[int, tuple[Face, ...]]:
    """The first picture with a face, and its faces. Raises FaceNotFoundError when no picture has one."""
    faces.require_any("The portrait")
    return next((index, frame) for index, frame in enumerate(faces.frames) if frame)


def _limits(motion: Motion, strength: float) -> str:
    lines = [f"{len(motion)} frame(s) at {motion.fps:g} frames per second."]
    for name, limit, turn in zip(("pitch", "yaw", "roll"), TURN_LIMITS, motion.rotation.T, strict=True):
        most = strength * float(np.abs(turn).max())
        if most > limit:
            lines.append(
                f"The {name} of up to {np.rad2deg(most):.0f}° is bent towards {np.rad2deg(limit):.0f}°: a photo shows "
                "no more of the head."
            )
    return "\n".join(lines)


def _describe(entry: RendererEntry) -> str:
    return f"Renderer: {entry.name}, {entry.title}. Licence {entry.licence}."
